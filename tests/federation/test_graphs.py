"""Statements back to one document: other trees of the same statements are refused, and only statements survive."""

from typing import Any

import pytest

from federation import graphs
from federation.requests import Reason, Refused
from vocab import jsonld, terms

BOB = "https://remote.example/users/bob"
NOTE = "https://b.example/notes/1"


def an_announce(**more: object) -> dict[str, Any]:
    return {
        "@context": [terms.AS, terms.SECURITY_V1],
        "id": f"{BOB}/announces/1",
        "type": "Announce",
        "actor": BOB,
        "object": NOTE,
        **more,
    }


def settled(document: dict[str, Any]) -> dict[str, Any] | Refused:
    return graphs.settle(document, jsonld.canonize(document))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"@context": terms.AS, "type": "Note"}, id="a root without an id"),
        pytest.param(
            an_announce(object={"id": NOTE, "type": "Note", "context": f"{BOB}/announces/1"}),
            id="an arrow back to the root",
        ),
        pytest.param(
            {"@context": terms.AS, "@graph": [an_announce(), an_announce(id="https://b.example/2")]},
            id="two roots",
        ),
        pytest.param(
            an_announce(**{"@included": [{"id": "https://b.example/2", "type": "Note"}]}),
            id="beside the root",
        ),
        pytest.param(
            an_announce(**{"@reverse": {"object": {"id": "https://b.example/2", "type": "Undo"}}}),
            id="above the root",
        ),
        pytest.param(
            an_announce(target={"id": "https://b.example/2", "@graph": [{"id": NOTE, "name": "x"}]}),
            id="a graph",
        ),
        pytest.param(
            an_announce(object={"id": "_:a", "type": "Note"}, target={"id": "_:a"}),
            id="a nameless node in two places",
        ),
        pytest.param(
            {
                "@context": terms.AS,
                "id": "https://b.example/0",
                "type": "Note",
                "@included": [
                    {"id": f"https://b.example/{n}", "replies": f"https://b.example/{n + 1}"}
                    for n in range(60)
                ],
            },
            id="a chain deeper than any document",
        ),
    ],
)
def test_statements_that_make_no_single_tree_are_refused(document: dict[str, Any]) -> None:
    outcome = settled(document)

    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.STRUCTURE


def test_an_actor_may_point_back_from_its_key_and_its_links() -> None:
    actor = {
        "@context": [terms.AS, terms.SECURITY_V1],
        "id": BOB,
        "type": "Person",
        "inbox": f"{BOB}/inbox",
        "url": [{"type": "Link", "href": BOB}],
        "publicKey": {"id": "https://remote.example/keys/1", "owner": BOB, "publicKeyPem": "…"},
    }

    outcome = settled(actor)

    assert not isinstance(outcome, Refused)
    assert outcome["publicKey"] == actor["publicKey"]


def test_what_is_not_a_statement_does_not_survive() -> None:
    document = an_announce(
        unknown="ActivityStreams maps it to a nameless predicate",
        type=["Announce", "UnknownType"],
        object={
            "id": NOTE,
            "type": "Note",
            "unknown": {"id": "https://b.example/x"},
        },
    )

    outcome = settled(document)

    assert not isinstance(outcome, Refused)
    assert outcome == {
        "@context": graphs.CONTEXT,
        "id": f"{BOB}/announces/1",
        "type": "Announce",
        "actor": BOB,
        "object": {"id": NOTE, "type": "Note"},
    }


def test_values_come_back_as_they_were() -> None:
    document = {
        "@context": graphs.CONTEXT,
        "id": "https://b.example/cases/1",
        "type": "Article",
        "content": 'a "quoted" line\nand a \\ tab\t — ένα',
        "contentMap": {"el": "ένα", "en": "one"},
        "published": "2026-11-21T12:00:00Z",
        "sensitive": False,
        "totalItems": 3,
        "latitude": 1.5,
        "tag": [{"type": "Hashtag", "name": "#housing"}],
        "srt:provision": ["31.2", "31.1"],
        "srt:relatedNothing": "a plain term of ours",
    }

    outcome = settled(document)

    assert not isinstance(outcome, Refused)
    for name in (
        "content",
        "contentMap",
        "published",
        "sensitive",
        "totalItems",
        "latitude",
        "srt:provision",
    ):
        assert outcome[name] == document[name], name
    assert outcome["srt:relatedNothing"] == "a plain term of ours"
    assert outcome["tag"] == {"type": "Hashtag", "name": "#housing"}


def test_a_node_with_members_in_two_places_is_whole_in_one() -> None:
    outcome = settled(an_announce(object={"id": NOTE, "type": "Note"}, target={"id": NOTE, "name": "again"}))

    assert not isinstance(outcome, Refused)
    assert outcome["object"] == {"id": NOTE, "type": "Note", "name": "again"}
    assert outcome["target"] == NOTE


def test_lists_keep_their_order_and_may_be_empty() -> None:
    collection = {
        "@context": terms.AS,
        "id": "https://b.example/outbox",
        "type": "OrderedCollection",
        "orderedItems": [f"https://b.example/{n}" for n in (3, 1, 2)],
    }
    empty = {**collection, "orderedItems": []}

    one, other = settled(collection), settled(empty)

    assert not isinstance(one, Refused)
    assert not isinstance(other, Refused)
    assert one["orderedItems"] == collection["orderedItems"]
    assert other.get("orderedItems", []) == []


def test_only_sound_statements_may_be_signed() -> None:
    graphs.check_statements('<https://b.example/1> <https://b.example/p> "one" .\n')
    with pytest.raises(ValueError, match="another"):
        graphs.check_statements("<https://b.example/ 1> <https://b.example/p> <https://b.example/2> .\n")


def test_numbers_and_truth_values_that_are_none_stay_text() -> None:
    quads = "".join(
        f'<https://b.example/1> <https://b.example/{name}> "{text}"^^<http://www.w3.org/2001/XMLSchema#{name}> .\n'
        for name, text in (("boolean", "perhaps"), ("double", "INF"), ("integer", "many"))
    )

    outcome = graphs.settle({"@id": "https://b.example/1", "https://b.example/x": "y"}, quads)

    assert not isinstance(outcome, Refused)
    values: dict[str, Any] = {
        name: outcome[f"https://b.example/{name}"] for name in ("boolean", "double", "integer")
    }
    assert [value["@value"] for value in values.values()] == ["perhaps", "INF", "many"]


P = "https://b.example/p"
FIRST, REST = (f"http://www.w3.org/1999/02/22-rdf-syntax-ns#{name}" for name in ("first", "rest"))


@pytest.mark.parametrize(
    "quads",
    [
        pytest.param(
            f"<{NOTE}> <{P}> _:a .\n_:a <{FIRST}> _:b .\n_:a <{REST}> _:a .\n", id="a list without an end"
        ),
        pytest.param(
            f'<{NOTE}> <{P}> _:a .\n_:a <{FIRST}> "1" .\n_:a <{REST}> "2" .\n', id="a list that ends in text"
        ),
        pytest.param(
            f"<{NOTE}> <https://w3id.org/security#proof> _:a .\n_:a <{P}> <{NOTE}> .\n",
            id="a proof that says more",
        ),
        pytest.param(f"<{NOTE}> <{P}> <{NOTE}> <https://b.example/graph> .\n", id="a named graph"),
    ],
)
def test_statements_that_no_document_makes_are_refused(quads: str) -> None:
    outcome = graphs.settle({"@id": NOTE, P: "x"}, quads)

    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.STRUCTURE


def test_a_document_under_an_unknown_context_is_refused() -> None:
    outcome = graphs.settle({"@context": "https://evil.example/context", "id": NOTE}, "")

    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.CONTEXT
