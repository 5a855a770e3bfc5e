"""NodeInfo: ours fits the published schema, and a stranger's leads nowhere but to itself."""

from typing import Any

import pytest

from federation import nodeinfo
from federation.errors import BadAnswer, FetchError, Forbidden
from tests.federation import vectors
from tests.federation.town import Town, a_document

ORIGIN = "https://peer.example"
INDEX = f"{ORIGIN}/.well-known/nodeinfo"


def ours(version: str = "2.1") -> dict[str, Any]:
    return nodeinfo.build(
        version,
        software_version="0.1.0",
        posts=12,
        users=3,
        homepage="https://node.example",
        metadata={"role": "hub"},
    )


def fits(schema: dict[str, Any], value: Any, at: str = "") -> list[str]:
    """What of a value does not fit: the small part of JSON Schema that these schemas use."""
    problems = []
    kinds = {"object": dict, "string": str, "array": list, "boolean": bool, "integer": int}
    if "enum" in schema and value not in schema["enum"]:
        problems.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        problems.append(f"{at}: not of type {schema['type']}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        problems += [f"{at}/{name} is missing" for name in schema.get("required", []) if name not in value]
        if schema.get("additionalProperties") is False:
            problems += [f"{at}/{name} is unknown" for name in value if name not in known]
        for name, inner in known.items():
            if name in value:
                problems += fits(inner, value[name], f"{at}/{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            problems += fits(schema["items"], item, f"{at}/{number}")
    return problems


@pytest.mark.parametrize("version", ["2.1", "2.0"])
def test_ours_fits_the_published_schema(version: str) -> None:
    assert fits(vectors.load(f"nodeinfo/{version}/schema.json"), ours(version)) == []


def test_a_version_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(ValueError, match="not spoken"):
        ours("1.0")


def test_our_index_names_both_versions_and_the_servers_actor() -> None:
    document = nodeinfo.well_known("https://node.example", server_actor="https://node.example/actor")

    assert document == {
        "links": [
            {
                "rel": "http://nodeinfo.diaspora.software/ns/schema/2.1",
                "href": "https://node.example/nodeinfo/2.1",
            },
            {
                "rel": "http://nodeinfo.diaspora.software/ns/schema/2.0",
                "href": "https://node.example/nodeinfo/2.0",
            },
            {
                "rel": "https://www.w3.org/ns/activitystreams#Application",
                "href": "https://node.example/actor",
            },
        ]
    }


async def read(town: Town) -> nodeinfo.NodeInfo:
    async with town.client() as http:
        return await nodeinfo.read(http, ORIGIN)


async def test_a_strangers_is_read() -> None:
    town = Town(
        {INDEX: a_document(nodeinfo.well_known(ORIGIN)), f"{ORIGIN}/nodeinfo/2.1": a_document(ours())}
    )

    found = await read(town)

    assert (found.software, found.version) == ("social-rights-tracker", "0.1.0")
    assert found.protocols == ("activitypub",)
    assert found.metadata == {"role": "hub"}


@pytest.mark.parametrize(
    "href",
    [
        "http://127.0.0.1:6379/",
        "data:application/json,{}",
        "https://other.example/nodeinfo/2.1",
        "http://peer.example/x",
        "/nodeinfo/2.1",
    ],
)
async def test_a_link_to_another_place_is_not_followed(href: str) -> None:
    town = Town({INDEX: a_document({"links": [{"rel": f"{nodeinfo.SCHEMA}2.1", "href": href}]})})

    with pytest.raises(Forbidden):
        await read(town)
    assert town.asked == [INDEX]


@pytest.mark.parametrize(
    "index",
    [
        {},
        {"links": "words"},
        {"links": ["words"]},
        {"links": [{"rel": f"{nodeinfo.SCHEMA}1.0", "href": f"{ORIGIN}/x"}]},
        {"links": [{"rel": f"{nodeinfo.SCHEMA}2.1"}]},
    ],
)
async def test_an_index_without_a_readable_version_is_refused(index: object) -> None:
    with pytest.raises(BadAnswer):
        await read(Town({INDEX: a_document(index)}))


async def test_a_document_without_software_is_refused() -> None:
    town = Town(
        {
            INDEX: a_document(nodeinfo.well_known(ORIGIN)),
            f"{ORIGIN}/nodeinfo/2.1": a_document({"software": []}),
        }
    )

    with pytest.raises(FetchError):
        await read(town)


async def test_odd_members_of_a_strangers_are_passed_over() -> None:
    document = {"software": {"name": "x" * 500, "version": 1}, "protocols": "activitypub", "metadata": []}
    town = Town(
        {INDEX: a_document(nodeinfo.well_known(ORIGIN)), f"{ORIGIN}/nodeinfo/2.1": a_document(document)}
    )

    found = await read(town)

    assert (len(found.software), found.version, found.protocols, found.metadata) == (100, "1", (), {})
