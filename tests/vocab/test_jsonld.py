"""Strict JSON, JSON-LD through bundled contexts only, and canonical statements within limits."""

import hashlib
import json
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vocab import vectors
from vocab import jsonld, terms
from vocab.canonical import canonical
from vocab.errors import Malformed, NotCanonical, TooLarge, UnknownContext, VocabError

JLD = "https://w3c.github.io/json-ld-api/tests/"

# ---- bytes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":["\\udc00\\ud800"]}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\n"}',
        b'{"a":1} {"b":2}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":' + b"9" * 5000 + b"}",
    ],
    ids=range(23),
)
def test_json_that_two_parsers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        jsonld.parse(body)


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        jsonld.parse(b'{"a":"' + b"x" * 100 + b'"}', max_bytes=100)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [33, 1_000, 100_000])
def test_deep_nesting_is_refused_without_a_stack_overflow(opening: bytes, depth: int) -> None:
    closing = b"]" if opening == b"[" else b"}"

    with pytest.raises(Malformed):
        jsonld.parse(b'{"a":' + opening * depth + b"1" + closing * depth + b"}")


def test_nesting_is_counted_exactly() -> None:
    at_limit = b'{"a":' * 32 + b"1" + b"}" * 32

    assert jsonld.parse(at_limit)
    with pytest.raises(TooLarge):
        jsonld.parse(at_limit, max_depth=31)


@pytest.mark.parametrize(
    "body", [b'{"a":[' + b"1," * 10_000 + b"1]}", b'{"a":[{},' + b"{}," * 9_999 + b"{}]}"]
)
def test_wide_arrays_are_refused(body: bytes) -> None:
    with pytest.raises(TooLarge):
        jsonld.parse(body)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert jsonld.parse(rb'{"a":"\ud83d\ude00"}') == {"a": "\N{GRINNING FACE}"}


def test_members_are_written_in_the_order_they_were_put_in() -> None:
    document = {"contentMap": {"uk": "2", "en": "1"}, "a": [1, "é"]}

    assert jsonld.write(document) == '{"contentMap":{"uk":"2","en":"1"},"a":[1,"é"]}'.encode()


def test_a_whole_number_beyond_2_53_is_what_it_is_to_ecmascript() -> None:
    read = jsonld.parse(
        b'{"a":9007199254740991,"b":-9007199254740991,"c":9007199254740993,"d":12345678901234567890123}'
    )

    assert read == {"a": 2**53 - 1, "b": -(2**53) + 1, "c": 9007199254740992.0, "d": 1.2345678901234568e22}
    assert isinstance(read["a"], int)
    assert (
        canonical(read)
        == b'{"a":9007199254740991,"b":-9007199254740991,"c":9007199254740992,"d":1.2345678901234568e+22}'
    )


@pytest.mark.parametrize("spelling", ["640", "640.0", "6.4e2", "64E1", "6400e-1"])
@pytest.mark.parametrize("room", ["", " "])
def test_a_number_that_is_whole_is_the_same_however_it_is_spelled(spelling: str, room: str) -> None:
    """A proof holds for all of them: whoever passes a document on chooses one."""
    read = jsonld.parse(f'{{"a":{room}{spelling},"b":{room}[0.5,-0.0]}}'.encode())

    assert repr(read) == "{'a': 640, 'b': [0.5, 0]}"


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(text, json_values, max_size=5))
def test_what_is_written_reads_the_same(document: dict[str, Any]) -> None:
    assert jsonld.parse(json.dumps(document).encode()) == document
    assert jsonld.parse(jsonld.write(document)) == document


# ---- contexts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [jsonld.expand, jsonld.canonize])
@pytest.mark.parametrize(
    "context",
    [
        "https://evil.example/context",
        [terms.AS, "https://evil.example/context"],
        [terms.AS, {"a": {"@id": "as:a", "@context": "https://evil.example/context"}}],
        "file:///etc/passwd",
    ],
    ids=["alone", "beside", "within", "file"],
)
def test_a_context_that_is_not_bundled_is_never_fetched(step: Callable[..., object], context: object) -> None:
    with pytest.raises(UnknownContext):
        step({"@context": context, "type": "Note", "a": {"b": 1}})


A_NOTE = {
    "@context": [terms.SECURITY_V1, terms.AS],
    "id": "https://a.example/1",
    "type": "Like",
    "name": "one",
}


@pytest.mark.parametrize("address", [terms.SECURITY_V1, "https://evil.example/context"])
@pytest.mark.parametrize("place", ["on top", "beside", "of a term", "within"])
def test_a_context_that_imports_another_is_refused_and_changes_nothing_for_the_next(
    address: str, place: str
) -> None:
    """pyld writes into what is imported, which would be another context then for everybody."""
    changed = {"@version": 1.1, "@import": address, "id": None, "name": "https://evil.example/name"}
    document: dict[str, dict[str, Any]] = {
        "on top": {"@context": changed},
        "beside": {"@context": [{"x": "https://a.example/x"}, changed]},
        "of a term": {"@context": {"x": {"@id": "https://a.example/x", "@context": changed}}},
        "within": {"https://a.example/x": {"@context": changed}},
    }
    before = jsonld.canonize(A_NOTE)

    with pytest.raises(Malformed, match="imports"):
        jsonld.canonize(document[place])

    assert jsonld.canonize(A_NOTE) == before


def test_what_one_document_does_to_a_context_stays_there() -> None:
    before = jsonld.canonize(A_NOTE)

    loaded = jsonld._load(terms.AS, {})["document"]
    loaded["@context"].update({"name": "https://evil.example/name", "Like": "as:Delete"})

    assert jsonld.canonize(A_NOTE) == before
    assert jsonld.context(terms.AS) != loaded


E = "https://e.example/"
MANY = {f"t{number}": f"{E}{number}" for number in range(600)}
LONG_CONTEXTS: dict[str, dict[str, Any]] = {
    "many": {"@context": [terms.AS, "https://w3id.org/security/v2"] * 100},
    "of a type": {
        "@context": [terms.AS, {"T": {"@id": E, "@context": [terms.SECURITY_V1, terms.AS] * 40}}],
        "tag": [{"type": "T", "name": str(number)} for number in range(40)],
    },
    "of a term": {
        "@context": [terms.AS, {"p": {"@id": E, "@context": [MANY]}}],
        "p": [{"name": str(number)} for number in range(600)],
    },
    "within, each on the many": {
        "@context": [terms.AS, MANY],
        "tag": [{"@context": {f"x{number}": E}, "name": "x"} for number in range(100)],
    },
    "nothing, in each place": {
        "@context": [terms.AS, {"p": {"@id": E, "@context": [{}] * 400}}],
        "p": [{"id": f"{E}{number}"} for number in range(400)],
    },
    "a long base": {"@context": [terms.AS, {"@base": E + "a/" * 200}], "url": "x"},
    "a long base made of two": {
        "@context": [terms.AS, {"@base": E + "a/" * 100}, {"@base": "b/" * 100}],
        "url": "x",
    },
    "a long prefix": {"@context": [terms.AS, {"p": E + "a/" * 200}], "url": "p:x"},
    "a long prefix made of two": {
        "@context": [terms.AS, {"p": E + "a/" * 100, "q": "p:" + "b/" * 100}],
        "url": "q:x",
    },
    "a long vocabulary": {"@context": [terms.AS, {"@vocab": E + "a/" * 200}], "zz": "x"},
}


@pytest.mark.parametrize("step", [jsonld.expand, jsonld.canonize])
@pytest.mark.parametrize("contexts", LONG_CONTEXTS)
def test_contexts_made_to_be_read_for_ever_are_too_large(step: Callable[..., object], contexts: str) -> None:
    # By the budget for contexts, and by no other limit.
    with pytest.raises(TooLarge, match="context"):
        step(LONG_CONTEXTS[contexts])


def test_contexts_such_as_people_write_are_read() -> None:
    honest = [
        terms.AS,
        terms.SECURITY_V1,
        terms.DATA_INTEGRITY_V1,
        terms.CASE_TERMS,
        {f"t{number}": f"{E}{number}" for number in range(60)},
    ]
    members = {"tag": [{"type": "Hashtag", "name": str(number)} for number in range(200)]}

    assert jsonld.canonize({"@context": honest, "id": E, **members})


def test_an_unknown_context_to_compact_with_is_an_error_too() -> None:
    with pytest.raises(UnknownContext):
        jsonld.compact([], "https://evil.example/context")


def test_the_bundled_contexts_are_the_published_ones() -> None:
    folder = resources.files("vocab").joinpath("contexts")
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in folder.joinpath("SOURCES.md").read_text("utf-8").splitlines()
        if line.startswith("|") and ".jsonld" in line
    ]

    assert {row[0] for row in rows} == {
        item.name for item in folder.iterdir() if item.name.endswith(".jsonld")
    }
    for name, address, digest in rows:
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest
        assert address in jsonld.known_contexts()


@pytest.mark.parametrize("address", sorted(jsonld.known_contexts()))
def test_every_known_context_can_be_used(address: str) -> None:
    expanded = jsonld.expand({"@context": address, "@id": "https://a.example/1", "https://a.example/p": 1})

    assert expanded == [{"@id": "https://a.example/1", "https://a.example/p": [{"@value": 1}]}]


def test_an_old_spelling_of_a_context_is_known() -> None:
    assert jsonld.expand(
        {"@context": "http://www.w3.org/ns/activitystreams#", "id": "https://a.example/1", "type": "Note"}
    )


def test_contexts_we_write_name_every_term_they_should() -> None:
    actor = {
        "@context": terms.ACTOR_CONTEXT,
        "id": "https://a.example/a",
        "type": "Organization",
        "assertionMethod": [
            {"id": "https://a.example/a#k", "type": "Multikey", "publicKeyMultibase": "z6Mk"}
        ],
        "discoverable": True,
        "attributionDomains": ["a.example"],
    }

    [expanded] = jsonld.expand(actor)

    assert "https://w3id.org/security#assertionMethod" in expanded
    assert "http://joinmastodon.org/ns#discoverable" in expanded
    assert not [key for key in expanded if key.startswith("_:")]


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("QuoteRequest", "https://w3id.org/fep/044f#QuoteRequest"),
        ("QuoteAuthorization", "https://w3id.org/fep/044f#QuoteAuthorization"),
        ("ReplyRequest", "https://gotosocial.org/ns#ReplyRequest"),
        ("ReplyAuthorization", "https://gotosocial.org/ns#ReplyAuthorization"),
        ("LikeRequest", "https://gotosocial.org/ns#LikeRequest"),
        ("LikeAuthorization", "https://gotosocial.org/ns#LikeApproval"),
        ("AnnounceRequest", "https://gotosocial.org/ns#AnnounceRequest"),
        ("AnnounceAuthorization", "https://gotosocial.org/ns#AnnounceAuthorization"),
    ],
)
def test_stamps_and_requests_mean_what_their_own_context_says(kind: str, address: str) -> None:
    """Their own context: the one that GoToSocial publishes, https://gotosocial.org/ns."""
    stamp = {"@context": terms.STAMP_CONTEXT, "type": kind, "interactingObject": "https://a.example/1"}

    [expanded] = jsonld.expand(stamp)

    assert expanded["@type"] == [address]
    assert expanded["https://gotosocial.org/ns#interactingObject"] == [{"@id": "https://a.example/1"}]


@pytest.mark.parametrize(
    "document", [{"@context": 7}, {"@id": 7}, {"@context": {"a": {"@id": []}}, "a": 1}, {"@type": {}}]
)
def test_what_is_not_json_ld_is_malformed(document: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        jsonld.expand(document)


# ---- conformance ---------------------------------------------------------------------------------------------------

# What pyld 3.3 does otherwise. Nothing that is signed with the proofs we check depends on it.
NOT_HERE = {
    "#twf05": "a language tag that is not well-formed is kept, not dropped",
    "#test060c": "control characters and escapes in N-Quads are written as RDF 1.1 has them",
}


@pytest.mark.filterwarnings("ignore:terms beginning with:SyntaxWarning")
@pytest.mark.parametrize("entry", vectors.entries("json-ld-api/expand-manifest.jsonld", "sequence"))
def test_expansion_conforms(entry: dict[str, Any]) -> None:
    _conforms(entry, lambda base: jsonld.expand(vectors.read(f"json-ld-api/{entry['input']}"), base=base))


@pytest.mark.parametrize("entry", vectors.entries("json-ld-api/compact-manifest.jsonld", "sequence"))
def test_compaction_conforms(entry: dict[str, Any]) -> None:
    def run(base: str) -> object:
        context = vectors.read(f"json-ld-api/{entry['context']}")
        return jsonld.compact(vectors.read(f"json-ld-api/{entry['input']}"), context, base=base)

    _conforms(entry, run)


@pytest.mark.parametrize("entry", vectors.entries("json-ld-api/toRdf-manifest.jsonld", "sequence"))
def test_statements_conform(entry: dict[str, Any]) -> None:
    def run(base: str) -> object:
        return jsonld.canonize(vectors.read(f"json-ld-api/{entry['input']}"), base=base)

    _conforms(entry, run)


def _conforms(entry: dict[str, Any], run: Callable[[str], object]) -> None:
    if entry["@id"] in NOT_HERE:
        pytest.xfail(NOT_HERE[entry["@id"]])
    base = entry.get("option", {}).get("base", JLD + entry["input"])
    if entry["@id"] == "#tc031":
        # Its context lies beside it on the server of the tests, and none is fetched.
        with pytest.raises(UnknownContext):
            run(base)
        return
    if "expectErrorCode" in entry:
        with pytest.raises(VocabError):
            run(base)
        return
    if "expect" not in entry:
        run(base)
        return
    if entry["expect"].endswith(".nq"):
        wanted = (vectors.HOME / "json-ld-api" / entry["expect"]).read_text("utf-8")
        assert run(base) == jsonld.canonize_nquads(wanted)
    else:
        assert run(base) == vectors.read(f"json-ld-api/{entry['expect']}")


def _ours(entry: dict[str, Any]) -> bool:
    # The map of issued names is not part of our interface, and the proofs we check use SHA-256 only.
    return bool(entry["type"] != "rdfc:RDFC10MapTest" and entry.get("hashAlgorithm", "SHA256") == "SHA256")


@pytest.mark.parametrize("entry", vectors.entries("rdf-canon/manifest.jsonld", "entries", _ours))
def test_canonicalisation_conforms(entry: dict[str, Any]) -> None:
    if entry["id"] in NOT_HERE:
        pytest.xfail(NOT_HERE[entry["id"]])
    quads = (vectors.HOME / "rdf-canon" / entry["action"]).read_text("utf-8")

    if entry["type"] == "rdfc:RDFC10NegativeEvalTest":
        with pytest.raises(NotCanonical):
            jsonld.canonize_nquads(quads)
        return

    wanted = (vectors.HOME / "rdf-canon" / entry["result"]).read_text("utf-8")
    assert jsonld.canonize_nquads(quads) == wanted


@pytest.mark.parametrize("size", [9, 12, 40, 99, 250])
@pytest.mark.parametrize("shape", ["clique", "ring"])
def test_a_graph_made_to_take_for_ever_is_given_up_at_once(size: int, shape: str) -> None:
    def others(one: int) -> list[int]:
        return [other for other in range(size) if other != one] if shape == "clique" else [(one + 1) % size]

    nodes = [
        {"@id": f"_:b{one}", "p": [{"@id": f"_:b{other}"} for other in others(one)]} for one in range(size)
    ]
    document = {"@context": {"p": "https://a.example/p"}, "@graph": nodes}
    begun = time.process_time()

    if shape == "ring" and size < 50:
        assert jsonld.canonize(document)
    else:
        with pytest.raises((NotCanonical, TooLarge)):
            jsonld.canonize(document)

    assert time.process_time() - begun < 5


def test_nesting_that_exhausts_the_stack_is_too_large() -> None:
    document: dict[str, Any] = {"@context": {"p": "https://a.example/p"}}
    inner = document
    for _ in range(2000):
        inner["p"] = {}
        inner = inner["p"]

    with pytest.raises(TooLarge):
        jsonld.expand(document)


def many(count: int) -> list[str]:
    return [f"https://a.example/{number}" for number in range(count)]


@pytest.mark.parametrize("step", [jsonld.expand, jsonld.canonize])
@pytest.mark.parametrize(
    "members",
    [
        {"to": many(1001)},
        {"object": {"id": "https://a.example/2", "to": many(1001)}},
        {"object": [{"id": "https://a.example/2", "to": [url]} for url in many(700)]},
        {"to": many(800), "cc": many(800), "audience": many(800)},
    ],
    ids=["of one member", "within", "of one node, written in many places", "in all"],
)
def test_more_values_than_are_compared_in_a_second_are_refused(step: Any, members: dict[str, Any]) -> None:
    document = {"@context": terms.AS, "id": "https://a.example/1", "type": "Note", **members}
    begun = time.process_time()

    with pytest.raises(TooLarge):
        step(document)

    assert time.process_time() - begun < 0.5


def test_as_many_values_as_are_compared_are_read() -> None:
    document = {"@context": terms.AS, "id": "https://a.example/1", "type": "Note", "to": many(1000)}

    assert jsonld.canonize(document).count("\n") == 1001


def test_more_blank_nodes_than_the_limit_are_refused() -> None:
    document = {"@context": {"p": "https://a.example/p"}, "p": [{"p": number} for number in range(10)]}

    with pytest.raises(NotCanonical):
        jsonld.canonize(document, max_blank_nodes=10)
    assert jsonld.canonize(document, max_blank_nodes=11)


def test_more_statements_than_the_limit_are_refused() -> None:
    quads = "".join(f"<https://a.example/{number}> <https://a.example/p> _:a .\n" for number in range(2001))

    with pytest.raises(TooLarge):
        jsonld.canonize_nquads(quads)


TOMB = "<https://a.example/1> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <https://www.w3.org/ns/activitystreams#Tombstone> .\n"
FORMER = (
    "<https://a.example/1> <https://www.w3.org/ns/activitystreams#formerType> <https://b.example/Note> .\n"
)


@pytest.mark.parametrize(
    ("base", "statements"),
    [
        ([], TOMB),
        ([{"@base": None}], TOMB),
        ([{"@base": "https://b.example/x"}], TOMB + FORMER),
        ([{"@base": "https://b.example/x"}, None, terms.AS], TOMB),
    ],
    ids=["none", "taken away", "in the context", "forgotten"],
)
def test_a_relative_address_without_a_base_is_no_statement(base: list[object], statements: str) -> None:
    """As jsonld.js and json-gold have it: otherwise what they signed would not be what is checked."""
    document = {
        "@context": [terms.AS, *base],
        "id": "https://a.example/1",
        "type": "Tombstone",
        "formerType": "Note",
    }

    assert jsonld.canonize(document) == statements


def test_a_relative_address_is_read_against_the_base_that_is_given() -> None:
    document = {"@context": terms.AS, "id": "1", "type": "Tombstone", "formerType": "https://b.example/Note"}

    assert jsonld.canonize(document, base="https://a.example/") == TOMB + FORMER


def test_a_list_of_addresses_and_something_else_is_refused() -> None:
    document = {"@context": terms.AS, "id": "https://a.example/1", "orderedItems": [JLD, "relative"]}

    with pytest.raises(Malformed):
        jsonld.canonize(document)


def test_canonical_statements_do_not_depend_on_the_names_of_blank_nodes() -> None:
    one = {"@context": {"p": "https://a.example/p"}, "p": [{"p": 1}, {"p": 2}]}
    other = {
        "@context": {"p": "https://a.example/p"},
        "@id": "_:z",
        "p": [{"@id": "_:b", "p": 2}, {"@id": "_:a", "p": 1}],
    }

    assert jsonld.canonize(one) == jsonld.canonize(other)


@pytest.mark.parametrize("path", vectors.paths("activitystreams/*.json"))
def test_the_examples_of_the_specification_parse_and_expand(path: Any) -> None:
    body = path.read_bytes()
    if path.name == "vocabulary-ex196-jsonld.json":
        # Published with a raw control character in a string.
        with pytest.raises(Malformed):
            jsonld.parse(body)
        return

    jsonld.expand(jsonld.parse(body))


@pytest.mark.parametrize("body", [rb'{"a":"x\u0000"}', rb'{"a":"\\\u0000"}', rb'{"\u0000":1}'])
def test_a_null_character_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="null"):
        jsonld.parse(body)


def test_words_that_only_look_like_one_are_kept() -> None:
    assert jsonld.parse(rb'{"a":"\\u0000"}') == {"a": r"\u0000"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":9007199254740991}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":9007199254740993}',
        b'{"a":-9007199254740993}',
        b'{"a":1e400}',
        b'{"a":1.0}',
        b'{"a":1e5}',
        b'{"a":100000.0}',
        b'{"a":9007199254740991.0}',
        b'{"a":9007199254740992.0}',
        b'{"a":1e22}',
        b'{"a":-0}',
        b'{"a":-0.0}',
        b'{"a":0.1}',
        b'{"a":0.12345678901234567}',
        b'{"a":NaN}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\\\u0000"}',
        b'{"a\\u0000":1}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\x01"}',
        b'{"a":"\x00"}',
        b'{"a":"\x7f\xe2\x80\xa8"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1} ',
        b'{"a":1}{}',
        b'{"a":01}',
        b'["a"]',
        b"null",
        b"",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"[" * 31 + b"]" * 31 + b"}",
        b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"a":[' + b"1," * 10_000 + b"1]}",
        b'{"a":"1234567890123456","b":[true,false,null,{}]}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_the_quick_reading_and_the_strict_one_agree(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> object:
        try:
            read = jsonld.parse(body)
        except VocabError as error:
            return type(error)
        return repr(read)

    quick = told()
    monkeypatch.setattr("vocab.jsonld._plain", lambda _: None)

    assert told() == quick


def test_what_we_write_is_read_quickly() -> None:
    document = {"a": ["é \u2028", 1, 1.5, None, True], "b": {"a": "\\u00e9"}}

    assert jsonld._plain(jsonld.write(document)) == document


def test_an_id_of_many_digits_is_no_number() -> None:
    """As Mastodon numbers what people write: still read quickly."""
    body = b'{"id":"https://b.example/users/a/statuses/109876543210987654"}'

    assert jsonld._plain(body) == jsonld.parse(body)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)
whole_numbers = st.integers(-(2**54), 2**54) | st.integers(min_value=-(2**63), max_value=2**64 - 1)
nested = st.recursive(
    whole_numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(words, nested))
def test_whole_numbers_are_read_alike_however_they_are_read(value: dict[str, object]) -> None:
    body = jsonld.write(value)

    with pytest.MonkeyPatch.context() as patch:
        quick = repr(jsonld.parse(body))
        patch.setattr("vocab.jsonld._plain", lambda _: None)
        assert repr(jsonld.parse(body)) == quick
