"""Attacks on what is proven: object proofs, Linked Data signatures, JSON-LD and the reading of JSON.

Each message goes to an inbox, mostly as something forwarded, so that nothing but its proof speaks for it.
Beside what is here, by the number of the attack:

23  tests/federation/test_ldsignatures.py::test_redefined_terms_do_not_show_in_what_is_handed_on
24  tests/federation/test_ldsignatures.py::test_turned_documents_are_refused_or_read_as_what_was_signed
25  tests/federation/test_ldsignatures.py::test_turned_documents_are_refused_or_read_as_what_was_signed
26  tests/vocab/test_jsonld.py::test_a_context_that_is_not_bundled_is_never_fetched
26  tests/federation/test_ldsignatures.py::test_an_unknown_context_is_refused_and_not_fetched
27  tests/federation/test_proofs.py::test_an_appended_context_does_not_break_the_proof_and_is_not_used
27  tests/node/effects/test_process.py::test_a_context_that_is_added_to_a_proven_case_redefines_nothing
28  tests/federation/test_proofs.py::test_a_proof_by_another_key_under_the_right_name_is_refused
29  tests/node/effects/test_process.py::test_an_admitted_organisation_cannot_speak_for_another
29  tests/node/effects/test_process.py::test_an_old_signed_version_does_not_undo_a_correction
30  tests/federation/test_proofs.py::test_all_proofs_of_a_set_must_hold
31  tests/federation/test_proofs.py::test_a_proof_that_was_honestly_made_over_the_wrong_options_is_refused
32  tests/vocab/test_jsonld.py::test_json_that_two_parsers_could_read_differently_is_refused
32  tests/vocab/test_canonical.py::test_the_published_examples_come_out_byte_for_byte
33  tests/node/inbox/test_receive.py::test_what_is_no_activity_is_refused_before_any_key_is_asked_for
33  tests/vocab/test_activities.py::test_an_activity_whose_identity_is_unclear_is_refused
34  tests/vocab/test_jsonld.py::test_a_graph_made_to_take_for_ever_is_given_up_at_once
34  tests/federation/test_proofs.py::test_a_graph_made_to_take_for_ever_is_refused_in_time
35  tests/vocab/test_jsonld.py::test_deep_nesting_is_refused_without_a_stack_overflow
35  tests/vocab/test_actors.py::test_long_names_are_shortened_and_many_keys_are_not_all_read
36  tests/node/inbox/test_receive.py::test_an_encoded_body_is_refused
36  tests/federation/test_fetch.py::test_an_encoded_answer_is_refused
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from federation import ldsignatures
from federation.keys import Signer
from federation.proofs import attach
from tests.attacks.stage import FORGED, Stage, reasons, served
from tests.federation import vectors
from tests.rig.stranger import Stranger
from vocab import jsonld
from vocab.terms import AS, DATA_INTEGRITY_V1, SECURITY_V1

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLLOWED = "https://node.example/actors/cases"


# ---- documents that verify and say something else --------------------------------------------------------------------


async def forward(stage: Stage, document: dict[str, Any], key_pem: str, *, to: str = "node") -> int:
    """Send a document of somebody else on, whose server shows the key it is signed with."""
    signature = document.get("signature", {})
    actor = str(document["actor"])
    home = urlsplit(actor).netloc
    victim = Stranger(stage.town, home, urlsplit(actor).path.rsplit("/", 1)[1])
    victim.documents[urlsplit(actor).path] = victim.actor(
        id=actor,
        inbox=f"{actor}/inbox",
        publicKey={"id": signature.get("creator"), "owner": actor, "publicKeyPem": key_pem},
        assertionMethod=[],
    )
    victim.asked.clear()
    return await stage.send(stage.stranger(), document, to=to)


@pytest.mark.parametrize("attack", ["23 terms redefined by null"])
async def test_a_document_whose_plain_names_were_never_signed_is_not_kept(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    published = vectors.load("mastodon-signatures/ld-signature-null-context-forgery.json")

    await forward(stage, published["document"], published["signer_public_key_pem"])

    assert reasons(caplog)
    assert stage.asked("www.youtube.com") == []


@pytest.mark.parametrize("number", range(1, 9))
async def test_24_and_25_a_signed_document_turned_inside_out_is_refused_or_read_as_what_it_was(
    stage: Stage, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    published = vectors.load("mastodon-signatures/ld-signature-restructuring.json")
    case = published["cases"][number]
    before = len(stage.asked("victim.example"))

    document = case["document"] | {"id": f"https://remote.domain/turned/{number}"}
    for turned in (case["document"], document):
        if "actor" in turned:
            await forward(stage, turned, published["publicKeyPem"])

    # An Announce of what the victim wrote would have been looked up there.
    assert len(stage.asked("victim.example")) == before
    assert reasons(caplog) or "actor" not in case["document"]


@pytest.mark.parametrize("attack", ["25 keywords under other names, in one's own activity"])
@pytest.mark.parametrize("term", ["@included", "@graph", "@nest", "@reverse"])
async def test_keywords_under_other_names_change_nothing(stage: Stage, attack: str, term: str) -> None:
    mallory = stage.stranger()
    hidden = {"id": f"https://{mallory.host}/x", "type": "Follow", "actor": mallory.id, "object": FOLLOWED}
    activity = mallory.activity("Like", "https://node.example/cases/none", extra=hidden)
    activity["@context"] = [AS, {"extra": term if term != "@reverse" else {"@reverse": f"{AS}#object"}}]

    await stage.send(mallory, activity, to="node")

    assert mallory.received == []


@pytest.mark.parametrize(
    ("attack", "context"),
    [
        ("26 a context of one's own", "https://evil-context.example/ctx"),
        ("26 a context that leads inward", "http://169.254.169.254/latest/meta-data/"),
        (
            "26 a context that imports another",
            {"@version": 1.1, "@import": "https://evil-context.example/ctx"},
        ),
        ("26 a context as a file", "file:///etc/passwd"),
    ],
)
@pytest.mark.parametrize("suite", ["plain", "eddsa-rdfc-2022", "RsaSignature2017"])
async def test_no_context_is_ever_fetched(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, context: object, suite: str
) -> None:
    stage.stranger("evil-context.example")
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    activity = alice.activity("Follow", FOLLOWED) | {"@context": [AS, context]}
    if suite == "eddsa-rdfc-2022":
        activity["proof"] = a_proof(alice, stage.town.clock.now(), cryptosuite=suite)
    elif suite == "RsaSignature2017":
        activity["signature"] = {
            "type": suite,
            "creator": alice.key_id,
            "created": "2026-11-21T12:00:00Z",
            "signatureValue": "AAAA",
        }

    await stage.send(mallory, activity, to="node")

    assert stage.asked("evil-context.example") == stage.asked("169.254.169.254") == []
    assert reasons(caplog)
    assert alice.received == []


# ---- whose proof it is, and when ---------------------------------------------------------------------------------


def a_proof(owner: Stranger, now: datetime, **changed: Any) -> dict[str, Any]:
    return {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verificationMethod": owner.prover().key_id,
        "proofPurpose": "assertionMethod",
        "proofValue": "z" + "2" * 86,
    } | changed


def proven_with(
    activity: dict[str, Any], signer: Signer, now: datetime, options: dict[str, Any]
) -> dict[str, Any]:
    """A proof that was honestly made over the options given."""
    from federation import keys, proofs

    bare = {name: value for name, value in activity.items() if name != "proof"}
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verificationMethod": signer.key_id,
        "proofPurpose": "assertionMethod",
        "@context": bare["@context"],
    }
    proof = {name: value for name, value in (proof | options).items() if value is not None}
    value = keys.base58_encode(signer.sign(proofs._jcs_data(bare, proof)))
    return {**bare, "proof": {**proof, "proofValue": "z" + value}}


Forge = Callable[[Stage, Stranger, Stranger, dict[str, Any]], dict[str, Any]]


def with_options(**options: Any) -> Forge:
    def forge(stage: Stage, alice: Stranger, mallory: Stranger, activity: dict[str, Any]) -> dict[str, Any]:
        return proven_with(activity, alice.prover(), stage.town.clock.now(), options)

    return forge


def by_mallory(stage: Stage, alice: Stranger, mallory: Stranger, activity: dict[str, Any]) -> dict[str, Any]:
    return attach(activity, mallory.prover(), now=stage.town.clock.now())


def by_mallory_as_alice(
    stage: Stage, alice: Stranger, mallory: Stranger, activity: dict[str, Any]
) -> dict[str, Any]:
    signer = mallory.ed25519.signer(alice.prover().key_id)
    return attach(activity, signer, now=stage.town.clock.now())


def changed_after(
    stage: Stage, alice: Stranger, mallory: Stranger, activity: dict[str, Any]
) -> dict[str, Any]:
    return attach(activity, alice.prover(), now=stage.town.clock.now()) | {"summary": FORGED}


def bad_proof_good_signature(
    stage: Stage, alice: Stranger, mallory: Stranger, activity: dict[str, Any]
) -> dict[str, Any]:
    proven = attach(activity, mallory.ed25519.signer(alice.prover().key_id), now=stage.town.clock.now())
    return ldsignatures.attach(proven, alice.signer(), now=stage.town.clock.now())


def one_good_of_two(
    stage: Stage, alice: Stranger, mallory: Stranger, activity: dict[str, Any]
) -> dict[str, Any]:
    good = attach(activity, alice.prover(), now=stage.town.clock.now())
    bad = by_mallory_as_alice(stage, alice, mallory, activity)
    return good | {"proof": [good["proof"], bad["proof"]]}


FORGERIES: dict[str, tuple[Forge, str]] = {
    "28 proven by another": (by_mallory, "wrong-key"),
    "28 proven by another in alice's name": (by_mallory_as_alice, "bad-signature"),
    "28 a proof that authenticates and asserts nothing": (
        with_options(proofPurpose="authentication"),
        "wrong-purpose",
    ),
    "28 a key on another origin": (
        with_options(verificationMethod="https://evil.example/users/alice#ed25519-key"),
        "wrong-key",
    ),
    "28 changed after it was proven": (changed_after, "bad-signature"),
    "29 of two proofs one is bad": (one_good_of_two, "bad-signature"),
    "30 a good signature over a bad proof": (bad_proof_good_signature, "bad-signature"),
    "31 a proof that has expired": (with_options(expires="2026-11-21T11:59:59Z"), "expired"),
    "31 a proof made in 2099": (with_options(created="2099-01-01T00:00:00Z"), "future"),
    "31 a proof made at a time without a zone": (with_options(created="2026-11-21T12:00:00"), "malformed"),
    "31 a suite that nobody knows": (with_options(cryptosuite="eddsa-2099"), "unknown-suite"),
}


@pytest.mark.parametrize("attack", FORGERIES)
async def test_a_forwarded_activity_without_a_good_proof_of_its_actor_is_refused(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    forge, reason = FORGERIES[attack]
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    activity = alice.activity("Follow", FOLLOWED) | {"@context": [AS, SECURITY_V1, DATA_INTEGRITY_V1]}

    await stage.send(mallory, forge(stage, alice, mallory, activity), to="node")

    assert [f"proof: {reason}"] == reasons(caplog)
    assert alice.received == mallory.received == []


async def test_0_the_honest_proof_beside_them_is_believed(stage: Stage) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()

    await stage.send(mallory, stage.prove(alice, alice.activity("Follow", FOLLOWED)), to="node")

    assert [activity["type"] for activity in alice.received] == ["Accept"]


@pytest.mark.parametrize("attack", ["29 a good activity of alice inside mallory's"])
@pytest.mark.parametrize("kind", ["Create", "Update", "Announce"])
async def test_what_alice_signed_stays_hers_in_whatever_it_is_wrapped(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, kind: str
) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    stolen = stage.case(alice, f"stolen-{kind}")
    renamed = stolen | {"id": f"https://{mallory.host}/cases/{kind}", "attributedTo": mallory.id}
    caplog.clear()

    await stage.send(mallory, mallory.activity(kind, renamed))

    assert await stage.entry(renamed["id"]) is None
    assert reasons(caplog)


# ---- the reading of JSON -----------------------------------------------------------------------------------------


def like(stranger: Stranger, **more: Any) -> str:
    return json.dumps(stranger.activity("Follow", FOLLOWED, **more))


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = {"inReplyTo": value}
    return value


BODIES: dict[str, Callable[[Stranger], bytes]] = {
    "32 one name twice": lambda s: (like(s)[:-1] + ', "content": "a", "content": "b"}').encode(),
    "32 two actors under one name": lambda s: (like(s)[:-1] + f', "actor": "{s.id}"}}').encode(),
    "32 a number beyond all": lambda s: (like(s)[:-1] + ', "n": 1e400}').encode(),
    "32 no number": lambda s: (like(s)[:-1] + ', "n": NaN}').encode(),
    "32 half a character": lambda s: (like(s)[:-1] + ', "content": "\\ud800"}').encode(),
    "33 a byte order mark": lambda s: b"\xef\xbb\xbf" + like(s).encode(),
    "33 UTF-16": lambda s: like(s).encode("utf-16"),
    "33 a comma at the end": lambda s: (like(s)[:-1] + ",}").encode(),
    "33 a comment": lambda s: (like(s)[:-1] + "/* */}").encode(),
    "33 a null in the id": lambda s: like(s, id=f"https://{s.host}/1\u0000x").encode(),
    "33 a line break in the id": lambda s: like(s, id=f"https://{s.host}/1\nx").encode(),
    "33 an id of 3000 characters": lambda s: like(s, id=f"https://{s.host}/" + "x" * 3000).encode(),
    "33 an id without an end to its host": lambda s: like(s, id=f"https://[{s.host}/").encode(),
    "33 two actors": lambda s: like(s, actor=[s.id, "https://alice.example/users/alice"]).encode(),
    "33 an actor without an id": lambda s: like(s, actor={"type": "Person", "name": "alice"}).encode(),
    "33 a list of one activity": lambda s: f"[{like(s)}]".encode(),
    "35 nested without end": lambda s: like(s)[:-1].encode() + b', "x": ' + b"[" * 100_000,
    "35 replies nested 5000 deep": lambda s: (
        like(s)[:-1] + ', "x": ' + '{"inReplyTo":' * 5000 + "1" + "}" * 5001
    ).encode(),
    "35 nested a little too deep": lambda s: like(s, inReplyTo=deep(40)).encode(),
    "35 a hundred thousand tags": lambda s: like(s, tag=["x"] * 100_000).encode(),
    "35 ten thousand attachments": lambda s: like(s, attachment=[{"a": 1}] * 10_000).encode(),
    "35 more bytes than an activity has": lambda s: like(s, tag=["x" * 100] * 12_000).encode(),
}


@pytest.mark.parametrize("attack", BODIES)
async def test_a_body_that_two_readers_could_read_differently_is_refused(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    mallory = stage.stranger()

    kept = await stage.kept()

    status = await stage.send(mallory, BODIES[attack](mallory), to="node")

    assert status in {400, 413}
    assert reasons(caplog) or status == 413
    assert mallory.received == []
    assert await stage.kept() == kept


ODD = {
    "32 numbers in other spellings": '"n": [-0, 1E21, 1.0, 0.000001, 9007199254740993, 333333333.33333329]',
    "32 names in the order of UTF-16": '"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "1": 4',
    "32 letters written out": r'"content": "\u0041\u00e9\ud83d\ude00\u000a\/"',
}


@pytest.mark.parametrize("attack", ODD)
async def test_what_is_odd_but_has_one_meaning_is_proven_byte_for_byte(stage: Stage, attack: str) -> None:
    """RFC 8785: the proof holds over the canonical form, however the sender spelled it on the wire."""
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    odd = json.loads(
        "{" + ODD[attack] + "}", parse_int=lambda digits: float(digits) if len(digits) > 15 else int(digits)
    )
    proven = stage.prove(alice, alice.activity("Follow", FOLLOWED, **odd))
    wire = json.dumps({name: value for name, value in proven.items() if name not in odd})
    changed = ODD[attack].replace(": 3", ": 4").replace("0041", "0042").replace("1E21", "1E22")

    spoilt = await stage.send(mallory, (wire[:-1] + f", {changed}}}").encode(), to="node")
    assert [item["type"] for item in alice.received] == []
    honest = await stage.send(stage.stranger(), (wire[:-1] + f", {ODD[attack]}}}").encode(), to="node")

    assert (spoilt, honest) == (202, 202)
    assert [item["type"] for item in alice.received] == ["Accept"]


@pytest.mark.parametrize("attack", ["34 a graph made to take for ever"])
@pytest.mark.parametrize("suite", ["eddsa-rdfc-2022", "RsaSignature2017"])
async def test_a_graph_that_is_hard_to_sort_costs_less_than_a_second(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, suite: str
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    clique = [
        {
            "@id": f"_:b{one}",
            "https://e.example/p": [{"@id": f"_:b{other}"} for other in range(10) if other != one],
        }
        for one in range(10)
    ]
    activity = alice.activity("Follow", FOLLOWED) | {"https://e.example/all": clique}
    activity["proof"] = a_proof(alice, stage.town.clock.now(), cryptosuite="eddsa-rdfc-2022")
    if suite == "RsaSignature2017":
        activity["signature"] = {
            "type": suite,
            "creator": alice.key_id,
            "created": "2026-11-21T12:00:00Z",
            "signatureValue": "AAAA",
        }
    start = time.process_time()

    await stage.send(mallory, activity, to="node")

    assert time.process_time() - start < 1
    assert reasons(caplog)
    assert alice.received == []


@pytest.mark.parametrize("attack", ["34 a list made to be compared with itself"])
@pytest.mark.parametrize("suite", ["eddsa-rdfc-2022", "RsaSignature2017"])
async def test_a_list_of_thousands_is_not_sorted(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, suite: str
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    activity = alice.activity(
        "Follow", FOLLOWED, to=[f"https://e.example/{number}" for number in range(9_000)]
    )
    if suite == "RsaSignature2017":
        activity["signature"] = {
            "type": suite,
            "creator": alice.key_id,
            "created": "2026-11-21T12:00:00Z",
            "signatureValue": "AAAA",
        }
    else:
        activity["proof"] = a_proof(alice, stage.town.clock.now(), cryptosuite=suite) | {"proofValue": "z1"}
    start = time.process_time()

    await stage.send(mallory, activity, to="node")

    assert time.process_time() - start < 1
    assert reasons(caplog)
    assert alice.received == []


@pytest.mark.parametrize("attack", ["34 a graph that takes a while to sort"])
async def test_the_loop_goes_on_while_a_graph_is_sorted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    activity = alice.activity("Follow", FOLLOWED)
    activity["proof"] = a_proof(alice, stage.town.clock.now(), cryptosuite="eddsa-rdfc-2022") | {
        "proofValue": "z1"
    }
    threads: list[int] = []

    def canonize(document: object) -> str:
        threads.append(threading.get_ident())
        return ""

    monkeypatch.setattr(jsonld, "canonize", canonize)

    await stage.send(mallory, activity, to="node")

    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("attack", ["36 a packed answer where an actor should be"])
@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br"])
async def test_a_packed_answer_is_not_unpacked(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, encoding: str
) -> None:
    mallory = stage.stranger()
    bomb = served(mallory.actor())
    bomb.headers["content-encoding"] = encoding
    mallory.documents["/users/mallory"] = bomb

    status = await stage.send(mallory, mallory.activity("Follow", FOLLOWED), to="node")

    assert status == 401
    assert reasons(caplog)


@pytest.mark.parametrize("attack", ["31 an activity of yesterday, forwarded today"])
async def test_what_was_said_once_is_not_said_twice_by_being_forwarded(stage: Stage, attack: str) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    activity = stage.prove(alice, alice.activity("Follow", FOLLOWED))
    await stage.send(alice, activity, to="node")
    await stage.send(alice, alice.activity("Undo", activity), to="node")

    for _ in range(2):
        await stage.send(mallory, activity, to="node")

    answered = [item["type"] for item in alice.received]
    assert answered.count("Accept") <= 1
