"""Attacks on who is speaking: signatures and keys. Each message is sent to an inbox and refused, and the log says why.

Beside what is here, by the number of the attack:

1   tests/federation/test_cavage.py::test_a_signature_that_covers_too_little_is_refused
2   tests/federation/test_cavage.py::test_a_digest_that_was_made_anew_without_the_signature_is_refused
3   tests/federation/test_checks.py::test_the_host_must_be_ours
4   tests/federation/test_cavage.py::test_a_get_signed_without_its_query_is_accepted_but_not_with_another
5   tests/federation/test_cavage.py::test_the_default_coverage_of_the_draft_is_too_little
6   tests/federation/test_cavage.py::test_created_and_expires_are_kept_to
6   tests/federation/test_signatures.py::test_the_parameters_are_kept_to
7   tests/node/inbox/test_receive.py::test_a_repeat_is_accepted_without_effect
8   tests/federation/test_cavage.py::test_an_algorithm_that_is_not_spoken_is_refused
9   tests/node/inbox/test_receive.py::test_an_activity_of_another_actor_has_no_effect_without_that_actors_proof
10  tests/federation/test_fetch.py::test_a_key_that_claims_an_owner_elsewhere_is_refused_without_asking_there
11  tests/federation/test_fetch.py::test_a_key_document_with_another_id_is_refused
12  tests/node/inbox/test_receive.py::test_a_key_that_another_actor_holds_is_not_taken_over
13  tests/federation/test_keys.py::test_two_keys_in_one_pem_are_refused
13  tests/federation/test_keys.py::test_an_rsa_key_that_is_too_short_is_refused
13  tests/federation/test_keys.py::test_an_rsa_key_that_is_too_long_is_refused
13  tests/federation/test_keys.py::test_a_dsa_key_is_refused
14  tests/federation/test_cavage.py::test_a_signature_field_that_is_none_is_refused
14  tests/node/inbox/test_receive.py::test_an_oversized_body_is_refused_before_it_is_read
15  tests/federation/test_signatures.py::test_two_acceptable_signatures_are_one_too_many
16  tests/federation/test_signatures.py::test_a_signature_that_covers_too_little_or_the_unknown_is_refused
17  tests/federation/test_signatures.py::test_a_header_that_is_named_like_a_derived_component_does_not_replace_it
18  tests/federation/test_structured.py::test_what_is_no_dictionary_of_lists_is_refused
19  tests/federation/test_digests.py::test_published_digests_are_judged_as_published
20  tests/federation/test_fetch.py::test_a_thousand_requests_for_one_key_cost_one_fetch
20  tests/federation/test_fetch.py::test_a_failure_is_remembered_for_a_while
20  tests/node/inbox/test_shedding.py::test_keys_of_a_server_that_is_down_are_asked_for_less_and_less
20  tests/node/inbox/test_shedding.py::test_names_of_other_peoples_keys_make_nobody_ask_without_end
20  tests/node/inbox/test_receive.py::test_a_rotated_key_is_asked_for_again_and_a_wrong_one_not_at_every_post
21  tests/node/inbox/test_receive.py::test_a_blocked_host_is_refused_without_asking_it_anything
22  tests/node/inbox/test_receive.py::test_a_farewell_of_somebody_unknown_is_accepted_and_forgotten
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import select

from federation import cavage
from federation.digests import BodyDigest
from federation.keys import Algorithm, Signer
from federation.requests import SignedRequest
from node.peers.actors import RemoteKey
from node.peers.hosts import decide
from tests.attacks.stage import Stage, a_body, reasons
from tests.federation.requests_to_us import NOW, cavage_signed, changed, rfc9421_signed, signed
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.stranger import Stranger
from vocab.terms import AS

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "mallory.example"
MALLORY = f"https://{HOST}/users/mallory"
ALICE = "https://alice.example/users/alice"
RSA = rsa_key("stranger").signer(f"{MALLORY}#main-key")
ED25519 = ed25519_key("stranger").signer(f"{MALLORY}#ed25519-key")
FOLLOW = {
    "@context": AS,
    "id": f"https://{HOST}/activities/1",
    "type": "Follow",
    "actor": MALLORY,
    "object": "https://node.example/actors/cases",
}
BODY = a_body(FOLLOW)
OTHER_BODY = a_body(FOLLOW | {"id": f"https://{HOST}/activities/2"})
SECONDS = int(NOW.timestamp())
ALL = '"@method" "@target-uri" "content-digest"'
WHEN = "(request-target) host digest (created)"


@dataclass(frozen=True)
class _Hmac:
    """Signs with the public key's text as if it were a secret."""

    key_id: str = RSA.key_id
    algorithm: Algorithm = Algorithm.RSA

    def sign(self, data: bytes) -> bytes:
        return hmac.new(rsa_key("stranger").public.pem.encode(), data, hashlib.sha256).digest()


def old(covered: str = "(request-target) host date digest", **more: Any) -> SignedRequest:
    return cavage_signed(covered, body=more.pop("body", BODY), signer=more.pop("signer", RSA), **more)


def new(components: str = ALL, parameters: str | None = None, **more: Any) -> SignedRequest:
    return rfc9421_signed(
        components, parameters, body=more.pop("body", BODY), signer=more.pop("signer", RSA), **more
    )


def at(created: int, expires: int | None = None, keyid: str = RSA.key_id) -> str:
    return f';created={created}{"" if expires is None else f";expires={expires}"};keyid="{keyid}"'


def created(seconds: int, **more: str) -> dict[str, str]:
    return {"algorithm": '"hs2019"', "created": str(seconds), **more}


def sent_as(request: SignedRequest, *, path: bytes = b"/inbox", body: bytes | None = None) -> SignedRequest:
    """The same headers, sent elsewhere or around other bytes."""
    return SignedRequest("POST", path, request.headers, request.body if body is None else body)


def doubled(request: SignedRequest, name: bytes, value: bytes) -> SignedRequest:
    return SignedRequest("POST", request.path_with_query, [*request.headers, (name, value)], request.body)


def field(request: SignedRequest, name: bytes) -> bytes:
    return dict(request.headers)[name]


def digest_of(body: bytes) -> bytes:
    return BodyDigest.of(body).digest


def both_labels() -> SignedRequest:
    """A signature that covers nothing beside one that covers all, in one request, each good and of another key."""
    thin = new("", at(SECONDS, keyid=f"{MALLORY}#other"), label="sig1")
    full = new(label="sig2")
    return changed(
        full,
        signature_input=field(thin, b"signature-input")
        + b", "
        + field(full, b"signature-input").replace(b"sig2", b"sig1"),
        signature=field(thin, b"signature") + b", " + field(full, b"signature").replace(b"sig2", b"sig1"),
    )


def two_whole_signatures() -> SignedRequest:
    one, two = new(label="sig1"), new(label="sig2", signer=ED25519)
    return changed(
        one,
        signature_input=field(one, b"signature-input") + b", " + field(two, b"signature-input"),
        signature=field(one, b"signature") + b", " + field(two, b"signature"),
    )


ATTACKS: dict[str, tuple[Callable[[], SignedRequest], str]] = {
    "1 the digest is not covered and made anew": (
        lambda: sent_as(
            changed(old("(request-target) host date"), digest=digest_of(OTHER_BODY)), body=OTHER_BODY
        ),
        "thin-coverage",
    ),
    "2 the body is another than the digest's": (lambda: sent_as(old(), body=OTHER_BODY), "digest-mismatch"),
    "2 body and digest are others than were signed": (
        lambda: sent_as(changed(old(), digest=digest_of(OTHER_BODY)), body=OTHER_BODY),
        "bad-signature",
    ),
    "3 signed for another server and sent on": (lambda: old(headers={"host": "other.example"}), "other-host"),
    "3 signed for another server, its Host exchanged": (
        lambda: changed(old(headers={"host": "other.example"}), host=b"node.example"),
        "bad-signature",
    ),
    "3 the host is not covered": (lambda: old("(request-target) date digest"), "thin-coverage"),
    "4 signed for a GET": (lambda: old(method="GET"), "bad-signature"),
    "4 signed for another inbox": (lambda: sent_as(old(target="/actors/cases/inbox")), "bad-signature"),
    "4 signed for another query": (
        lambda: sent_as(old(target="/inbox?page=1"), path=b"/inbox?page=2"),
        "bad-signature",
    ),
    "4 signed without the query": (lambda: sent_as(old(), path=b"/inbox?page=2"), "bad-signature"),
    "4 signed for another query, new dialect": (
        lambda: sent_as(new(), path=b"/inbox?page=2"),
        "bad-signature",
    ),
    "5 nothing is covered": (lambda: old(""), "thin-coverage"),
    "5 only the date is covered": (lambda: old("date"), "thin-coverage"),
    "5 only the date is covered, by default": (lambda: old("date", without=["headers"]), "thin-coverage"),
    "6 signed half a day ago": (
        lambda: old(headers={"date": cavage.imf_date(NOW - timedelta(hours=13))}),
        "stale",
    ),
    "6 made in two hours": (lambda: old(WHEN, parameters=created(SECONDS + 7200)), "future"),
    "6 expired": (lambda: old(WHEN, parameters=created(SECONDS, expires=str(SECONDS - 3601))), "expired"),
    "6 good for ten years": (
        lambda: old(WHEN, parameters=created(SECONDS, expires=str(SECONDS + 315_360_000))),
        "overlong",
    ),
    "6 made at no number": (lambda: old(WHEN, parameters=created(0) | {"created": '"now"'}), "malformed"),
    "6 old, under a fresh date that is not signed": (
        lambda: old(WHEN, parameters=created(SECONDS - 86_400)),
        "stale",
    ),
    "6 good for ten years, new dialect": (lambda: new(ALL, at(SECONDS, SECONDS + 315_360_000)), "overlong"),
    "6 made at no time, new dialect": (lambda: new(ALL, f';keyid="{RSA.key_id}"'), "no-time"),
    "8 the public key as a shared secret": (
        lambda: old(parameters={"algorithm": '"hmac-sha256"'}, signer=cast(Signer, _Hmac())),
        "algorithm",
    ),
    "8 the public key as a shared secret, under the name of RSA": (
        lambda: old(signer=cast(Signer, _Hmac())),
        "bad-signature",
    ),
    "8 rsa-sha1": (lambda: old(parameters={"algorithm": '"rsa-sha1"'}), "algorithm"),
    "8 rsa-sha256 over an Ed25519 key": (lambda: old(signer=ED25519), "algorithm"),
    "8 (created) under rsa-sha256": (lambda: old(WHEN, parameters={"created": str(SECONDS)}), "algorithm"),
    "8 alg of another kind of key, new dialect": (
        lambda: new(ALL, at(SECONDS) + ';alg="ed25519"'),
        "algorithm",
    ),
    "14 no signature": (lambda: changed(old(), signature=None), "missing"),
    "14 an empty signature": (lambda: changed(old(), signature=b""), "malformed"),
    "14 a good signature and a bad one": (lambda: doubled(old(), b"signature", b'keyId="x"'), "duplicate"),
    "14 parameters in capitals": (
        lambda: old(
            template=f'KEYID="{RSA.key_id}",HEADERS="(request-target) host date digest",SIGNATURE="{{signature}}"'
        ),
        "malformed",
    ),
    "14 two key ids": (
        lambda: old(
            template=f'keyId="{ALICE}#main-key",keyId="{RSA.key_id}",headers="(request-target) host date digest",signature="{{signature}}"'
        ),
        "duplicate",
    ),
    "14 a quote without its end": (
        lambda: old(
            template=f'keyId="{RSA.key_id},headers="(request-target) host date digest",signature="{{signature}}"'
        ),
        "malformed",
    ),
    "14 in the Authorization header": (
        lambda: changed(old(), signature=None, authorization=b"Signature " + field(old(), b"signature")),
        "missing",
    ),
    "15 the same label twice, the weak one first": (both_labels, "malformed"),
    "15 two whole signatures of two keys": (two_whole_signatures, "several-signatures"),
    "16 nothing is covered, new dialect": (lambda: new(""), "thin-coverage"),
    "16 the target is not covered": (lambda: new('"@method" "content-digest"'), "thin-coverage"),
    "16 the digest is not covered": (lambda: new('"@method" "@target-uri"'), "thin-coverage"),
    "17 a header named like a derived component": (
        lambda: sent_as(
            doubled(new(target="/other"), b"@target-uri", b"https://node.example/other"), path=b"/inbox"
        ),
        "bad-signature",
    ),
    "17 two hosts": (lambda: doubled(new(), b"host", b"other.example"), "duplicate"),
    "17 a component listed twice": (lambda: new(f'{ALL} "content-digest"'), "duplicate"),
    "17 the digest as bytes of another kind": (
        lambda: new('"@method" "@target-uri" "content-digest";bs'),
        "unknown-component",
    ),
    "17 a component of another request": (lambda: new(f'{ALL} "@path";req'), "unknown-component"),
    "17 a component of the trailers": (lambda: new(f'{ALL} "date";tr'), "unknown-component"),
    "18 a label without its signature": (
        lambda: changed(new(), signature=field(new(), b"signature").replace(b"sig1", b"sig2")),
        "malformed",
    ),
    "18 a label twice": (
        lambda: changed(
            new(), signature_input=field(new(), b"signature-input") + b', sig1=();created=1;keyid="x"'
        ),
        "malformed",
    ),
    "18 a folded header": (lambda: new(f'{ALL} "x-more"', headers=[(b"x-more", b"a\r\n b")]), "malformed"),
    "18 a header split in two with a comma": (
        lambda: changed(
            doubled(new(f'{ALL} "x-more"', headers=[(b"x-more", b"a"), (b"x-more", b"b")]), b"x-more", b"c")
        ),
        "bad-signature",
    ),
    "19 md5 only": (
        lambda: changed(new(), content_digest=b"md5=:Sd/dVLAcvNLSq16eXua5uQ==:"),
        "digest-missing",
    ),
    "19 a good digest and a bad one": (
        lambda: changed(new(), content_digest=field(new(), b"content-digest") + b", sha-512=:AAAA:"),
        "digest-mismatch",
    ),
    "19 an unknown algorithm only": (
        lambda: changed(new(), content_digest=b"sha-999=:AAAA:"),
        "digest-missing",
    ),
    "19 the old field good, the new one bad": (
        lambda: changed(old(), content_digest=BodyDigest.of(OTHER_BODY).content_digest),
        "digest-mismatch",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_request_that_is_not_plainly_signed_by_its_sender_is_refused(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    build, reason = ATTACKS[attack]
    stage.stranger(HOST)
    before = await stage.kept()

    answer = await stage.knock(build())

    assert answer.status_code == 401
    assert answer.json() == {"error": "The signature was not accepted."}
    assert reasons(caplog) == [reason]
    assert await stage.kept() == before


@pytest.mark.parametrize("build", [old, new, lambda: new(signer=ED25519)], ids=["old", "new", "new, Ed25519"])
async def test_0_the_honest_request_beside_them_is_accepted(
    stage: Stage, build: Callable[[], SignedRequest]
) -> None:
    stage.stranger(HOST)

    assert (await stage.knock(build())).status_code == 202


@pytest.mark.parametrize("attack", ["19 the digest of what is packed"])
async def test_a_packed_body_is_refused(stage: Stage, attack: str) -> None:
    stage.stranger(HOST)

    assert (await stage.knock(changed(old(), content_encoding=b"gzip"))).status_code == 415


@pytest.mark.parametrize("attack", ["7 the same bytes, with a header more"])
async def test_a_replay_is_accepted_without_effect(stage: Stage, attack: str) -> None:
    reader = stage.stranger()
    body = a_body(reader.activity("Follow", "https://node.example/actors/cases"))
    request = signed(body=body, signer=reader.signer())
    assert (await stage.knock(request)).status_code == 202
    await stage.town.settle()
    heard, kept = list(reader.received), await stage.kept()

    again = await stage.knock(doubled(request, b"x-unsigned", b"1"))
    await stage.town.settle()

    assert again.status_code == 202
    assert len(heard) == 1
    assert (reader.received, await stage.kept()) == (heard, kept)


# ---- whose key it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attack",
    [
        "9 another's activity under one's own key",
        "15 another's name on a thin signature beside one's own",
    ],
)
async def test_an_activity_of_another_without_their_proof_is_refused(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice = Stranger(stage.town, "alice.example", "alice", key="other")
    mallory = stage.stranger()
    body = a_body(alice.activity("Follow", "https://node.example/actors/cases", number=len(attack)))
    request = rfc9421_signed(body=body, signer=mallory.signer(), label="sig2")
    if attack.startswith("15"):
        thin = rfc9421_signed("", body=body, signer=alice.signer(), label="sig1")
        request = changed(
            request,
            signature_input=field(thin, b"signature-input") + b", " + field(request, b"signature-input"),
            signature=field(thin, b"signature") + b", " + field(request, b"signature"),
        )

    await stage.knock(request)
    await stage.town.settle()

    assert reasons(caplog) == ["proof: missing"]
    assert alice.received == mallory.received == []


def a_key(key_id: str, owner: str, name: str = "stranger") -> dict[str, Any]:
    return {
        "@context": [AS, "https://w3id.org/security/v1"],
        "id": key_id,
        "type": "Key",
        "owner": owner,
        "publicKeyPem": rsa_key(name).public.pem,
    }


@pytest.mark.parametrize(
    ("attack", "key_id", "document"),
    [
        ("10 a key that says it is alice's", "/k1", lambda at: a_key(at, ALICE)),
        (
            "10 a key that says it is a neighbour's",
            "/k2",
            lambda at: a_key(at, at.replace("/k2", "/users/bob")),
        ),
        ("11 a key under the id of alice's", "/k3", lambda at: a_key(f"{ALICE}#main-key", ALICE)),
        (
            "11 an actor under the id of alice",
            "/k4#main-key",
            lambda at: {
                "id": ALICE,
                "type": "Person",
                "inbox": at,
                "publicKey": a_key(f"{ALICE}#main-key", ALICE),
            },
        ),
        ("10 a key of nobody", "/k5", lambda at: {**a_key(at, ""), "owner": None}),
    ],
)
async def test_a_key_that_is_not_its_owners_speaks_for_nobody(
    stage: Stage,
    caplog: pytest.LogCaptureFixture,
    attack: str,
    key_id: str,
    document: Callable[[str], dict[str, Any]],
) -> None:
    alice = Stranger(stage.town, "alice.example", "alice", key="other")
    mallory = stage.stranger()
    at = f"https://{mallory.host}{key_id}"
    mallory.documents[key_id.partition("#")[0]] = document(at)

    status = await stage.send(
        mallory,
        alice.activity("Follow", "https://node.example/actors/cases", number=99),
        to="node",
        key_id=at,
    )

    assert status == 401
    assert reasons(caplog)[0].startswith("key-unreachable") or reasons(caplog) == ["no-such-key"]
    async with stage.town["node"].node.database.read() as session:
        keys = list(await session.scalars(select(RemoteKey).where(RemoteKey.id.in_([at, alice.key_id]))))
    assert all(key.owner == alice.id and key.material == alice.rsa.public.pem for key in keys)


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        ("12 a neighbour lists alice's key before she is known", "#main-key"),
        ("12 a neighbour lists the address of alice's key before she is known", "/main-key"),
        ("12 a neighbour lists a key of alice's that lies beside them both", "/../../keys/alice"),
    ],
)
async def test_a_neighbour_does_not_take_a_key_id_away(stage: Stage, attack: str, name: str) -> None:
    alice = stage.stranger(name="alice", key="other")
    bob = stage.stranger(alice.host, "bob")
    stage.neighbours(alice, bob)
    key_id = f"https://{alice.host}/keys/alice" if ".." in name else f"{alice.id}{name}"
    hers = a_key(key_id, alice.id, "other")
    alice.documents["/users/alice"]["publicKey"] = hers
    if "#" not in key_id:
        alice.documents[key_id.removeprefix(f"https://{alice.host}")] = hers
    own = bob.documents["/users/bob"]["publicKey"]
    bob.documents["/users/bob"]["publicKey"] = [own, {**own, "id": key_id}]
    follow = "https://node.example/actors/cases"
    await stage.send(bob, bob.activity("Follow", follow), to="node")

    taken = await stage.send(bob, alice.activity("Follow", follow, number=2), to="node", key_id=key_id)
    own_words = await stage.send(alice, alice.activity("Follow", follow, number=3), to="node", key_id=key_id)

    assert (taken, own_words) == (401, 202)
    assert [activity["type"] for activity in alice.received] == ["Accept"]


@pytest.mark.parametrize(
    ("attack", "change"),
    [
        (
            "13 two keys of one id",
            lambda key: [key, {**key, "publicKeyPem": rsa_key("peer").public.pem}],
        ),
        ("13 a key of another owner", lambda key: {**key, "owner": ALICE}),
        ("13 a key of nobody", lambda key: {"id": key["id"], "publicKeyPem": key["publicKeyPem"]}),
        ("13 two keys in one PEM", lambda key: {**key, "publicKeyPem": key["publicKeyPem"] * 2}),
        ("13 words for a key", lambda key: {**key, "publicKeyPem": "-----BEGIN PUBLIC KEY-----\nno"}),
    ],
)
async def test_a_key_that_is_not_plainly_one_is_none(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, change: Callable[[dict[str, Any]], object]
) -> None:
    mallory = stage.stranger()
    document = mallory.actor()
    mallory.documents["/users/mallory"] = document | {"publicKey": change(document["publicKey"])}

    status = await stage.send(
        mallory, mallory.activity("Follow", "https://node.example/actors/cases"), to="node"
    )

    assert status == 401
    assert reasons(caplog)
    assert mallory.received == []


# ---- what asking for keys costs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "answer"),
    [
        ("20 a key that leads on and on", lambda path: httpx.Response(302, headers={"location": f"{path}x"})),
        ("20 a key that leads to itself", lambda path: httpx.Response(302, headers={"location": path})),
        ("20 a key that is not there", lambda path: httpx.Response(404)),
    ],
)
async def test_a_key_that_cannot_be_had_costs_few_requests_however_often_it_is_named(
    stage: Stage, attack: str, answer: Callable[[str], httpx.Response]
) -> None:
    mallory = stage.stranger()
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answer(request.url.path)

    stage.town.wires.apps[mallory.host] = httpx.MockTransport(serve)

    statuses = {
        (await mallory.post("node", mallory.activity("Follow", ALICE, number=number))).status_code
        for number in range(20)
    }

    assert statuses == {401}
    assert 1 <= len(asked) <= 4


@pytest.mark.parametrize("attack", ["20 a thousand names for one key"])
async def test_many_names_of_keys_on_one_host_cost_few_requests(stage: Stage, attack: str) -> None:
    target = stage.stranger("bystander.example")
    mallory = stage.stranger()

    for number in range(150):
        answer = await mallory.post(
            "node",
            mallory.activity("Follow", ALICE, number=number),
            key_id=f"https://{target.host}/users/nobody{number}#main-key",
        )
        assert answer.status_code in {401, 429}

    assert len(target.asked) <= 110


@pytest.mark.parametrize(
    ("attack", "key_id"),
    [
        ("21 a key of a blocked host", "https://suspended.example/users/x#main-key"),
        ("21 in capitals", "https://SUSPENDED.example/users/x#main-key"),
        ("21 with a dot", "https://suspended.example./users/x#main-key"),
        ("21 with a dot and a port", "https://suspended.example.:443/users/x#main-key"),
        ("21 with a port", "https://suspended.example:8443/users/x#main-key"),
        ("21 below it", "https://users.suspended.example/x#main-key"),
        ("21 with user information", "https://x@suspended.example/users/x#main-key"),
        ("21 in other letters", "https://suspended\u3002example/users/x#main-key"),
        ("21 percent-encoded", "https://%73uspended.example/users/x#main-key"),
        ("21 an account", "acct:x@suspended.example"),
    ],
)
async def test_a_blocked_host_is_not_asked_for_a_key_however_it_is_written(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, key_id: str
) -> None:
    suspended = stage.stranger("suspended.example", "x")
    stage.town.wires.apps["users.suspended.example"] = stage.town.wires.apps["suspended.example"]
    stage.town.wires.apps["suspended.example:8443"] = stage.town.wires.apps["suspended.example"]
    async with stage.town["node"].node.database.begin() as session:
        await decide(session, "suspended.example", "block", reason="a test", now=stage.town.clock.now())
    mallory = stage.stranger()
    body = a_body(mallory.activity("Follow", ALICE))
    header = f'keyId="{key_id}",algorithm="rsa-sha256",headers="(request-target) host date digest",signature="{{signature}}"'
    request = cavage_signed(body=body, signer=RSA, template=header) if key_id.isascii() else None
    if request is None:
        # What is not ASCII cannot stand in a header but as UTF-8.
        plain = cavage_signed(body=body, signer=RSA)
        value = field(plain, b"signature").replace(RSA.key_id.encode(), key_id.encode())
        request = changed(plain, signature=value)

    answer = await stage.knock(request)

    assert answer.status_code in {401, 403}
    assert reasons(caplog)
    assert suspended.asked == []


@pytest.mark.parametrize("attack", ["22 the farewell of somebody unknown"])
@pytest.mark.parametrize("kind", ["Delete", "Update"])
async def test_what_somebody_unknown_does_to_themselves_costs_no_request(
    stage: Stage, attack: str, kind: str
) -> None:
    gone = stage.stranger()
    gone.documents["/users/mallory"] = httpx.Response(410)
    before = await stage.kept()

    status = await stage.send(gone, gone.activity(kind, gone.id), to="node")

    assert status == 202
    assert gone.asked == []
    assert await stage.kept() == before


@pytest.mark.parametrize("attack", ["9 a document of somebody else's key, embedded"])
async def test_an_actor_that_is_embedded_is_not_believed(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice = Stranger(stage.town, "alice.example", "alice", key="other")
    mallory = stage.stranger()
    forged = alice.actor(publicKey=a_key(mallory.key_id, alice.id))
    activity = alice.activity("Follow", "https://node.example/actors/cases", number=7, actor=forged)

    await stage.send(mallory, activity, to="node")

    assert reasons(caplog) == ["proof: missing"]
    assert alice.received == mallory.received == []
