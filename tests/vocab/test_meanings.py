"""Names that a document's own contexts turn into others are found out, and what other software adds is not taken for that."""

from typing import Any

import pytest

from federation.graphs import CONTEXT as OF_GRAPHS
from vocab import terms
from vocab.meanings import reads_alike
from vocab.terms import AS, AS_NAMESPACE, CASE_TERMS, CONTEXT, SRT

NOWHERE = "_:nowhere"


@pytest.mark.parametrize(
    "context",
    [
        terms.CONTEXT,
        terms.ACTIVITY_CONTEXT,
        terms.STAMP_CONTEXT,
        terms.COLLECTION_CONTEXT,
        terms.ACTOR_CONTEXT,
        OF_GRAPHS,
    ],
)
def test_what_we_write_reads_alike(context: Any) -> None:
    assert reads_alike({"@context": context, "type": "Article", "object": {"@context": context}})


HARMLESS: dict[str, Any] = {
    "no context": {},
    "a context that nobody here knows": {"@context": [AS, "https://own.example/ns"]},
    "an old spelling": {"@context": "http://www.w3.org/ns/activitystreams#"},
    "names of their own": {
        "@context": [
            AS,
            {
                "toot": "http://joinmastodon.org/ns#",
                "blurhash": "toot:blurhash",
                "quoteUri": {"@id": "http://fedibird.com/ns#quoteUri", "@type": "@id"},
                "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
                "ostatus": "http://ostatus.org#",
                "schema": "http://schema.org#",
                "forgotten": None,
                "@language": "und",
            },
        ]
    },
    "what everybody says already": {
        "@context": [AS, {"object": {"@id": "as:object", "@type": "@id"}, "as": AS_NAMESPACE, "id": "@id"}]
    },
    "a later version of ours": {
        "@context": [
            AS,
            {**CASE_TERMS, "srt:text": "srt:text", "srt:later": {"@id": "srt:later", "@type": "@id"}},
        ]
    },
    "names as JSON-LD has them": {
        "@context": AS,
        "@id": "https://e.example/1",
        "@type": "Create",
        "o": {"@type": "Note"},
    },
    "a value in a language": {"@context": CONTEXT, "x": {"@value": "1", "@language": "en"}},
}


@pytest.mark.parametrize("document", HARMLESS.values(), ids=HARMLESS)
def test_what_others_add_reads_alike(document: dict[str, Any]) -> None:
    assert reads_alike(document)


TURNED: dict[str, Any] = {
    "a name that means something else": {"object": "as:target"},
    "a name that means nothing": {"actor": None},
    "a name of nowhere": {"object": {"@id": NOWHERE}},
    "a type that means something else": {"Create": "as:Delete"},
    "a type of addresses that is text": {"object": "as:object"},
    "a type of addresses that is of another kind": {"object": {"@id": "as:object", "@type": "@json"}},
    "an index in the place of languages": {"contentMap": {"@id": "as:content", "@container": "@index"}},
    "a second name of the object": {"it": {"@id": "as:object", "@type": "@id"}},
    "a second name, by its name": {"it": "object"},
    "a second name, step by step": {"a": "b:object", "b": "c:", "c": "as:"},
    "more steps than are followed": {
        "x:y": "a:",
        "a": "b:",
        "b": "c:",
        "c": "d:",
        "d": "e:",
        "e": "as:object",
    },
    "a second name, in full": {"it": f"{AS_NAMESPACE}object"},
    "a part of a name": {"x": f"{AS_NAMESPACE}ob"},
    "another prefix for it": {"x": AS_NAMESPACE},
    "another meaning of the prefix": {"as": "https://evil.example/#"},
    "another meaning of ours": {"srt": "https://evil.example/#"},
    "a term of ours that is another": {"srt:text": "srt:summary"},
    "a term of ours that means nothing": {"srt:text": None},
    "a second name of a term of ours": {"text": "srt:text"},
    "another prefix for ours": {"x": SRT},
    "a second word for the type": {"kind": "@type"},
    "what is turned around": {"it": {"@reverse": "as:object"}},
    "what is nested": {"in": "@nest"},
    "a context of a type": {"T": {"@id": "https://e.example/T", "@context": {"object": NOWHERE}}},
    "a base": {"@base": "https://evil.example/"},
    "another vocabulary": {"@vocab": AS_NAMESPACE},
    "another proof": {"proof": "https://evil.example/proof"},
    "a picture's hash that is none": {"digestMultibase": "https://evil.example/x"},
    "an index in the place of a value": {"srt:state": {"@id": f"{SRT}state", "@container": "@index"}},
    "a graph in the place of a record": {
        "srt:related": {"@id": f"{SRT}related", "@container": ["@graph", "@id"]}
    },
    "a value that is a name": {
        "srt:state": {"@id": f"{SRT}state", "@type": "@vocab"},
        "FR": "https://e.example/DE",
    },
    "texts that nobody looks into": {"srt:contentWarning": {"@id": f"{SRT}contentWarning", "@type": "@json"}},
    "a truth value that is lost": {"sensitive": {"@id": "as:sensitive", "@container": "@id"}},
    "a second name of a picture's hash": {"x": "https://w3id.org/security#digestMultibase"},
    "too many to look at": {f"x{number}": "https://e.example/x" for number in range(501)},
}


@pytest.mark.parametrize("where", ["at the top", "within", "in another context"])
@pytest.mark.parametrize("turned", TURNED.values(), ids=TURNED)
def test_a_context_that_takes_a_name_from_its_meaning_is_found_out(
    turned: dict[str, Any], where: str
) -> None:
    documents: dict[str, dict[str, Any]] = {
        "at the top": {"@context": [*CONTEXT, turned]},
        "within": {"@context": CONTEXT, "object": {"tag": [{"@context": turned}]}},
        "in another context": {"@context": [AS, turned, *CONTEXT]},
    }

    assert not reads_alike(documents[where])


DOCUMENTS: dict[str, dict[str, Any]] = {
    "one that gives names to others": {"@context": [AS, "https://w3id.org/identity/v1"]},
    "nothing at all": {"@context": [AS, None]},
    "nothing within": {"@context": AS, "object": {"@context": None}},
    "a number": {"@context": 1},
    "two meanings of one name": {
        "@context": [AS, {"x": "https://e.example/1"}],
        "o": {"@context": {"x": "as:x"}},
    },
    "others beside": {"@context": AS, "@included": [{"id": "https://e.example/"}]},
    "a second type": {"@context": AS, "type": "Create", "@type": "as:Delete"},
    "a name twice": {
        "@context": AS,
        "o": {"object": "https://e.example/1", "as:object": "https://e.example/2"},
    },
    "a name twice, both in full": {
        "@context": AS,
        "as:object": "https://e.example/1",
        f"{AS_NAMESPACE}object": "https://e.example/2",
    },
    "an id that is none": {"@context": AS, "as:id": "https://e.example/1"},
    "a name by language that is none": {"@context": AS, "name": "x", "as:nameMap": {"en": "y"}},
    "a term that is none": {"@context": CONTEXT, "as:srt:state": "DE", f"{SRT}state": "FR"},
    "a picture's hash twice": {
        "@context": [*CONTEXT, {"sec": "https://w3id.org/security#"}],
        "image": {"digestMultibase": "zA", "sec:digestMultibase": "zB"},
    },
    "a term before its prefix": {
        "@context": [AS, {"srt:contentWarning": {"@id": "srt:contentWarning"}}, CASE_TERMS]
    },
    "terms before what they hang on": {"@context": [CASE_TERMS, AS]},
    "terms that hang on nothing": {"@context": {"type": "@type"}, "type": "Article"},
    "a term twice": {"@context": AS, "srt:text": {}, f"{SRT}text": {"en": "x"}},
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_two_readers_would_read_otherwise_is_found_out(document: dict[str, Any]) -> None:
    assert not reads_alike(document)
