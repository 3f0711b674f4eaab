from deploy.local import LocalCluster
from tests.browser.dashboard import Dashboard, Open

WIDE = "\U0001d7d9"  # a character that JavaScript counts as two


def submit(page: Dashboard, task: str) -> None:
    """Type a task into the box, and press Enter."""
    page.page.fill("#submit-task", task)
    page.page.press("#submit-task", "Enter")


def test_an_expression_is_submitted(open_page: Open, cluster: LocalCluster) -> None:
    """6: Submitting leads to the job, and its answer appears there."""
    page = open_page(cluster.url)
    submit(page, "1+(2*3)/4-5")
    page.wait("#job-answer", "= -2.5")
    assert page.page.input_value("#submit-task") == ""


def test_an_error_stands_under_its_column(open_page: Open, cluster: LocalCluster) -> None:
    """6: The caret is below the character that the error is about, and a sentence below it."""
    page = open_page(cluster.url)
    submit(page, "1+(2*)")
    page.wait("#submit-message", "column 6")
    caret = page.page.locator("#submit-caret b").bounding_box()
    field = page.page.locator("#submit-task").bounding_box()
    letter = page.page.locator("#submit-caret span").bounding_box()
    assert caret
    assert field
    assert letter
    padding_and_border = 11
    assert abs(caret["x"] - field["x"] - padding_and_border - 5 * letter["width"] / 5) < 1
    assert page.page.input_value("#submit-task") == "1+(2*)"
    page.page.type("#submit-task", "7")
    page.wait("#submit-caret[hidden]")


def test_the_caret_follows_a_long_expression(open_page: Open, cluster: LocalCluster) -> None:
    """6: The field scrolls to the error and the caret is still under it, within the page."""
    page = open_page(cluster.url, width=400)
    submit(page, "1+" * 200 + "*" + "+1" * 200)
    page.wait("#submit-message", "column 401")
    caret = page.page.locator("#submit-caret b").bounding_box()
    field = page.page.locator("#submit-task").bounding_box()
    assert caret
    assert field
    assert field["x"] < caret["x"] < field["x"] + field["width"] < 400


def test_the_column_counts_characters(open_page: Open, cluster: LocalCluster) -> None:
    """6: A character that JavaScript counts twice moves the caret by itself only."""
    page = open_page(cluster.url)
    assert page.module("submit.js", "m.before(argument, 3)", f"{WIDE}+{WIDE}") == f"{WIDE}+"


def test_what_is_typed_is_never_html(open_page: Open, own_cluster: LocalCluster) -> None:
    """An expression, an error and a worker's name are text, whatever they look like."""
    page = open_page(own_cluster.url)
    submit(page, "<script>alert(1)</script>")
    page.wait("#submit-message", "column 1")
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    own_cluster.start_worker("--name", name)
    page.wait("#workers th", name)
    assert page.count("main script, main img") == 0
    submit(page, "2*(3+4)")
    page.wait("#job-answer", "= 14")


def test_all_is_done_without_a_mouse(open_page: Open, cluster: LocalCluster) -> None:
    """From the first Tab on: to the box, submit, and into the tree of the job."""
    page = open_page(cluster.url)
    tab_until(page, "#submit-task")
    page.page.keyboard.type("(1+2)*3")
    page.page.keyboard.press("Enter")
    page.wait("#job-answer", "= 9")
    page.wait(".node")
    tab_until(page, ".node")
    page.page.keyboard.press("ArrowDown")
    assert page.text("#job-task mark") == "+"


def tab_until(page: Dashboard, selector: str) -> None:
    """Press Tab until the element is reached."""
    for _ in range(80):
        page.page.keyboard.press("Tab")
        if page.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never reaches {selector}")
