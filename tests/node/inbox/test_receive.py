"""What is refused at the inbox, how it is answered, and that it leaves no trace. One story for each way to be wrong."""

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event, func, select

from node.inbox import keeping
from node.inbox.keeping import EMPTIED, KEEP, Received, forget_old
from node.inbox.receive import MAX_BODY_BYTES
from node.outbox import Job
from node.peers.hosts import Blocklist, HostAdvice
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS


async def stored(town: Town) -> int:
    async with town["a"].node.database.read() as session:
        received = await session.scalar(select(func.count(Received.activity_id.distinct()))) or 0
        jobs = await session.scalar(select(func.count()).where(Job.kind == "process")) or 0
    assert received >= jobs
    return received


def follow_of(stranger: Stranger, town: Town, number: int = 1) -> dict[str, Any]:
    return stranger.activity("Follow", town["a"].settings.main_actor, number=number)


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


@pytest.mark.parametrize("dialect", ["cavage", "rfc9421"])
async def test_a_well_signed_activity_is_kept_before_it_is_accepted(
    town: Town, stranger: Stranger, dialect: str
) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), dialect=dialect)

    assert answer.status_code == 202
    assert await stored(town) == 1


async def test_a_repeat_is_accepted_without_effect(town: Town, stranger: Stranger) -> None:
    first = await stranger.post("a", follow_of(stranger, town))
    await town.settle()
    answers = len(stranger.received)
    again = await stranger.post("a", follow_of(stranger, town))
    await town.settle()

    assert (first.status_code, again.status_code) == (202, 202)
    assert await stored(town) == 1
    assert len(stranger.received) == answers == 1


WRONG: dict[str, dict[str, Any]] = {
    "no signature": {"headers": {"signature": None}},
    "an empty signature": {"headers": {"signature": ""}},
    "a garbled signature": {"headers": {"signature": 'keyId="x",signature="!!!"'}},
    "another body than was signed": {
        "body": b'{"id":"https://stranger.example/activities/x","type":"Follow","actor":"https://stranger.example/users/sam","object":"y"}'
    },
    "no digest": {"headers": {"digest": None}},
    "signed for another host": {"signed_as": "https://b.example/inbox", "headers": {"host": "a.example"}},
    "signed for another path": {"signed_as": "https://a.example/other"},
    "another date than was signed": {"headers": {"date": "Sat, 21 Nov 2026 11:00:00 GMT"}},
    "a key that is not there": {"key_id": "https://stranger.example/users/nobody#main-key"},
    "a key id that its owner does not list": {"key_id": "https://stranger.example/users/sam#other-key"},
}


@pytest.mark.parametrize("how", WRONG)
async def test_a_badly_signed_activity_is_refused(town: Town, stranger: Stranger, how: str) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), **WRONG[how])

    assert answer.status_code == 401
    assert answer.json() == {"error": "The signature was not accepted."}
    assert answer.headers["accept-signature"] == 'sig1=("@method" "@target-uri" "content-digest");created'
    assert await stored(town) == 0


@pytest.mark.parametrize("off", [timedelta(hours=-13), timedelta(hours=-3), timedelta(hours=2)])
@pytest.mark.parametrize("dialect", ["cavage", "rfc9421"])
async def test_a_stale_or_future_signature_is_refused(
    town: Town, stranger: Stranger, off: timedelta, dialect: str
) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), now=town.clock.now() + off, dialect=dialect)

    assert answer.status_code == 401
    assert await stored(town) == 0


async def test_a_clock_that_is_half_an_hour_off_is_forgiven(town: Town, stranger: Stranger) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), now=town.clock.now() - timedelta(minutes=30))

    assert answer.status_code == 202


@pytest.mark.parametrize(
    "origin",
    [
        "https://victim.example",
        "http://stranger.example",
        "https://stranger.example:443",
        "https://stranger.example:8443",
        "https://stranger.example.",
        "https://sam@stranger.example",
    ],
)
async def test_an_activity_whose_id_is_on_another_origin_is_refused(
    town: Town, stranger: Stranger, origin: str
) -> None:
    answer = await stranger.post("a", follow_of(stranger, town) | {"id": f"{origin}/activities/1"})

    assert answer.status_code == 401
    assert await stored(town) == 0


async def test_an_activity_of_another_actor_has_no_effect_without_that_actors_proof(
    town: Town, stranger: Stranger
) -> None:
    victim = Stranger(town, "victim.example", "vera", key="other")
    forged = follow_of(victim, town)

    answer = await stranger.post("a", forged)
    await town.settle()

    assert answer.status_code == 202
    assert victim.received == []
    assert stranger.received == []


async def test_a_key_that_another_actor_holds_is_not_taken_over(town: Town, stranger: Stranger) -> None:
    victim = Stranger(town, "victim.example", "vera", key="other")
    assert (await victim.post("a", follow_of(victim, town))).status_code == 202
    document = stranger.actor()
    document["publicKey"] = document["publicKey"] | {"id": victim.key_id}
    stranger.documents["/users/sam"] = document

    answer = await stranger.post("a", follow_of(victim, town, 2), key_id=victim.key_id)

    assert answer.status_code == 401
    assert await stored(town) == 1


async def test_a_rotated_key_is_asked_for_again_and_a_wrong_one_not_at_every_post(
    town: Town, stranger: Stranger
) -> None:
    assert (await stranger.post("a", follow_of(stranger, town, 1))).status_code == 202
    town.clock.forward(hours=1)
    renewed = Stranger(town, "stranger.example", "sam", key="peer")

    assert (await renewed.post("a", follow_of(renewed, town, 2))).status_code == 202
    for number in range(3, 8):
        assert (await stranger.post("a", follow_of(stranger, town, number))).status_code == 401
    assert renewed.asked.count("/users/sam") == 1


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no", request=request)


@pytest.mark.both_databases
@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 502, 503, 504])
async def test_whose_key_cannot_be_had_for_a_moment_is_told_to_come_back_and_then_heard(
    town: Town, stranger: Stranger, status: int | None
) -> None:
    serve = town.wires.apps[stranger.host]
    asked = []

    def down(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return refused(request) if status is None else httpx.Response(status)

    town.wires.apps[stranger.host] = httpx.MockTransport(down)
    first = [await stranger.post("a", follow_of(stranger, town, number)) for number in range(5)]
    town.wires.apps[stranger.host] = serve
    at_once = await stranger.post("a", follow_of(stranger, town))
    town.clock.forward(seconds=15)
    later = await stranger.post("a", follow_of(stranger, town))

    assert {answer.status_code for answer in (*first, at_once)} == {503}
    assert all(answer.headers["retry-after"] for answer in (*first, at_once))
    assert len(asked) == 1
    assert later.status_code == 202
    assert await stored(town) == 1


async def test_a_key_that_was_renewed_while_its_server_is_down_counts_when_it_is_back(
    town: Town, stranger: Stranger
) -> None:
    assert (await stranger.post("a", follow_of(stranger, town, 1))).status_code == 202
    town.clock.forward(hours=1)
    renewed = Stranger(town, "stranger.example", "sam", key="peer")
    serve = town.wires.apps[renewed.host]

    town.wires.apps[renewed.host] = httpx.MockTransport(refused)
    down = [(await renewed.post("a", follow_of(renewed, town, 2))).status_code for _ in range(2)]
    forged = (
        await stranger.post("a", follow_of(stranger, town, 3), key_id="https://stranger.example/x#k")
    ).status_code
    town.wires.apps[renewed.host] = serve
    town.clock.forward(seconds=15)
    back = (await renewed.post("a", follow_of(renewed, town, 2))).status_code

    assert (down, forged) == ([503, 503], 503)
    assert back == 202


async def test_a_farewell_of_somebody_unknown_is_accepted_and_forgotten(
    town: Town, stranger: Stranger
) -> None:
    stranger.documents["/users/sam"] = httpx.Response(410)

    answer = await stranger.post("a", stranger.activity("Delete", stranger.id))

    assert answer.status_code == 202
    assert await stored(town) == 0


async def test_a_farewell_of_somebody_known_whose_key_went_with_them_is_accepted_and_nothing_else_is(
    town: Town, stranger: Stranger
) -> None:
    """Mastodon sends it again for days otherwise; nobody can prove it any more, so that nothing follows from it."""
    await stranger.post("a", follow_of(stranger, town))
    await town.settle()
    before = await stored(town)
    stranger.documents["/users/sam"] = httpx.Response(410)
    statuses: list[int] = []

    for kind, about in (("Delete", ""), ("Update", ""), ("Delete", "/notes/1")):
        said = stranger.activity(kind, f"{stranger.id}{about}", number=len(statuses))
        answer = await stranger.post("a", said, key_id=f"{stranger.id}#another-{len(statuses)}")
        statuses.append(answer.status_code)

    assert statuses == [202, 401, 401]
    assert await stored(town) == before


async def test_a_blocked_host_is_refused_without_asking_it_anything(town: Town, stranger: Stranger) -> None:
    from node.peers.hosts import decide

    async with town["a"].node.database.begin() as session:
        await decide(session, "stranger.example", "block", reason="a test", now=town.clock.now())

    answer = await stranger.post("a", follow_of(stranger, town))

    assert answer.status_code == 403
    assert stranger.asked == []
    assert await stored(town) == 0


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "cut short": b'{"id": "https://stranger.example/1", "type": "Fol',
    "a list": b"[]",
    "no actor": b'{"id": "https://stranger.example/1", "type": "Follow"}',
    "no id": b'{"actor": "https://stranger.example/users/sam", "type": "Follow"}',
    "two actors": b'{"id": "https://stranger.example/1", "type": "Follow", "actor": ["https://a/1", "https://b/2"]}',
    "an id of another scheme": b'{"id": "javascript:1", "type": "Follow", "actor": "https://stranger.example/users/sam"}',
    "nested without end": b'{"id": ' + b"[" * 100_000,
    "not UTF-8": b'{"id": "\xff\xfe"}',
}


@pytest.mark.parametrize("how", MALFORMED)
async def test_what_is_no_activity_is_refused_before_any_key_is_asked_for(
    town: Town, stranger: Stranger, how: str
) -> None:
    answer = await stranger.post("a", MALFORMED[how])

    assert answer.status_code == 400
    assert stranger.asked == []
    assert await stored(town) == 0


KINDS = [
    "application/activity+json; charset=utf-8",
    'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
    "APPLICATION/LD+JSON",
    "application/json",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_json_by_any_of_its_names_is_taken(town: Town, stranger: Stranger, kind: str) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), content_type=kind)

    assert answer.status_code == 202
    assert await stored(town) == 1


@pytest.mark.parametrize("kind", ["text/json", "text/plain", "text/html", "multipart/form-data", ""])
async def test_another_content_type_is_refused(town: Town, stranger: Stranger, kind: str) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), content_type=kind)

    assert answer.status_code == 415
    assert await stored(town) == 0


async def test_an_encoded_body_is_refused(town: Town, stranger: Stranger) -> None:
    answer = await stranger.post("a", follow_of(stranger, town), headers={"content-encoding": "gzip"})
    plain = await stranger.post("a", follow_of(stranger, town), headers={"content-encoding": "identity"})

    assert (answer.status_code, plain.status_code) == (415, 202)


async def test_an_oversized_body_is_refused_before_it_is_read(town: Town, stranger: Stranger) -> None:
    answer = await stranger.post("a", b"{" + b" " * MAX_BODY_BYTES + b"}")

    assert answer.status_code == 413
    assert stranger.asked == []


async def test_an_oversized_body_without_a_length_is_cut_off(town: Town) -> None:
    async def endless() -> Any:
        for _ in range(3):
            yield b" " * (MAX_BODY_BYTES // 2)

    async with town.visitor("a") as http:
        answer = await http.post(
            "/inbox", content=endless(), headers={"content-type": 'application/ld+json; profile="x"'}
        )

    assert answer.status_code == 413


async def test_an_inbox_of_nobody_is_not_there(town: Town) -> None:
    async with town.visitor("a") as http:
        answer = await http.post("/actors/nobody/inbox", content=b"{}")

    assert answer.status_code in {404, 405}


async def test_a_refusal_tells_its_reason_to_the_log_and_not_to_the_sender(
    town: Town, stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await stranger.post("a", follow_of(stranger, town), headers={"digest": None})

    reasons = [
        getattr(record, "reason", "") for record in caplog.records if record.message == "inbox.refused"
    ]
    assert reasons == ["malformed"]
    assert answer.json() == {"error": "The signature was not accepted."}


async def test_many_at_once_are_kept_in_few_commits(town: Town, stranger: Stranger) -> None:
    answers = await asyncio.gather(
        *(stranger.post("a", follow_of(stranger, town, number)) for number in range(60))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert await stored(town) == 60


@pytest.mark.parametrize(
    "strange",
    [
        {"type": ["Follow", "Create"]},
        {"type": "Explode"},
        {"object": {"id": "https://stranger.example/1", "type": "Article"}, "type": "Create"},
        {"object": None, "type": "Create"},
        {"object": [], "type": "Undo"},
        {"object": {"type": "Note", "content": "x"}, "type": "Create"},
        {"object": 7, "type": "Like"},
        {"object": "https://a.example/cases/none", "type": "Announce"},
        {"object": "https://stranger.example/users/sam", "type": "Accept"},
        {"object": {"type": "Person", "id": "https://stranger.example/users/sam"}, "type": "Update"},
        {"published": "2024-02-30T99:00:00Z"},
        {"to": [{"x": 1}], "cc": 9},
    ],
)
async def test_a_strange_activity_of_a_good_signer_stops_nothing(
    town: Town, stranger: Stranger, strange: dict[str, Any]
) -> None:
    await stranger.post("a", json.dumps({**follow_of(stranger, town), "@context": AS, **strange}).encode())
    await town.settle()

    answer = await stranger.post("a", follow_of(stranger, town, 2))
    await town.settle()

    assert answer.status_code == 202
    assert any(activity["type"] == "Accept" for activity in stranger.received)


@pytest.mark.parametrize("is_handled", [True, False])
async def test_what_a_host_passes_on_is_refused_once_a_list_shuts_it_out(
    town: Town, stranger: Stranger, is_handled: bool
) -> None:
    """Advice takes nobody's key away, and it is not its own word that it passes on."""
    passing, node = Stranger(town, "passing.example", key="other"), town["a"].node
    kind = "Announce" if is_handled else "View"
    said = [stranger.activity(kind, "https://a.example/cases/x", number=number) for number in range(2)]
    first = await passing.post("a", said[0])
    kept = await stored(town)
    async with node.database.begin() as session:
        session.add(Blocklist(url="https://list.example/l", actor="https://list.example/a"))
        await session.flush()
        session.add(
            HostAdvice(blocklist="https://list.example/l", name=passing.host, policy="block", reason="")
        )

    second = await passing.post("a", said[1])

    assert (first.status_code, second.status_code) == (202, 403)
    assert await stored(town) == kept == is_handled


@pytest.mark.both_databases
async def test_of_many_digests_those_of_last_year_go_and_each_is_looked_at_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thousand was looked for from the start: of a large hub's year that would have taken longer than a night."""
    node, now = town.hub.node, town.clock.now()
    ages = {bytes([number]) * 32: 400 * (number % 2) for number in range(12)}
    rows = [
        {**EMPTIED, "digest": digest, "received_at": now - timedelta(days=days)}
        for digest, days in ages.items()
    ]
    unread = rows[1] | {"digest": b"x" * 32, "body": b"{}"}
    async with node.database.begin() as session:
        await KEEP.run(session, [*rows, unread])
    monkeypatch.setattr(keeping, "FORGOTTEN_AT_ONCE", 2)
    asked: list[bytes] = []
    engine = node.database.engine.sync_engine

    def note(*call: Any) -> None:
        if call[2].startswith("SELECT received.digest"):
            asked.append(max(bytes(one) for one in call[3] if isinstance(one, bytes | memoryview)))

    event.listen(engine, "before_cursor_execute", note)
    await forget_old(node)
    event.remove(engine, "before_cursor_execute", note)

    async with node.database.read() as session:
        left = set(await session.scalars(select(Received.digest)))
    assert left == {digest for digest, days in ages.items() if not days} | {b"x" * 32}
    assert asked == [b"", *(bytes([number]) * 32 for number in (3, 7, 11))]
