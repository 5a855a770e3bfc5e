"""RsaSignature2017: real documents verify, tampered and turned ones do not, and only what was signed is handed on."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation import ldsignatures, proofs
from federation.keys import read_pem
from federation.ldsignatures import Signed
from federation.requests import Reason, Refused
from tests.federation import vectors
from tests.rig.keys import ed25519_key, rsa_key
from vocab import jsonld, terms

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BOB = "https://remote.example/users/bob"
KEY_ID = f"{BOB}#main-key"
SIGNER = rsa_key("a").signer(KEY_ID)
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"


def an_announce(**more: object) -> dict[str, Any]:
    return {
        "@context": [terms.AS, terms.SECURITY_V1],
        "id": f"{BOB}/announces/1",
        "type": "Announce",
        "actor": BOB,
        "object": "https://b.example/notes/1",
        "to": [terms.PUBLIC],
        **more,
    }


def judge(document: dict[str, Any], *, now: datetime = NOW) -> Signed | Reason:
    outcome = ldsignatures.check(document, SIGNER.public, now=now)
    return outcome.reason if isinstance(outcome, Refused) else outcome


def test_real_documents_are_judged_as_published() -> None:
    for case in vectors.load("rsa-signature-2017/cases.json")["cases"]:
        outcome = ldsignatures.check(case["document"], read_pem(case["publicKeyPem"]), now=NOW)
        assert isinstance(outcome, Signed) == case["valid"], case["source"]


def test_turned_documents_are_refused_or_read_as_what_was_signed() -> None:
    published = vectors.load("mastodon-signatures/ld-signature-restructuring.json")
    key = read_pem(published["publicKeyPem"])
    for case in published["cases"]:
        outcome = ldsignatures.check(case["document"], key, now=NOW)
        if isinstance(outcome, Signed):
            assert "@included" not in outcome.document
            assert (outcome.document["type"], outcome.document["id"]) == (
                "Undo",
                "https://remote.domain/users/bob#undo/1",
            ), case["name"]
        else:
            assert case["expected"] != "accept as Undo", (case["name"], outcome)


def test_redefined_terms_do_not_show_in_what_is_handed_on() -> None:
    published = vectors.load("mastodon-signatures/ld-signature-null-context-forgery.json")

    outcome = ldsignatures.check(published["document"], read_pem(published["signer_public_key_pem"]), now=NOW)

    assert isinstance(outcome, Signed)
    assert "puck was here" not in str(outcome.document)
    assert isinstance(outcome.document["object"], dict)
    assert outcome.document["object"]["content"] == "<p>hello world</p>"


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (None, Reason.MISSING),
        ("words", Reason.UNKNOWN_SUITE),
        ({"type": "Ed25519Signature2018"}, Reason.UNKNOWN_SUITE),
        ([{"type": "RsaSignature2017", "creator": KEY_ID}], Reason.UNKNOWN_SUITE),
        ({"type": "RsaSignature2017"}, Reason.MALFORMED),
        ({"type": "RsaSignature2017", "creator": ""}, Reason.MALFORMED),
        ({"type": "RsaSignature2017", "creator": [KEY_ID]}, Reason.MALFORMED),
        ({"type": "RsaSignature2017", "creator": KEY_ID}, Reason.NO_TIME),
        ({"type": "RsaSignature2017", "creator": KEY_ID, "created": "2099-01-01T00:00:00Z"}, Reason.FUTURE),
        ({"type": "RsaSignature2017", "creator": KEY_ID, "created": "2026-11-21T12:00:00"}, Reason.NO_TIME),
        (
            {
                "type": "RsaSignature2017",
                "creator": KEY_ID,
                "created": "2026-11-21T12:00:00Z",
                "signatureValue": "?",
            },
            Reason.MALFORMED,
        ),
        (
            {
                "type": "RsaSignature2017",
                "creator": {"id": KEY_ID},
                "created": "2026-11-21T12:00:00Z",
                "signatureValue": "AAAA",
            },
            Reason.BAD_SIGNATURE,
        ),
    ],
)
def test_a_signature_that_is_none_is_refused(signature: object, expected: Reason) -> None:
    assert judge(an_announce(signature=signature)) is expected


def test_a_clock_may_be_an_hour_ahead_and_no_more() -> None:
    ahead = NOW + timedelta(hours=1)

    assert isinstance(judge(ldsignatures.attach(an_announce(), SIGNER, now=ahead)), Signed)
    later = ldsignatures.attach(an_announce(), SIGNER, now=ahead + timedelta(seconds=1))
    assert judge(later) is Reason.FUTURE


def test_an_expired_signature_is_refused() -> None:
    signed: dict[str, Any] = ldsignatures.attach(
        an_announce(), SIGNER, now=NOW, expires=NOW + timedelta(days=2)
    )

    assert isinstance(judge(signed), Signed)
    assert judge(signed, now=NOW + timedelta(days=2)) is Reason.EXPIRED
    later = {**signed, "signature": {**signed["signature"], "expires": "2027-01-01T00:00:00Z"}}
    assert judge(later) is Reason.BAD_SIGNATURE
    never = {**signed, "signature": {**signed["signature"], "expires": "never"}}
    assert judge(never) is Reason.MALFORMED


@pytest.mark.parametrize(
    "hidden",
    [
        {
            "https://w3id.org/security#expiration": {
                "@value": "2026-11-23T12:00:00Z",
                "@type": "http://www.w3.org/2001/XMLSchema#dateTime",
            }
        },
        {"sec:expiration": {"@value": "2026-11-23T12:00:00Z", "@type": "xsd:dateTime"}},
        {"@nest": {"expires": "2026-11-23T12:00:00Z"}},
    ],
    ids=["a full address", "a short one", "a nest"],
)
def test_an_end_does_not_hide_under_another_name(hidden: dict[str, object]) -> None:
    """The same statement, so that the signature would hold, where nobody would look for it."""
    signed: dict[str, Any] = ldsignatures.attach(
        an_announce(), SIGNER, now=NOW, expires=NOW + timedelta(days=2)
    )
    signature = {name: value for name, value in signed["signature"].items() if name != "expires"}

    assert judge({**signed, "signature": {**signature, **hidden}}) is Reason.BAD_SIGNATURE


def test_a_nonce_and_a_domain_are_part_of_what_is_signed() -> None:
    """As Misskey writes them."""
    document = an_announce()
    options = {"creator": KEY_ID, "created": "2026-11-21T12:00:00Z", "nonce": "n", "domain": "remote.example"}
    data = ldsignatures._data(jsonld.canonize(document), options)
    value = base64.b64encode(SIGNER.sign(data)).decode()
    signature = {"type": "RsaSignature2017", **options, "signatureValue": value}

    assert isinstance(judge({**document, "signature": signature}), Signed)
    assert judge({**document, "signature": signature | {"nonce": "m"}}) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("member", ["nonce", "domain"])
def test_an_option_that_is_more_than_text_is_refused(member: str) -> None:
    signed: dict[str, Any] = ldsignatures.attach(an_announce(), SIGNER, now=NOW)

    turned = {**signed, "signature": {**signed["signature"], member: {"id": "nowhere", "creator": KEY_ID}}}

    assert judge(turned) is Reason.STRUCTURE


def test_a_creator_is_the_key_that_it_names_and_nothing_else() -> None:
    """Its own context could give the name another meaning, and with it another key."""
    signed: dict[str, Any] = ldsignatures.attach(an_announce(), SIGNER, now=NOW)
    another = {"@context": {"id": "_:nothing"}, "id": KEY_ID, "@id": f"{BOB}#another"}

    of_this = judge({**signed, "signature": {**signed["signature"], "creator": another}})
    of_another = ldsignatures._data(
        jsonld.canonize(an_announce()), {"creator": another, "created": signed["signature"]["created"]}
    )
    value = base64.b64encode(SIGNER.sign(of_another)).decode()

    assert isinstance(of_this, Signed)
    forged = {**signed["signature"], "creator": another, "signatureValue": value}
    assert judge({**signed, "signature": forged}) is Reason.BAD_SIGNATURE


def test_an_unknown_context_is_refused_and_not_fetched() -> None:
    signed = ldsignatures.attach(an_announce(), SIGNER, now=NOW)
    signed["@context"] = [terms.AS, "https://evil.example/context"]

    assert judge(signed) is Reason.MALFORMED


def test_a_key_of_another_kind_is_refused() -> None:
    signed = ldsignatures.attach(an_announce(), SIGNER, now=NOW)
    outcome = ldsignatures.check(signed, ed25519_key("a").public, now=NOW)

    assert outcome == Refused(Reason.ALGORITHM)
    with pytest.raises(ValueError, match="RSA"):
        ldsignatures.attach(an_announce(), ed25519_key("a").signer(KEY_ID), now=NOW)


def test_a_signature_over_a_proof_keeps_both() -> None:
    actor_key = ed25519_key("bob").signer(f"{BOB}#ed25519-key")
    context = [terms.AS, terms.SECURITY_V1, terms.DATA_INTEGRITY_V1]
    proven = proofs.attach(an_announce() | {"@context": context}, actor_key, now=NOW)

    signed = ldsignatures.attach(proven, SIGNER, now=NOW)

    outcome = judge(signed)
    assert isinstance(outcome, Signed)
    assert outcome.key_id == KEY_ID
    assert isinstance(proofs.check(signed, {actor_key.key_id: actor_key.public}, now=NOW), proofs.Proven)


def test_what_no_term_names_is_not_handed_on() -> None:
    signed = ldsignatures.attach(an_announce(), SIGNER, now=NOW)

    outcome = judge({**signed, "unknown": "added on the way"})

    assert isinstance(outcome, Signed)
    assert "unknown" not in outcome.document


def test_what_could_be_read_as_other_statements_is_not_signed() -> None:
    with pytest.raises(ValueError, match="read as another"):
        ldsignatures.attach(an_announce(content={"@value": "v", "@language": "en x"}), SIGNER, now=NOW)


def test_an_id_that_could_pass_for_statements_does_not_survive() -> None:
    odd = 'https://b.example/1> <https://www.w3.org/ns/activitystreams#content> "forged" .\n<https://b.example/2'

    outcome = judge(ldsignatures.attach(an_announce(target=odd), SIGNER, now=NOW))

    assert isinstance(outcome, Signed)
    assert "forged" not in str(outcome.document)


def test_a_host_name_in_the_place_of_an_address_is_not_signed_and_not_handed_on() -> None:
    """Mastodon writes `attributionDomains` so in each Update of an account: relative, it is no statement of what it signs."""
    domains = {"attributionDomains": {"@id": "http://joinmastodon.org/ns#attributionDomains", "@type": "@id"}}
    update = {
        "@context": [terms.AS, domains],
        "id": f"{BOB}#updates/1",
        "type": "Update",
        "actor": BOB,
        "object": {"id": BOB, "type": "Person", "attributionDomains": ["news.example"]},
    }
    options = {"creator": KEY_ID, "created": "2026-11-21T11:00:00Z"}
    said = (
        f"<{BOB}#updates/1> <{RDF_TYPE}> <{terms.AS}#Update> .\n"
        f"<{BOB}#updates/1> <{terms.AS}#actor> <{BOB}> .\n"
        f"<{BOB}#updates/1> <{terms.AS}#object> <{BOB}> .\n"
        f"<{BOB}> <{RDF_TYPE}> <{terms.AS}#Person> .\n"
    )
    parts = (jsonld.canonize({**options, "@context": ldsignatures.OPTIONS_CONTEXT}), said)
    data = "".join(hashlib.sha256(part.encode()).hexdigest() for part in parts).encode()
    value = base64.b64encode(SIGNER.sign(data)).decode()

    outcome = judge({**update, "signature": {"type": ldsignatures.TYPE, **options, "signatureValue": value}})

    assert isinstance(outcome, Signed)
    assert outcome.document["type"] == "Update"
    assert "news.example" not in str(outcome.document)
