"""The list of intake keys: each reason not to believe it has an error of its own."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from node.sealing.errors import (
    ManifestExpired,
    ManifestForked,
    ManifestMalformed,
    ManifestNotHybrid,
    ManifestNotYetValid,
    ManifestOtherNode,
    ManifestRefused,
    ManifestTooFewHandlers,
    ManifestWrongRoot,
    ManifestWrongSignature,
)
from node.sealing.manifest import check_succession, sign_manifest, verify_manifest
from node.sealing.objects import Compartment
from node.sealing.signing import sign
from tests.node.sealing.people import NODE, NOW, a_manifest, a_person, a_root, handler, terms
from vocab.canonical import canonical

ROOT = a_root()
ANA, BEN, CHI = a_person(), a_person(), a_person()
PEOPLE = [handler("ana", ANA), handler("ben", BEN, custodian=True), handler("chi", CHI)]
CLASSICAL = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def verify(body: bytes) -> None:
    verify_manifest(body, node=NODE, root=ROOT.id, now=NOW)


def resigned(**changes: Any) -> bytes:
    """Members of any kind, signed by the right root."""
    document = json.loads(sign_manifest(terms(PEOPLE, ROOT), ROOT.signer)) | changes
    del document["signature"]
    return canonical(document | {"signature": sign(document, ROOT.signer)})


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"not_after": NOW}, ManifestExpired),
        ({"not_before": datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)}, ManifestNotYetValid),
        ({"not_after": datetime(2026, 12, 20, 0, 0, 1, tzinfo=UTC)}, ManifestMalformed),
        ({"not_after": datetime(2026, 11, 1, tzinfo=UTC)}, ManifestMalformed),
        ({"node": "https://b.example"}, ManifestOtherNode),
        ({"handlers": ()}, ManifestTooFewHandlers),
        ({"handlers": (handler("ana", ANA),)}, ManifestTooFewHandlers),
        ({"handlers": (handler("ana", ANA), handler("ben", ANA))}, ManifestTooFewHandlers),
        ({"handlers": (handler("ana", ANA), handler("ana", BEN))}, ManifestTooFewHandlers),
        ({"recovery": CLASSICAL}, ManifestNotHybrid),
    ],
)
def test_a_manifest_is_refused_for_its_reason(
    changes: dict[str, Any], refusal: type[ManifestRefused]
) -> None:
    body = sign_manifest(terms(PEOPLE, ROOT, **changes), ROOT.signer)

    with pytest.raises(refusal) as refused:
        verify(body)
    assert type(refused.value) is refusal


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"v": 2},
        {"epoch": "1"},
        {"epoch": True},
        {"organisation": None},
        {"recovery": 7},
        {"handlers": {}},
        {"handlers": [7, 8]},
        {"handlers": [{"id": "ana"}]},
        {"handlers": [{"id": "ana", "age": "", "ed25519": "z6Mk", "custodian": False}] * 2},
        {"handlers": [{"id": "ana", "age": ANA.recipient, "ed25519": ANA.signing.id, "custodian": 1}] * 2},
        {"handlers": [{"id": 1, "age": ANA.recipient, "ed25519": ANA.signing.id, "custodian": True}] * 2},
        {"not_after": "2026-12-11"},
        {"not_after": "2026-13-11T00:00:00Z"},
        {"not_after": 7},
    ],
)
def test_what_is_not_a_manifest_is_refused_even_when_its_root_signed_it(changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestMalformed):
        verify(resigned(**changes))


def test_a_classical_handler_is_refused() -> None:
    listed = json.loads(sign_manifest(terms(PEOPLE, ROOT), ROOT.signer))["handlers"]

    with pytest.raises(ManifestNotHybrid):
        verify(resigned(handlers=[listed[0], listed[1] | {"age": CLASSICAL}]))


def test_a_manifest_that_is_unsigned_altered_or_signed_by_another_is_refused() -> None:
    body = sign_manifest(terms(PEOPLE, ROOT), ROOT.signer)
    document, other = json.loads(body), a_root()

    with pytest.raises(ManifestMalformed):
        verify(canonical({name: value for name, value in document.items() if name != "signature"}))
    for signature in ("", "AA==", None, 7):
        with pytest.raises(ManifestWrongSignature):
            verify(canonical(document | {"signature": signature}))
    with pytest.raises(ManifestWrongSignature):
        verify(canonical(document | {"organisation": "Another"}))
    with pytest.raises(ManifestWrongSignature):
        verify(sign_manifest(terms(PEOPLE, ROOT), other.signer))
    with pytest.raises(ManifestWrongRoot):
        verify(sign_manifest(terms(PEOPLE, other), other.signer))


def test_a_manifest_has_one_spelling() -> None:
    body = sign_manifest(terms(PEOPLE, ROOT), ROOT.signer)

    for other in (
        b" " + body,
        body + b"\n",
        body.replace(b'"v":1', b'"v":1,"v":1'),
        body[1:],
        b"[]",
        b"",
        b"\xff",
    ):
        with pytest.raises(ManifestMalformed):
            verify(other)
    verify(body)


def test_two_manifests_for_one_epoch_or_a_broken_chain_are_a_fork() -> None:
    first = a_manifest(PEOPLE, ROOT)
    second = a_manifest(PEOPLE, ROOT, epoch=2, previous=first.sha256)
    check_succession(first, first)
    check_succession(first, second)
    check_succession(first, a_manifest(PEOPLE, ROOT, epoch=3, previous=second.sha256))

    with pytest.raises(ManifestForked):
        check_succession(first, a_manifest(PEOPLE, ROOT, organisation="Another"))
    with pytest.raises(ManifestForked):
        check_succession(first, a_manifest(PEOPLE, ROOT, epoch=2, previous="0" * 64))
    with pytest.raises(ManifestForked):
        check_succession(second, first)
    other = a_root()
    body = sign_manifest(terms(PEOPLE, other, epoch=2, previous=first.sha256), other.signer)
    with pytest.raises(ManifestForked):
        check_succession(first, verify_manifest(body, node=NODE, root=other.id, now=NOW))


def test_identities_go_to_custodians_alone_where_there_are_any() -> None:
    manifest = terms(PEOPLE, ROOT)

    assert [one.id for one in manifest.holders(Compartment.IDENTITY)] == ["ben"]
    assert [one.id for one in manifest.holders(Compartment.DIALOGUE)] == ["ana", "ben", "chi"]
    assert len(terms(PEOPLE[::2], ROOT).holders(Compartment.IDENTITY)) == 2
