"""The read API and its description."""

import httpx
import pytest

from web.pages.api import document
from web.pages.intake import NewAlert


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
            address = path.replace("{upload}", "0" * 32).replace("{part}", "0")
            response = await visitor.request(method, address)
            assert response.status_code != 405, (method, path)
            assert "error" not in response.json() or response.status_code != 404 or "mailbox" in path


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
