"""What strangers might send: honest messages with a few things changed, and bytes with a few bytes changed."""

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from importlib import resources
from typing import Any

from hypothesis import strategies as st

from federation.keys import Signer
from federation.proofs import attach
from federation.requests import SignedRequest
from tests.federation.requests_to_us import BODY, NOW, cavage_signed, rfc9421_signed, signed
from tests.federation.requests_to_us import RSA as PEER
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.publications import a_case
from vocab.cases import write_case
from vocab.terms import AS, DATA_INTEGRITY_V1, PUBLIC, SECURITY_V1

Json = dict[str, Any]

SAM = "https://stranger.example/users/sam"
PROVER = ed25519_key("stranger").signer(f"{SAM}#ed25519-key")
RSA = rsa_key("stranger").signer(f"{SAM}#main-key")

NAMES = (
    *(
        "@context",
        "@id",
        "@type",
        "@value",
        "@language",
        "@graph",
        "@included",
        "@reverse",
        "@list",
        "@set",
        "@nest",
    ),
    *(
        "id",
        "type",
        "actor",
        "object",
        "target",
        "to",
        "cc",
        "content",
        "contentMap",
        "name",
        "published",
        "updated",
    ),
    *(
        "attributedTo",
        "inReplyTo",
        "proof",
        "signature",
        "publicKey",
        "owner",
        "inbox",
        "endpoints",
        "tag",
        "url",
    ),
)
TEXTS = (
    *(
        "",
        "x",
        "\u0000",
        "\u202e",
        "\ud800",
        "é" * 100,
        "x" * 3000,
        "[" * 500,
        "<" * 500,
        "https://[",
        "https://x:99999/",
    ),
    *(
        "https://",
        "http://127.0.0.1/",
        "https://stranger.example/1",
        SAM,
        PUBLIC,
        AS,
        "as:Public",
        "acct:a@b",
        "_:b0",
    ),
    *(
        "2026-02-30T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-11-21T12:00:00Z",
        "P1Y",
        "Create",
        "Follow",
        "Delete",
    ),
)
NUMBERS = (0, -0.0, 1, -1, 2**53, 2**63, 10**30, 1e300, 0.1, True, False, None)


def documents() -> tuple[Json, ...]:
    """Honest documents of every kind that is read here."""
    case = write_case(
        a_case(), id="https://stranger.example/cases/1", actor=SAM, published=NOW, to=[PUBLIC], cc=[]
    )
    note = {
        "id": "https://stranger.example/notes/1",
        "type": "Note",
        "attributedTo": SAM,
        "inReplyTo": "https://node.example/cases/1",
        "content": "<p>x</p>",
        "contentMap": {"en": "<p>x</p>"},
        "tag": [{"type": "Mention", "href": SAM, "name": "@sam"}],
        "published": "2026-11-21T12:00:00Z",
        "to": [PUBLIC],
    }
    actor = {
        "@context": [AS, SECURITY_V1, DATA_INTEGRITY_V1],
        "id": SAM,
        "type": "Organization",
        "preferredUsername": "sam",
        "inbox": f"{SAM}/inbox",
        "outbox": f"{SAM}/outbox",
        "endpoints": {"sharedInbox": "https://stranger.example/inbox"},
        "publicKey": {
            "id": f"{SAM}#main-key",
            "owner": SAM,
            "publicKeyPem": RSA.public.pem,
        },
        "attachment": [{"type": "PropertyValue", "name": "a", "value": "b"}],
    }
    kinds: tuple[tuple[str, object], ...] = (
        ("Follow", "https://node.example/actors/cases"),
        ("Create", case),
        ("Create", note),
        ("Update", case),
        ("Delete", {"id": case["id"], "type": "Tombstone"}),
        ("Announce", "https://node.example/cases/1"),
        (
            "Undo",
            {
                "id": "https://stranger.example/a/1",
                "type": "Follow",
                "actor": SAM,
                "object": "https://node.example/actors/cases",
            },
        ),
        (
            "Accept",
            {
                "id": "https://node.example/activities/1",
                "type": "Follow",
                "actor": "https://node.example/actors/cases",
                "object": SAM,
            },
        ),
        ("Like", "https://node.example/cases/1"),
        ("Flag", ["https://node.example/cases/1", "https://node.example/actors/cases"]),
        ("Move", SAM),
        ("Add", case["id"]),
    )
    activities = [
        {
            "@context": AS,
            "id": f"https://stranger.example/a/{number}",
            "type": kind,
            "actor": SAM,
            "object": object_,
            "to": [PUBLIC],
            "target": f"{SAM}/featured",
        }
        for number, (kind, object_) in enumerate(kinds)
    ]
    page = {
        "id": f"{SAM}/outbox",
        "type": "OrderedCollectionPage",
        "orderedItems": activities[:3],
        "next": f"{SAM}/outbox?2",
    }
    proven = [attach(item, PROVER, now=NOW) for item in (case, activities[0])]
    ld_signed = activities[0] | {
        "signature": {
            "type": "RsaSignature2017",
            "creator": f"{SAM}#main-key",
            "created": "2026-11-21T12:00:00Z",
            "signatureValue": "AAAA",
        }
    }
    return (*activities, case, note, actor, page, *proven, ld_signed)


def requests() -> tuple[SignedRequest, ...]:
    """Honest requests in each dialect."""
    return (
        signed(),
        cavage_signed(),
        timed(),
        rfc9421_signed(),
        rfc9421_signed('"@method" "@authority" "@path" "@query" "content-digest" "date"'),
    )


def timed(body: bytes = BODY, signer: Signer = PEER) -> SignedRequest:
    """One in the old dialect whose times are parameters of the signature."""
    at = int(NOW.timestamp())
    return cavage_signed(
        "(request-target) (created) (expires) host digest",
        body=body,
        parameters={"algorithm": '"hs2019"', "created": str(at), "expires": str(at + 60)},
        signer=signer,
    )


# ---- changes -------------------------------------------------------------------------------------------------------

small = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.text(max_size=12))
values = st.recursive(
    small,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
Change = tuple[int, str, str, Any]
changes = st.lists(
    st.tuples(
        st.integers(0, 80),
        st.sampled_from(("replace", "remove", "add", "wrap", "deepen")),
        st.sampled_from(NAMES),
        values,
    ),
    max_size=4,
)
byte_changes = st.lists(
    st.tuples(
        st.integers(0, 1 << 16),
        st.sampled_from(("replace", "insert", "cut", "double")),
        st.binary(max_size=6)
        | st.sampled_from(
            (
                b'"',
                b"\\",
                b"{",
                b"[" * 50,
                b"\x00",
                b"\xff",
                b"\r\n",
                b";",
                b",",
                b"=",
                b":",
                b"1e999",
                b"NaN",
            )
        ),
    ),
    max_size=4,
)


def changed(document: Json, edits: Sequence[Change]) -> Json:
    """A document with these changes, each at the place of that number, counted through all of it."""
    result = deepcopy(document)
    for number, how, name, value in edits:
        places = list(_places(result))
        holder, key = places[number % len(places)]
        if how == "remove" and isinstance(holder, dict):
            del holder[key]
        elif how == "add" and isinstance(holder, dict):
            holder[name] = value
        elif how == "wrap":
            holder[key] = [holder[key], value]
        elif how == "deepen":
            holder[key] = {name: holder[key]}
        else:
            holder[key] = value
        if not result:
            return result
    return result


def _places(value: Any) -> Any:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)


def changed_bytes(data: bytes, edits: Sequence[tuple[int, str, bytes]]) -> bytes:
    """Bytes with these changes."""
    for number, how, piece in edits:
        at = number % (len(data) + 1)
        match how:
            case "replace":
                data = data[:at] + piece + data[at + len(piece) :]
            case "insert":
                data = data[:at] + piece + data[at:]
            case "cut":
                data = data[:at] + data[at + 1 + number % 40 :]
            case _:
                data = data[:at] + data[max(0, at - 30) : at] + data[at:]
    return data


def written(document: Json) -> bytes:
    """The document as careless software writes it: half characters and huge numbers included."""
    return json.dumps(document).encode()


def with_value(header: bytes, number: int, value: bytes) -> bytes:
    """A header whose parameter of that number has this value, with quotes or without."""
    found = list(_VALUE.finditer(header))
    if not found:
        return value
    chosen = found[number // 2 % len(found)]
    said = b'="%s"' % value if number % 2 else b"=" + value
    return header[: chosen.start()] + said + header[chosen.end() :]


def headers(
    request: SignedRequest, edits: Sequence[tuple[int, int, str, bytes]]
) -> list[tuple[bytes, bytes]]:
    """The headers of a request, one after the other changed."""
    result = list(request.headers)
    for which, number, how, piece in edits:
        told = [at for at, (name, _) in enumerate(result) if how == "value" and name.startswith(b"signature")]
        index = told[which % len(told)] if told else which % len(result)
        name, value = result[index]
        if how == "double":
            result.append((name, value))
        elif how == "cut" and piece == b"":
            del result[index]
            if not result:
                return [(b"host", b"")]
        elif how == "value":
            result[index] = (name, with_value(value, number, piece))
        else:
            result[index] = (name, changed_bytes(value, [(number, how, piece)]))
    return result


_VALUE = re.compile(rb'=(?:"[^"]*"|[^",;]*)')
# What a number or a moment may turn out to be, and a name or a list of names.
NUMERALS = (
    *(b"", b"-1", b"+5", b" 5", b"1_000", b"1.5", b"1e999", b"NaN", b"\xd9\xa3"),
    *(b"9" * 15, b"9" * 400, b"-" + b"9" * 400),
)
WORDS = (
    *(b"(created)", b"(expires)", b"host host", b"HOST", b"hs2019", b"none", b"rsa-pss-sha512"),
    *(b"x" * 3000, b"https://[", b"https://stranger.example:99999/", b"====", b"%00", b"?0", b":AA==:"),
)
_edits = st.tuples(
    st.integers(0, 12),
    st.integers(0, 400),
    st.sampled_from(("replace", "insert", "cut", "double")),
    st.binary(max_size=4)
    | st.sampled_from(
        (
            b'"',
            b"\\",
            b",",
            b";",
            b"=",
            b"(",
            b")",
            b":",
            b"?1",
            b"sig1",
            b"\x00",
            b"\xff",
            b"keyId=",
            b"created=1",
        )
    ),
)
_values = st.sampled_from(NUMERALS) | st.sampled_from(WORDS)
_new_values = st.tuples(st.integers(0, 12), st.integers(0, 400), st.just("value"), _values)
header_changes = st.lists(_edits | _new_values, max_size=4)


def age_file() -> bytes:
    """An honest sealed file: the one that the program tries itself on when it starts."""
    return resources.files("node.sealing").joinpath("known.age").read_bytes()
