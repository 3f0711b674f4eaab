"""The document says what the master serves: no more, no less."""

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ExpressionError
from engine.expression.parser import parse
from engine.master import app
from engine.master.openapi import (
    ANNOUNCED,
    CALLS,
    EVERYWHERE,
    EXPRESSION,
    SUBMISSION,
    document,
    encoded,
)
from engine.messages import Announcement, Submission
from tests.expressions import random_expression

ROOT = Path(__file__).resolve().parents[2]
ROUTES = [*app.PUBLIC, *app.DASHBOARD, *app.PRIVATE]


def served() -> set[tuple[str, str]]:
    """Return each path of the route table, its arguments as {}, with each of its methods."""
    return {
        (re.sub(r"\([^)]*\)", "{}", route.path), method.lower())
        for route in ROUTES
        for method in route.handler.methods()
    }


def told() -> set[tuple[str, str]]:
    """Return the same of the document."""
    return {
        (re.sub(r"\{[^}]*\}", "{}", path), method)
        for path, methods in document()["paths"].items()
        for method in methods
    }


def test_every_route_and_method_is_in_the_document_and_the_other_way_round() -> None:
    """A path that nobody knows of is as bad as a promise that nobody keeps."""
    assert told() == served()


def test_every_reference_leads_somewhere() -> None:
    """Inside the document."""
    whole = document()
    for reference in re.findall(r'"\$ref":"([^"]*)"', encoded().decode()):
        target: Any = whole
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]
        assert target


def test_every_argument_of_a_path_is_described() -> None:
    """With a type."""
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            described = {
                parameter["name"]
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "path" and parameter["required"] and parameter["schema"]
            }
            assert described == set(re.findall(r"\{([^}]*)\}", path))


def test_a_worker_is_told_how_to_name_itself_when_it_leaves() -> None:
    """By what it announced: a port, or a whole address."""
    parameters = document()["paths"]["/worker/{worker_name}"]["delete"]["parameters"]
    assert {one["name"] for one in parameters if one["in"] == "query"} == {"port", "url"}


def test_operations_have_ids_of_their_own() -> None:
    """Generators of clients make method names of them."""
    ids = [
        operation["operationId"]
        for methods in document()["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


def test_the_document_is_json_of_openapi_3_1() -> None:
    """As it is served."""
    assert json.loads(encoded())["openapi"] == "3.1.0"


def test_every_link_leads_to_a_call_and_gives_it_a_parameter_that_it_has() -> None:
    """From an id in an answer to whatever takes it."""
    calls = {
        operation["operationId"]: operation
        for methods in document()["paths"].values()
        for operation in methods.values()
    }
    links = [
        link
        for call in calls.values()
        for link in call["responses"]["200"].get("links", {}).values()
    ]
    assert links
    for link in links:
        names = {parameter["name"] for parameter in calls[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= names


def test_every_code_that_a_client_may_be_answered_with_is_in_the_list_for_people() -> None:
    """Programs rely on them: who writes one reads docs/using.md."""
    page = (ROOT / "docs/using.md").read_text()
    (listed,) = re.findall(r"^\*\*Errors\*\* .*?\n\n", page, re.MULTILINE | re.DOTALL)
    problems = [
        codes
        for call in CALLS
        if call.tag == "clients"
        for kind in (EVERYWHERE, *call.problems)
        for codes in kind.values()
    ]
    told = set(re.findall("`([a-z_]+)`", listed))
    assert {code for codes in problems for code in codes} - told == set()


@pytest.mark.parametrize("seed", range(300))
def test_the_pattern_of_a_task_takes_every_expression(seed: int) -> None:
    """A client that checks before it sends loses none."""
    assert re.fullmatch(EXPRESSION["pattern"], random_expression(Random(seed)))


@given(st.text("0123456789.eE+-*/() \t\r\nx\u0661", max_size=12))
def test_what_the_pattern_of_a_task_refuses_is_no_expression(text: str) -> None:
    """And is refused by the master, too."""
    if not re.fullmatch(EXPRESSION["pattern"], text):
        with pytest.raises(ExpressionError):
            parse(text)


def test_the_examples_are_what_the_master_takes() -> None:
    """Tasks that have answers, and bodies that can be read."""
    for text in EXPRESSION["examples"]:
        parse(text)
    for body in SUBMISSION["examples"]:
        msgspec.convert(body, Submission)
    for body in ANNOUNCED["examples"]:
        msgspec.convert(body, Announcement)
