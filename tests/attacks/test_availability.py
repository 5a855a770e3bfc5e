"""Attacks on time and room: endless collections, slow and oversized answers, poison jobs, floods.

Beside what is here, by the number of the attack:

73  tests/node/effects/test_forwarded.py::test_replies_that_a_stranger_names_are_read_few_at_once_and_the_rest_later
74  tests/federation/test_transport.py::test_drops_of_an_answer_do_not_move_the_deadline
74  tests/web/test_patience.py::test_who_sends_a_byte_now_and_then_is_let_go
74  tests/web/fediverse/test_slow_bodies.py::test_a_body_that_comes_byte_by_byte_is_given_up
75  tests/federation/test_transport.py::test_an_answer_beyond_the_limits_or_the_protocol_is_given_up
76  tests/node/publishing/test_reactions.py::test_one_site_is_told_so_often_and_no_more_those_who_answered_before_those_who_liked
76  tests/federation/test_addressing.py::test_actors_of_one_server_share_one_request
76  tests/federation/test_addressing.py::test_a_shared_inbox_on_another_server_is_not_used
76  tests/node/test_outbox.py::test_a_host_that_is_gone_drops_its_whole_lane
77  tests/federation/test_fetch.py::test_an_inbox_on_another_server_is_refused
77  tests/node/effects/test_forwarded.py::test_of_what_cannot_be_proven_nobody_is_asked_who_said_it
77  tests/node/effects/test_forwarded.py::test_a_stranger_makes_us_ask_little_of_one_server_and_what_holds_is_counted_later
77  tests/node/effects/test_moving.py::test_a_follower_who_moves_to_many_places_makes_us_ask_there_a_few_times
78  tests/vocab/test_markup.py::test_what_runs_loads_or_hides_is_taken_out
79  tests/node/test_outbox.py::test_a_dead_job_stays_with_its_reason_and_blocks_nobody
79  tests/node/effects/test_passing_failures.py::test_one_address_that_never_answers_delays_nothing_else_of_its_server_and_is_given_up
79  tests/node/inbox/test_receive.py::test_a_strange_activity_of_a_good_signer_stops_nothing
80  tests/web/pages/test_desk_api.py::test_too_many_tries_on_one_name_have_to_wait
80  tests/web/test_patience.py::test_what_comes_behind_a_body_is_no_header
"""

import asyncio
import base64
import itertools
import json
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from federation.connections import Connection
from federation.errors import Oversized, Unreachable
from federation.transport import Limits, Transport
from node import outbox
from node.inbox.receive import Inbox
from node.lanes import LONG_FAILED
from node.outbox import Job, Lane
from node.publishing.stamps import stamp_address
from node.recording import TRIES
from tests.attacks.stage import Stage, reasons, served
from tests.attacks.tap import PUBLIC_ADDRESS, an_answer
from tests.federation.requests_to_us import signed
from tests.rig.clock import FrozenClock
from tests.rig.databases import POSTGRESQL, ready_database
from tests.rig.publications import publish_case
from tests.rig.servers import Servers
from tests.rig.town import Town
from vocab.terms import AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLLOWED = "https://node.example/actors/cases"


# ---- what never ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attack",
    [
        "73 an outbox of ever new pages",
        "73 two pages that point at each other",
        "73 a page of a thousand cases",
        "73 pages of ever new cases",
        "73 an outbox on other hosts",
    ],
)
async def test_an_outbox_is_read_to_an_end(stage: Stage, attack: str) -> None:
    evil = stage.stranger()
    asked: list[str] = []
    numbers = itertools.count()

    def page(url: str) -> dict[str, Any]:
        number = next(numbers)
        many = 1000 if "thousand" in attack else 90 if "new cases" in attack else 1
        items = [
            {"type": "Create", "object": f"https://{evil.host}/cases/{number}-{case}"} for case in range(many)
        ]
        following = f"https://{evil.host}/pages/{number}"
        if "each other" in attack:
            following = f"https://{evil.host}/pages/{number % 2}"
        if "other hosts" in attack:
            following = f"https://elsewhere{number}.example/pages/1"
        return {
            "@context": AS,
            "id": url,
            "type": "OrderedCollectionPage",
            "orderedItems": items,
            "next": following,
        }

    def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202)
        asked.append(str(request.url))
        if request.url.path == "/users/mallory":
            return served(evil.actor())
        if request.url.path.startswith("/cases/"):
            return httpx.Response(404)
        return served(page(str(request.url)))

    stage.town.wires.apps[evil.host] = httpx.MockTransport(serve)

    await stage.admit(evil)

    assert len(asked) <= 150
    assert not any("elsewhere" in str(request.url) for request in stage.town.wires.carried)


@pytest.mark.parametrize("attack", ["73 replies that reply to ever new replies"])
async def test_a_thread_of_others_is_not_walked(stage: Stage, attack: str) -> None:
    evil = stage.stranger()
    note = {
        "id": f"https://{evil.host}/notes/1",
        "type": "Note",
        "attributedTo": evil.id,
        "inReplyTo": f"https://{evil.host}/notes/2",
        "replies": f"https://{evil.host}/notes/1/replies",
        "content": "x",
    }

    await stage.send(evil, evil.activity("Create", note), to="node")

    assert [path for path in evil.asked if path.startswith("/notes")] == []


class _Slow(asyncio.Transport):
    """A server that gives a byte now and then, and never an end."""

    def __init__(self, connection: Connection, drip: bytes) -> None:
        super().__init__()
        self._connection, self._drip, self._is_closed = connection, drip, False

    def write(self, data: object) -> None:
        self._connection.data_received(b"HTTP/1.1 200 OK\r\n")
        self._more()

    def _more(self) -> None:
        if not self._is_closed:
            self._connection.data_received(self._drip)
            asyncio.get_running_loop().call_later(0.01, self._more)

    def is_closing(self) -> bool:
        return self._is_closed

    def abort(self) -> None:
        self._is_closed = True


@pytest.mark.parametrize(
    ("attack", "drip"),
    [
        ("74 headers that never end", b"x-more: 1\r\n"),
        ("74 one letter at a time", b"x"),
        ("74 chunks that never end", b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n"),
    ],
)
async def test_a_slow_answer_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, attack: str, drip: bytes
) -> None:
    async def create(loop: object, factory: Any, *arguments: Any, **more: Any) -> Any:
        connection = factory()
        wire = _Slow(connection, drip)
        connection.connection_made(wire)
        return wire, connection

    async def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC_ADDRESS]

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", create)
    async with Transport(resolve=resolve, limits=Limits(deadline=0.2)) as wire:
        start = time.monotonic()
        with pytest.raises((Unreachable, Oversized)):
            await wire.exchange("GET", "https://slow.example/x")

    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "attack", ["75 more than it says", "75 more than anybody reads", "75 without a length"]
)
async def test_an_answer_that_is_too_long_is_cut(monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    body = b"x" * 2_000_000
    answers = {
        "75 more than it says": an_answer(200, body).replace(
            b"content-length: 2000000", b"content-length: 10"
        ),
        "75 more than anybody reads": an_answer(200, body),
        "75 without a length": an_answer(200, body).replace(b"content-length: 2000000\r\n", b""),
    }

    async def create(loop: object, factory: Any, *arguments: Any, **more: Any) -> Any:
        connection = factory()
        wire = _Once(connection, answers[attack])
        connection.connection_made(wire)
        return wire, connection

    async def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC_ADDRESS]

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", create)
    async with Transport(resolve=resolve) as wire:
        try:
            answer = await wire.exchange("GET", "https://long.example/x")
        except (Oversized, Unreachable):
            pass
        else:
            assert len(answer.body) == 10
            assert wire._idle == {}


class _Once(_Slow):
    def write(self, data: object) -> None:
        self._connection.data_received(self._drip)


# ---- what we send --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["76 many followers on one server"])
async def test_one_server_gets_one_delivery(stage: Stage, attack: str) -> None:
    readers = [stage.stranger("crowd.example", f"reader{number}") for number in range(8)]
    stage.neighbours(*readers)
    for reader in readers:
        own = f"/users/reader{readers.index(reader)}"
        reader.documents[own] = reader.actor(endpoints={"sharedInbox": "https://crowd.example/inbox"})
        await stage.send(reader, reader.activity("Follow", FOLLOWED, number=readers.index(reader)), to="node")

    await publish_case(stage.town["node"].node)
    await stage.town.settle()

    posts = [
        request
        for request in stage.town.wires.carried
        if request.url.host == "crowd.example" and b'"Create"' in request.content
    ]
    assert len(posts) == 1


@pytest.mark.parametrize("attack", ["76 followers on hosts that never answer"])
async def test_hosts_that_never_answer_are_given_up_in_the_end(stage: Stage, attack: str) -> None:
    reader = stage.stranger("fleeting.example")
    await stage.send(reader, reader.activity("Follow", FOLLOWED), to="node")
    stage.town.wires.apps.pop("fleeting.example")
    await publish_case(stage.town["node"].node)

    for _ in range(45):
        await stage.town.settle()
        stage.town.clock.forward(hours=25)
    await stage.town.settle()

    async with stage.town["node"].node.database.read() as session:
        alive = await session.scalar(
            select(func.count())
            .select_from(Job)
            .where(Job.lane == "to:fleeting.example", Job.dead_at.is_(None))
        )
    assert alive == 0


@pytest.mark.parametrize("attack", ["77 an inbox at somebody's expensive address"])
@pytest.mark.parametrize(
    "elsewhere", ["https://bystander.example/search?q=x", "http://evil.example/inbox", "https://127.0.0.1/"]
)
async def test_nobody_is_posted_to_on_anothers_word(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, elsewhere: str
) -> None:
    bystander, evil = stage.stranger("bystander.example"), stage.stranger()
    evil.documents["/users/mallory"] = evil.actor(inbox=elsewhere)

    await stage.send(evil, evil.activity("Follow", FOLLOWED), to="node")

    assert reasons(caplog)
    assert (bystander.received, bystander.asked) == ([], [])


@pytest.mark.parametrize("attack", ["77 ten thousand mentions"])
async def test_mentions_are_nobody_to_write_to(stage: Stage, attack: str) -> None:
    bystander, evil = stage.stranger("mentioned.example"), stage.stranger()
    tags = [
        {"type": "Mention", "href": f"https://mentioned.example/users/{number}"} for number in range(3000)
    ]
    note = {
        "id": f"https://{evil.host}/n",
        "type": "Note",
        "attributedTo": evil.id,
        "content": "x",
        "tag": tags,
    }
    note["cc"] = [tag["href"] for tag in tags]

    await stage.send(evil, evil.activity("Create", note), to="node")

    assert (bystander.received, bystander.asked) == ([], [])


# ---- what breaks a reader ------------------------------------------------------------------------------------------

TEXTS = {
    "78 brackets only": "<" * 900_000,
    "78 nested ten thousand deep": "<b>" * 10_000 + "x" + "</b>" * 10_000,
    "78 entities without end": "&" * 300_000,
    "78 an address that is none": '<a href="https://[">x</a><a href="//">y</a>' * 1000,
    "78 quotes without end": "<a href='" * 50_000,
    "78 comments without end": "<!--" * 100_000,
    "78 a mention of a name beyond all": "@x@" + "a" * 60_000 + ".example",
    "78 control characters": "\u0000\u0001\ufffe\u202e" * 10_000,
}


@pytest.mark.parametrize("attack", TEXTS)
async def test_a_text_made_to_break_the_reader_costs_little(stage: Stage, attack: str) -> None:
    alice, text = await stage.victim(), TEXTS[attack]
    note = {
        "id": f"https://{alice.host}/notes/1",
        "type": "Note",
        "attributedTo": alice.id,
        "inReplyTo": await stage.publication(),
        "content": text,
        "published": "2026-11-21T12:00:00Z",
    }
    members: dict[str, Any] = {"content": text} | ({"summary": text} if len(text) < 400_000 else {})
    case = stage.case(alice, "long", **members)
    start = time.process_time()

    await stage.send(alice, alice.activity("Create", note), to="node")
    await stage.send(alice, alice.activity("Create", case))
    page = await stage.page("/cases")

    assert time.process_time() - start < 2
    assert "<!--<!--" not in page
    assert (await stage.send(alice, alice.activity("Follow", FOLLOWED), to="node")) == 202


POISON: dict[str, dict[str, Any]] = {
    "79 a day that is none": {"published": "2024-02-30T00:00:00Z"},
    "79 the year 99999": {"published": "99999-01-01T00:00:00Z", "updated": "-9999-01-01T00:00:00Z"},
    "79 a number of a million digits": {"startTime": 10**4000},
    "79 a duration beyond all": {"duration": "P99999999999999999Y"},
    "79 a date as an object": {"published": {"@value": {"@value": []}}},
    "79 an offset beyond all": {"published": "2026-11-21T12:00:00+99:99"},
    "79 an object in itself": {"object": {"object": {"object": {"id": "x", "type": "Follow"}}}},
    "79 lists of lists": {"to": [[["x"]]], "cc": [[[[]]]], "object": [[["x"]]]},
    "79 a type that is no word": {"type": {"id": "Follow"}},
    "79 no object": {"object": None},
}


@pytest.mark.parametrize("attack", POISON)
@pytest.mark.parametrize("kind", ["Create", "Undo", "Accept"])
async def test_one_poisoned_activity_stops_nobody_behind_it(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, kind: str
) -> None:
    evil = stage.stranger()
    object_ = {"id": f"https://{evil.host}/o", "type": "Article", "attributedTo": evil.id} | POISON[attack]
    poisoned = json.dumps(evil.activity(kind, object_) | POISON[attack], default=str).encode()

    await stage.send(evil, poisoned)
    await stage.send(evil, evil.activity("Follow", "https://hub.example/actors/hub", number=2))

    assert any(item["type"] == "Accept" for item in evil.received)
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("attack", ["79 what needs a third server that is down"])
async def test_a_third_host_that_is_down_delays_nothing_else_of_the_sender(stage: Stage, attack: str) -> None:
    victim = await stage.victim()

    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    stage.town.wires.apps["down.example"] = httpx.MockTransport(down)
    case = stage.case(victim, "behind")

    await stage.send(victim, victim.activity("Announce", "https://down.example/notes/1", number=70))
    await stage.send(victim, victim.activity("Create", case, number=71, to=[PUBLIC]))

    assert await stage.entry(case["id"]) is not None
    lane = f"from:{victim.host} down.example"
    async with stage.town.hub.node.database.read() as session:
        waiting = await session.scalar(select(Job).where(Job.lane == lane))
        assert waiting is not None
        assert (waiting.dead_at, waiting.attempts) == (None, 1)
    for _ in range(LONG_FAILED + 2):
        stage.town.clock.forward(hours=3)
        await stage.town.settle()
    async with stage.town.hub.node.database.read() as session:
        given_up = await session.scalar(select(Job.dead_at).where(Job.lane == lane))
    assert given_up is not None


@pytest.mark.parametrize("attack", ["79 a job that always fails"])
async def test_a_job_that_always_fails_is_set_aside(stage: Stage, attack: str) -> None:
    node = stage.town["node"].node
    async with node.database.begin() as session:
        await outbox.enqueue(
            session, "process", {"digest": "no digest"}, lane="from:poison.example", now=node.clock.now()
        )

    for _ in range(TRIES + 2):
        await stage.town.settle()
        stage.town.clock.forward(days=1)

    async with node.database.read() as session:
        job = await session.scalar(select(Job).where(Job.lane == "from:poison.example"))
        lane = await session.get(Lane, "from:poison.example")
    assert job is not None
    assert job.dead_at is not None
    assert job.last_reason
    assert lane is not None
    assert lane.due_at is None


@pytest.mark.parametrize("attack", ["80 a sender who says to be another"])
async def test_no_header_says_who_asks(stage: Stage, attack: str) -> None:
    async with stage.town.visitor("node") as http:
        statuses = set()
        for number in range(40):
            answer = await http.post(
                "/api/v1/desk/session",
                json={"name": "nobody", "auth": base64.b64encode(bytes(32)).decode()},
                headers={
                    "origin": "https://node.example",
                    "x-forwarded-for": f"198.51.100.{number}",
                    "forwarded": f"for=198.51.100.{number}",
                    "x-real-ip": f"198.51.100.{number}",
                },
            )
            statuses.add(answer.status_code)

    assert 429 in statuses


async def test_0_a_flood_that_fails_costs_no_memory(stage: Stage) -> None:
    """Refused requests leave nothing in the inbox of this process."""
    inbox = Inbox(stage.town["node"].node)
    evil = stage.stranger()
    for number in range(200):
        body = json.dumps(evil.activity("Follow", FOLLOWED, number=number)).encode()
        await inbox.receive(signed(body=body, signer=evil.rsa.signer("https://node.example/none#k")))

    held = vars(inbox) | vars(vars(inbox)["_keeper"]) | vars(vars(inbox)["_signers"])
    names = ("_keys", "_failed", "_renewals", "_waiting", "_kept", "_heard")
    assert all(len(held[name]) <= 1 for name in names)


NULLS = (
    "/cases?q=%00",
    "/cases?state=%00",
    "/cases/%00",
    "/cases/x.example/%00",
    "/activities/%00",
    "/actors/cases/outbox?page=1&after=1.000000_%00",
    "/authorize_interaction?uri=https://x.example/%00",
    "/feeds/cases.atom?q=%00",
    "/api/v1/cases?q=%00",
    "/pictures/%00.png",
)


@pytest.mark.scale
@pytest.mark.parametrize(
    "attack", ["79 a null character in an address, where PostgreSQL keeps what there is"]
)
async def test_an_address_that_no_database_takes_is_refused_in_one_line(
    tmp_path: Path, servers: Servers, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    def fresh(directory: Path) -> AbstractAsyncContextManager[str]:
        return ready_database(POSTGRESQL, directory, servers)

    async with Town(tmp_path, FrozenClock(), fresh) as town:
        site = await town.open("node")
        # Without its word no stamp is looked for at all.
        stamped = stamp_address(site.node.keyring, f"{site.origin}/cases/x", "\0")
        paths = (*NULLS, stamped.removeprefix(site.origin))
        async with town.visitor("node") as http:
            statuses = {path: (await http.get(path)).status_code for path in paths}

    assert statuses == dict.fromkeys(paths, 400)
    assert [record for record in caplog.records if record.exc_info] == []
