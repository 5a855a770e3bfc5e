"""Proofs on documents: each way to refuse, the published vectors, and what may be used afterwards."""

import copy
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import keys, proofs
from federation.proofs import Proven
from federation.requests import Reason, Refused
from tests.federation import vectors
from tests.rig.keys import ed25519_key, rsa_key
from vocab import jsonld

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALICE = "https://victim.example/users/alice"
KEY_ID = f"{ALICE}#ed25519-key"
KEY = ed25519_key("alice")
KEYS = {KEY_ID: KEY.public}
SIGNER = KEY.signer(KEY_ID)
AS = "https://www.w3.org/ns/activitystreams"
DATA_INTEGRITY = "https://w3id.org/security/data-integrity/v1"


def a_note() -> dict[str, Any]:
    return {
        "@context": [AS, DATA_INTEGRITY],
        "id": "https://victim.example/notes/1",
        "type": "Note",
        "attributedTo": ALICE,
        "content": "Hello (fictional)",
        "published": "2026-11-21T12:00:00Z",
    }


def proven_note() -> dict[str, Any]:
    return proofs.attach(a_note(), SIGNER, now=NOW)


def with_options(**options: object) -> dict[str, Any]:
    """A note whose proof was honestly made over these options: only the policy can refuse it."""
    proof: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": "2026-11-21T12:00:00Z",
        "verificationMethod": KEY_ID,
        "proofPurpose": "assertionMethod",
        **options,
    }
    proof = {name: value for name, value in proof.items() if value is not None}
    signature = SIGNER.sign(proofs._jcs_data(a_note(), proof))
    return {**a_note(), "proof": {**proof, "proofValue": "z" + keys.base58_encode(signature)}}


def judge(document: dict[str, Any], *, now: datetime = NOW) -> Proven | Reason:
    outcome = proofs.check(document, KEYS, now=now)
    return outcome.reason if isinstance(outcome, Refused) else outcome


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"proofPurpose": "authentication"}, Reason.WRONG_PURPOSE),
        ({"proofPurpose": ["assertionMethod"]}, Reason.WRONG_PURPOSE),
        ({"proofPurpose": None}, Reason.WRONG_PURPOSE),
        ({"cryptosuite": "mldsa44-jcs-2024"}, Reason.UNKNOWN_SUITE),
        ({"cryptosuite": "ecdsa-jcs-2019"}, Reason.UNKNOWN_SUITE),
        ({"type": "Ed25519Signature2020"}, Reason.UNKNOWN_SUITE),
        ({"type": ["DataIntegrityProof"]}, Reason.UNKNOWN_SUITE),
        ({"expires": "2026-11-21T11:59:59Z"}, Reason.EXPIRED),
        ({"expires": "2026-11-21T12:00:00Z"}, Reason.EXPIRED),
        ({"expires": "tomorrow"}, Reason.MALFORMED),
        ({"created": "2099-01-01T00:00:00Z"}, Reason.FUTURE),
        ({"created": "2026-11-21T12:00:00"}, Reason.MALFORMED),
        ({"created": "2026-11-21"}, Reason.MALFORMED),
        ({"created": "2026-11-21 12:00:00Z"}, Reason.MALFORMED),
        ({"created": "2026-11-21T13:00:01Z"}, Reason.FUTURE),
        ({"created": 1}, Reason.MALFORMED),
        ({"previousProof": "urn:uuid:1"}, Reason.STRUCTURE),
        ({"verificationMethod": "https://evil.example/users/mallory#key"}, Reason.WRONG_KEY),
        ({"verificationMethod": {"id": KEY_ID}}, Reason.WRONG_KEY),
        ({"@context": [DATA_INTEGRITY]}, Reason.CONTEXT),
        ({"@context": [AS, DATA_INTEGRITY, AS]}, Reason.CONTEXT),
        ({"@context": []}, Reason.CONTEXT),
    ],
)
def test_a_proof_that_was_honestly_made_over_the_wrong_options_is_refused(
    options: dict[str, object], expected: Reason
) -> None:
    assert judge(with_options(**options)) is expected


def test_a_proof_may_expire_later_and_need_not_say_when_it_was_made() -> None:
    assert isinstance(judge(with_options(expires="2026-11-21T13:00:00+01:30", created=None)), Reason)
    outcome = judge(with_options(expires="2026-11-22T00:00:00Z", created=None))
    assert isinstance(outcome, Proven)
    assert outcome.created is None


@pytest.mark.parametrize("proof", [None, "words", [], ["words"], {}])
def test_what_is_no_proof_is_refused(proof: object) -> None:
    document = {**a_note(), "proof": proof}

    assert isinstance(judge(document), Reason)
    assert isinstance(proofs.verification_methods(document), Refused)


def test_of_good_proofs_there_may_be_eight_and_nothing_else_among_them() -> None:
    document = proven_note()
    good = document["proof"]

    assert isinstance(judge({**document, "proof": [good] * 8}), Proven)
    assert judge({**document, "proof": [good] * 9}) is Reason.MALFORMED
    assert judge({**document, "proof": [good, "words"]}) is Reason.MALFORMED
    assert judge({**document, "proof": [[good]]}) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Reason.MALFORMED),
        ("", Reason.MALFORMED),
        ("z", Reason.BAD_SIGNATURE),
        ("u" + "A" * 86, Reason.MALFORMED),
        ("z0", Reason.MALFORMED),
        ("z" + "1" * 200, Reason.MALFORMED),
        ("z" + keys.base58_encode(b"1" * 63), Reason.BAD_SIGNATURE),
        ("z" + keys.base58_encode(b"1" * 65), Reason.BAD_SIGNATURE),
    ],
)
def test_a_proof_value_that_is_none_is_refused(value: object, expected: Reason) -> None:
    document = proven_note()
    document["proof"]["proofValue"] = value

    assert judge(document) is expected


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("content", "Something else"),
        ("attributedTo", "https://evil.example/users/mallory"),
        ("to", ["https://www.w3.org/ns/activitystreams#Public"]),
        ("published", None),
    ],
)
def test_a_changed_document_is_refused(member: str, value: object) -> None:
    document = {**proven_note(), member: value}

    assert judge(document) is Reason.BAD_SIGNATURE


def test_a_document_that_has_no_canonical_form_is_refused() -> None:
    assert judge({**proven_note(), "big": 2**60}) is Reason.MALFORMED


def test_a_proof_by_another_key_under_the_right_name_is_refused() -> None:
    forged = proofs.attach(a_note(), ed25519_key("mallory").signer(KEY_ID), now=NOW)

    assert judge(forged) is Reason.BAD_SIGNATURE


def test_a_key_of_another_kind_is_refused() -> None:
    outcome = proofs.check(proven_note(), {KEY_ID: rsa_key("a").public}, now=NOW)

    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.ALGORITHM
    with pytest.raises(ValueError, match="Ed25519"):
        proofs.attach(a_note(), rsa_key("a").signer(KEY_ID), now=NOW)


def test_an_appended_context_does_not_break_the_proof_and_is_not_used() -> None:
    document = proven_note()
    document["@context"] = [*document["@context"], {"content": "https://evil.example/ns#other"}]

    outcome = judge(document)

    assert isinstance(outcome, Proven)
    assert outcome.document["@context"] == [AS, DATA_INTEGRITY]


@pytest.mark.parametrize("is_longer_first", [True, False])
def test_of_two_proofs_the_shorter_context_is_used(is_longer_first: bool) -> None:
    """What stands behind it, one of them did not sign."""
    other = {**a_note(), "@context": [*a_note()["@context"], {"content": "https://victim.example/ns#other"}]}
    longer, shorter = proofs.attach(other, SIGNER, now=NOW), proven_note()
    both = [longer["proof"], shorter["proof"]]

    outcome = judge({**other, "proof": both if is_longer_first else both[::-1]})

    assert isinstance(outcome, Proven)
    assert outcome.document["@context"] == a_note()["@context"]


def test_without_a_context_of_its_own_a_proof_holds_for_the_whole_context_only() -> None:
    document = with_options()

    assert isinstance(judge(document), Proven)
    assert judge({**document, "@context": [*document["@context"], {}]}) is Reason.BAD_SIGNATURE


def test_a_proof_with_a_context_on_a_document_without_one_is_refused() -> None:
    document = proven_note()
    del document["@context"]

    assert judge(document) is Reason.CONTEXT


def test_the_linked_data_signature_is_not_part_of_what_is_proven() -> None:
    outcome = judge({**proven_note(), "signature": {"type": "RsaSignature2017"}})

    assert isinstance(outcome, Proven)
    assert "signature" not in outcome.document
    assert "signature" not in proofs.attach({**a_note(), "signature": {}}, SIGNER, now=NOW)


def test_all_proofs_of_a_set_must_hold() -> None:
    second_id = f"{ALICE}#second"
    second = ed25519_key("second").signer(second_id)
    document = proven_note()
    other = proofs.attach(a_note(), second, now=NOW - timedelta(days=1))
    document["proof"] = [document["proof"], other["proof"]]

    assert judge(document) is Reason.WRONG_KEY
    outcome = proofs.check(document, {**KEYS, second_id: second.public}, now=NOW)
    assert isinstance(outcome, Proven)
    assert outcome.key_ids == (KEY_ID, second_id)
    assert outcome.created == NOW - timedelta(days=1)
    assert proofs.verification_methods(document) == (KEY_ID, second_id)
    outcome = proofs.check(document, {**KEYS, second_id: KEY.public}, now=NOW)
    assert outcome == Refused(Reason.BAD_SIGNATURE)


def test_an_attached_proof_takes_the_place_of_an_older_one() -> None:
    document = proofs.attach(proven_note() | {"content": "Corrected (fictional)"}, SIGNER, now=NOW)

    outcome = judge(document)

    assert isinstance(outcome, Proven)
    assert outcome.key_id == KEY_ID
    assert outcome.document == document


def test_attaching_leaves_the_document_as_it_was() -> None:
    document = a_note()
    before = copy.deepcopy(document)

    proofs.attach(document, SIGNER, now=NOW)

    assert document == before


def test_the_published_fediverse_vectors_are_judged_as_published() -> None:
    published = vectors.load("fep/fep-8b32.json")
    method = published["actor"]["assertionMethod"][0]
    held = {method["id"]: keys.read_multibase(method["publicKeyMultibase"])}
    now = datetime.fromisoformat(published["created"])
    seed = keys.multibase_decode(published["secretKeyMultibase"])[2:]
    signer = keys.private_key_from_seed(seed).signer(method["id"])

    assert proofs.attach(published["unsigned"], signer, now=now) == published["signed"]
    for variant in published["variants"]:
        outcome = proofs.check(variant["document"], held, now=now)
        assert isinstance(outcome, Proven) == variant["valid"], variant["name"]
        if isinstance(outcome, Proven):
            assert outcome.document["@context"] == published["signed"]["@context"]


VC = "vc-di-eddsa"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"


def published_credential(name: str) -> dict[str, Any]:
    """A published credential; the one context that is bundled nowhere is written out, which changes no statement."""
    document: dict[str, Any] = vectors.load(f"{VC}/{name}")
    if "jcs" not in name.lower():
        document["@context"] = [
            {"@vocab": "https://www.w3.org/ns/credentials/examples#"} if entry == EXAMPLES else entry
            for entry in document["@context"]
        ]
    return document


@pytest.mark.parametrize(
    "name",
    [
        "eddsa-jcs-2022/signedJCS.json",
        "eddsa-rdfc-2022/signedDataInt.json",
        "proof-set-chain/signedProofSet1.json",
        "proof-set-chain/signedProofSet2.json",
    ],
)
def test_the_published_credentials_verify_and_stop_when_changed(name: str) -> None:
    document = published_credential(name)
    methods = proofs.verification_methods(document)
    assert not isinstance(methods, Refused)
    held = {method: keys.read_multibase(method.partition("#")[2]) for method in methods}

    assert isinstance(proofs.check(document, held, now=NOW), Proven)
    changed = {**document, "validFrom": "2024-01-01T00:00:00Z"}
    assert proofs.check(changed, held, now=NOW) == Refused(Reason.BAD_SIGNATURE)


def test_a_chain_of_proofs_is_refused() -> None:
    document = published_credential("proof-set-chain/signedProofChain2.json")
    methods = proofs.verification_methods(document)
    assert not isinstance(methods, Refused)
    held = {method: keys.read_multibase(method.partition("#")[2]) for method in methods}

    outcome = proofs.check(document, held, now=NOW)

    assert isinstance(outcome, Refused)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=6))
def test_whatever_is_proven_checks(members: dict[str, Any]) -> None:
    document = proofs.attach({**members, "@context": AS}, SIGNER, now=NOW)

    outcome = judge(document)

    assert isinstance(outcome, Proven)
    assert outcome.document == document


def rdfc_proven(document: dict[str, Any], **options: object) -> dict[str, Any]:
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "verificationMethod": KEY_ID,
        "proofPurpose": "assertionMethod",
        **options,
    }
    # As the suite has it: the options are read under the context of the document.
    said = jsonld.canonize({**proof, "@context": document["@context"]})
    data = b"".join(hashlib.sha256(part.encode()).digest() for part in (said, jsonld.canonize(document)))
    signature = SIGNER.sign(data)
    return {**document, "proof": {**proof, "proofValue": "z" + keys.base58_encode(signature)}}


def test_a_proof_over_a_graph_gives_the_recompacted_document_only() -> None:
    note = {**a_note(), "unknown": "what the context does not name is not signed"}

    outcome = judge(rdfc_proven(note))

    assert isinstance(outcome, Proven)
    assert outcome.document["content"] == "Hello (fictional)"
    assert "unknown" not in outcome.document


@pytest.mark.parametrize("context", [DATA_INTEGRITY, "https://w3id.org/security/data-integrity/v2"])
def test_a_proof_over_a_graph_is_made_under_either_context_for_proofs(context: str) -> None:
    options: dict[str, object] = {"id": "urn:uuid:1", "created": "2026-11-21T12:00:00Z", "nonce": "n"}

    outcome = judge(rdfc_proven({**a_note(), "@context": [AS, context]}, **options))

    assert isinstance(outcome, Proven)
    assert outcome.created == NOW


@pytest.mark.parametrize("is_graph_first", [True, False])
def test_of_two_proofs_one_over_a_graph_nothing_is_used_that_the_graph_does_not_say(
    is_graph_first: bool,
) -> None:
    note = {**a_note(), "unknown": "what the context does not name is not signed"}
    both = [rdfc_proven(note)["proof"], proofs.attach(note, SIGNER, now=NOW)["proof"]]

    outcome = judge({**note, "proof": both if is_graph_first else both[::-1]})

    assert isinstance(outcome, Proven)
    assert "unknown" not in outcome.document


DATE_TIME = "http://www.w3.org/2001/XMLSchema#dateTime"
# The same statements under other names, and what is looked at means nothing.
OTHER_NAMES: dict[str, object] = {
    "sec": "https://w3id.org/security#",
    "DataIntegrityProof": "sec:DataIntegrityProof",
    "cryptosuite": "sec:cryptosuite",
    "verificationMethod": {"@id": "sec:verificationMethod", "@type": "@id"},
    "proofPurpose": {"@id": "sec:proofPurpose", "@type": "@vocab"},
    "assertionMethod": "sec:assertionMethod",
    "made": {"@id": "http://purl.org/dc/terms/created", "@type": DATE_TIME},
    "ends": {"@id": "https://w3id.org/security#expiration", "@type": DATE_TIME},
}


@pytest.mark.parametrize(
    ("context", "changed"),
    [
        (
            None,
            {"https://w3id.org/security#expiration": {"@value": "2026-11-20T00:00:00Z", "@type": DATE_TIME}},
        ),
        (None, {"@nest": {"expires": "2026-11-20T00:00:00Z"}}),
        ([AS, DATA_INTEGRITY, {"ends": OTHER_NAMES["ends"]}], {"ends": "2026-11-20T00:00:00Z"}),
        (
            [AS, OTHER_NAMES],
            {"made": "2025-01-01T00:00:00Z", "created": NOW.isoformat(), "ends": "2026-11-20T00:00:00Z"},
        ),
    ],
    ids=["a full address", "a nest", "a term added", "all terms anew"],
)
def test_a_proof_over_a_graph_says_when_it_was_made_and_ends_under_no_other_name(
    context: object, changed: dict[str, object]
) -> None:
    """Whoever kept it could hide its end, or date it anew, where only the statements are signed and the names are read."""
    proven = rdfc_proven(a_note(), created="2025-01-01T00:00:00Z", expires="2026-11-20T00:00:00Z")
    assert judge(proven) is Reason.EXPIRED
    proof = {name: value for name, value in proven["proof"].items() if name != "expires"}

    turned = {**proven, "@context": context or proven["@context"], "proof": {**proof, **changed}}

    assert judge(turned) is Reason.BAD_SIGNATURE


# Statements about an address that is none are left out; what hangs on it is not.
HIDDEN_END: dict[str, object] = {
    "@id": "nowhere",
    "https://b.example/p": {
        "@id": "_:proof",
        "https://w3id.org/security#expiration": {"@value": "2026-11-20T00:00:00Z", "@type": DATE_TIME},
    },
}


@pytest.mark.parametrize("member", ["nonce", "domain", "challenge"])
@pytest.mark.parametrize("hidden", [HIDDEN_END, [HIDDEN_END], ["n", HIDDEN_END], 1, None, ["n"] * 17])
def test_a_proof_over_a_graph_says_its_end_in_no_member_that_nobody_looks_at(
    member: str, hidden: object
) -> None:
    proven = rdfc_proven(a_note(), created="2025-01-01T00:00:00Z", expires="2026-11-20T00:00:00Z")
    proof = {name: value for name, value in proven["proof"].items() if name != "expires"}

    turned = {**proven, "proof": {**proof, "id": "_:proof", member: hidden}}

    assert judge(turned) is Reason.STRUCTURE


def test_a_proof_over_a_graph_may_be_for_several_domains() -> None:
    proven = rdfc_proven(a_note(), domain=["a.example", "b.example"], challenge="c")

    assert isinstance(judge(proven), Proven)


def test_a_proof_over_a_graph_asserts_by_no_other_meaning_of_the_word() -> None:
    proven = rdfc_proven(a_note(), proofPurpose="authentication")
    meaning = {**OTHER_NAMES, "assertionMethod": "sec:authenticationMethod"}

    turned = {**proven, "@context": [AS, meaning]}
    turned["proof"] = {**proven["proof"], "proofPurpose": "assertionMethod"}

    assert judge(turned) is Reason.BAD_SIGNATURE


def test_a_proof_over_a_graph_does_not_hold_for_the_same_graph_turned_inside_out() -> None:
    activity: dict[str, Any] = {
        "@context": [AS, DATA_INTEGRITY],
        "id": f"{ALICE}#undo/1",
        "type": "Undo",
        "actor": ALICE,
        "object": {
            "id": f"{ALICE}/announces/1",
            "type": "Announce",
            "actor": ALICE,
            "object": "https://b.example/1",
        },
    }
    proven = rdfc_proven(activity)
    inside_out = {
        "@context": activity["@context"],
        **activity["object"],
        "@included": [
            {"id": activity["id"], "type": "Undo", "actor": ALICE, "object": activity["object"]["id"]}
        ],
        "proof": proven["proof"],
    }

    assert isinstance(judge(proven), Proven)
    assert judge(inside_out) is Reason.STRUCTURE


def test_a_proof_over_a_graph_with_another_context_is_refused() -> None:
    document = rdfc_proven(a_note())
    document["proof"]["@context"] = [AS]

    assert judge(document) is Reason.CONTEXT
    assert judge({**rdfc_proven(a_note()), "@context": "https://evil.example/context"}) is Reason.MALFORMED


@pytest.mark.parametrize("name", ["test044", "test074"])
def test_a_graph_made_to_take_for_ever_is_refused_in_time(name: str) -> None:
    quads = vectors.text(f"rdf-canon/rdfc10/{name}-in.nq")
    nodes: dict[str, dict[str, Any]] = {}
    for line in quads.splitlines():
        parts = line.rstrip(" .").split(" ")
        if len(parts) < 3 or not parts[0].startswith("_:"):
            continue
        nodes.setdefault(parts[0], {"@id": parts[0]}).setdefault("https://e.example/p", []).append(
            {"@id": parts[2]}
        )
    assert nodes
    document = {**with_options(), "https://e.example/all": list(nodes.values())}
    document["proof"]["cryptosuite"] = "eddsa-rdfc-2022"

    assert isinstance(judge(document), Reason)


def test_a_document_without_a_context_can_be_proven_too() -> None:
    note = {name: value for name, value in a_note().items() if name != "@context"}

    document = proofs.attach(note, SIGNER, now=NOW)

    assert isinstance(judge(document), Proven)
    assert judge({**document, "@context": AS}) is Reason.BAD_SIGNATURE


def test_a_context_without_a_canonical_form_is_refused() -> None:
    document = proven_note()
    document["@context"] = document["proof"]["@context"] = [AS, {"big": 2**60}]
    assert judge(document) is Reason.MALFORMED

    document["proof"]["@context"] = [AS, {"big": 2**61}]
    assert judge(document) is Reason.CONTEXT


def test_a_context_that_is_spelled_otherwise_is_the_same_and_one_that_says_otherwise_is_refused() -> None:
    document = proven_note()
    document["proof"]["@context"] = [AS, {"a": {"@id": "as:a", "@protected": True}, "b": "as:b"}]
    document["@context"] = [AS, {"b": "as:b", "a": {"@protected": True, "@id": "as:a"}}]
    assert judge(document) is Reason.BAD_SIGNATURE

    document["@context"] = [AS, {"b": "as:b", "a": {"@protected": 1, "@id": "as:a"}}]
    assert judge(document) is Reason.CONTEXT


@pytest.mark.parametrize("moment", ["T", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z"])
def test_a_moment_that_is_none_is_refused(moment: str) -> None:
    assert judge(with_options(created=moment)) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("made", "holds"),
    [
        (NOW - timedelta(seconds=1), True),
        (NOW, True),
        (NOW + timedelta(seconds=1), False),
        # Whoever has the key of before would leave the date out.
        (None, False),
    ],
)
def test_a_retired_key_holds_for_what_says_that_it_was_made_before(
    made: datetime | None, holds: bool
) -> None:
    proven = Proven(("key-1", "key-2"), {}, made)

    assert proven.is_older_than({"key-1": NOW, "key-2": NOW + timedelta(days=1)}) is holds
    assert proven.is_older_than({"key-2": NOW + timedelta(days=1), "key-1": NOW}) is holds
    assert proven.is_older_than({"another": NOW - timedelta(days=1)})
