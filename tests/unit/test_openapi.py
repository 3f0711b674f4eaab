"""The document says what the master serves: no more, no less."""

import json
import re
from typing import Any

from tornado.web import RequestHandler

from engine.master import app
from engine.master.openapi import document, encoded

ROUTES = [*app.PUBLIC, *app.DASHBOARD, *app.PRIVATE]
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def served() -> set[tuple[str, str]]:
    """Return each path of the route table, its arguments as {}, with each of its methods."""
    return {
        (re.sub(r"\([^)]*\)", "{}", path), method)
        for path, handler, *_ in ROUTES
        for method in METHODS
        if getattr(handler, method) is not RequestHandler._unimplemented_method  # type: ignore[comparison-overlap]
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
