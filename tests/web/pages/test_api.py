"""The read API and its description."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from web.app import routes
from web.pages.api import document
from web.pages.desk import Close
from web.pages.sending import NewAlert
from web.sessions import COOKIES

WITHOUT_A_BODY = ("alerts/{id}/block", "alerts/{id}/unblock", "staff/{id}/reset")


async def test_the_document_describes_the_very_fields_that_are_read(visitor: httpx.AsyncClient) -> None:
    found = (await visitor.get("/api/openapi.json")).json()

    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": "https://a.example"}]
    schema = found["components"]["schemas"]["NewAlert"]
    assert set(schema["properties"]) == set(NewAlert.__struct_fields__)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["id"]["pattern"] == "^[0-9a-f]{32}$"


async def test_every_documented_path_is_served(visitor: httpx.AsyncClient) -> None:
    for path, operations in document(intake=True)["paths"].items():
        for method in operations:
            address = path.replace("{upload}", "0" * 32).replace("{part}", "0").replace("{sha256}", "0" * 64)
            response = await visitor.request(method, address)
            assert response.status_code != 405, (method, path)
            is_of_somebody = "mailbox" in path or "forms" in path
            assert "error" not in response.json() or response.status_code != 404 or is_of_somebody


async def test_every_address_of_the_api_that_is_served_is_in_the_document(
    node: Any, visitor: httpx.AsyncClient
) -> None:
    written = (await visitor.get("/api/openapi.json")).json()["paths"]

    served = {
        (route.path_format, method.lower())
        for route in routes(node.settings)
        if isinstance(route, Route) and route.path.startswith("/api/v1/")
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert {
        (path, method) for path, found in written.items() if path.startswith("/api/") for method in found
    } == served
    operations = [one for found in written.values() for one in found.values()]
    assert all(one["summary"] and one["responses"] for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)


async def test_every_reference_and_every_kind_of_sign_in_of_the_document_is_explained(
    visitor: httpx.AsyncClient,
) -> None:
    found = (await visitor.get("/api/openapi.json")).json()
    text = json.dumps(found)

    named = set(re.findall(r'"#/components/schemas/([\w.-]+)"', text))
    schemes = {
        name
        for paths in found["paths"].values()
        for one in paths.values()
        for asked in one.get("security", [])
        for name in asked
    }

    assert named == set(found["components"]["schemas"])
    assert schemes == set(found["components"]["securitySchemes"]) == {"mailbox", "desk"}
    cookie = found["components"]["securitySchemes"]["desk"]["name"]
    assert COOKIES[cookie] == "/api/v1/desk"


async def test_every_body_the_desk_reads_is_described_field_by_field(visitor: httpx.AsyncClient) -> None:
    found = (await visitor.get("/api/openapi.json")).json()
    schemas = found["components"]["schemas"]

    undescribed = [
        f"{method} {path}"
        for path, operations in found["paths"].items()
        if path.startswith("/api/v1/desk/")
        for method, one in operations.items()
        if method in {"post", "put"} and "requestBody" not in one
    ]
    reference = found["paths"]["/api/v1/desk/alerts/{id}/close"]["post"]["requestBody"]["content"]
    close = schemas[reference["application/json"]["schema"]["$ref"].rpartition("/")[2]]

    assert undescribed == sorted(f"post /api/v1/desk/{path}" for path in WITHOUT_A_BODY)
    assert set(close["properties"]) == set(Close.__struct_fields__)
    assert close["additionalProperties"] is False


def test_what_a_handler_says_it_reads_is_what_it_reads() -> None:
    """`@takes(Kind)` stands above each handler that calls `read_json(request, Kind)`, with the same kind."""
    said, read = set(), set()
    for path in Path("web/pages").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.AsyncFunctionDef):
                continue
            place = (path.name, function.name, function.lineno)
            for call in (one for one in ast.walk(function) if isinstance(one, ast.Call)):
                name = ast.unparse(call.func)
                if name == "read_json" and len(call.args) == 2:
                    read.add((*place, ast.unparse(call.args[1])))
            said |= {
                (*place, ast.unparse(one.args[0]))
                for one in function.decorator_list
                if isinstance(one, ast.Call) and ast.unparse(one.func) == "takes"
            }

    assert read - said == set()
    # Those read their bytes themselves.
    assert {(name, kind) for _, name, _, kind in said - read} == {
        ("post_alert", "NewAlert"),
        ("enter_alert", "NewAlert"),
        ("add_picture", "OCTETS"),
    }


def test_a_hub_describes_no_door_for_alerts() -> None:
    assert set(document(intake=False)["paths"]) == {"/api/v1/cases"}
    assert "mailbox" not in str(document(intake=False))


@pytest.mark.parametrize("query", ["", "?page=0", "?page=x&state=%00", "?q=" + "x" * 5000, "?unknown=1"])
async def test_any_query_is_answered(visitor: httpx.AsyncClient, query: str) -> None:
    response = await visitor.get(f"/api/v1/cases{query}")

    assert response.status_code == 200
    assert response.json()["total"] == 0
    assert response.headers["access-control-allow-origin"] == "*"
    assert "set-cookie" not in response.headers
