"""A flood is shed with 429 and Retry-After, while those whom we follow are still served."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from federation import allowance
from federation.allowance import OF_ONE_ORIGIN
from node import outbox
from node.inbox.keeping import Keeper
from node.inbox.receive import Inbox
from node.inbox.shedding import ONE_BYTES, TOLD_EACH, Limits, Shedder
from node.lanes import who_sleeps
from node.outbox import Job
from node.peers.actors import RemoteActor
from node.peers.directory import find_actor
from node.peers.follows import follow
from node.peers.ours import local_actor_at
from node.runtime import Node
from node.statements import Source
from tests.attacks.stage import Stage
from tests.rig.keys import rsa_key
from tests.rig.stranger import Stranger
from tests.rig.town import VISITOR, Town
from vocab.terms import AS, SRT
from web.fediverse.inbox import InboxDoor

pytestmark = pytest.mark.both_databases


def narrow(town: Town, name: str, limits: Limits) -> None:
    """That site's inbox, with other limits."""
    node = town[name].node
    town.wires.apps[town[name].settings.authority] = httpx.ASGITransport(
        InboxDoor(Inbox(node, limits), node.settings), client=VISITOR
    )


async def befriend(town: Town, stranger: Stranger, *, key_id: str | None = None) -> None:
    node = town["a"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, stranger.id)
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())
    await stranger.post("a", stranger.activity("Accept", row.activity), key_id=key_id)
    await town.settle()


async def flood(stranger: Stranger, n: int, *, first: int = 0) -> list[int]:
    answers = [
        await stranger.post(
            "a", stranger.activity("Like", "https://a.example/cases/x", number=first + number)
        )
        for number in range(n)
    ]
    assert all(answer.headers.get("retry-after") for answer in answers if answer.status_code == 429)
    return [answer.status_code for answer in answers]


async def test_one_host_that_sends_too_fast_waits_and_nobody_else(town: Town) -> None:
    narrow(town, "a", Limits(host_backlog=5))
    loud, quiet = Stranger(town, "loud.example"), Stranger(town, "quiet.example", key="other")

    assert await flood(loud, 8) == [202] * 5 + [429] * 3
    assert await flood(quiet, 2) == [202] * 2

    await town.settle()
    town.clock.forward(seconds=2)
    assert await flood(loud, 1, first=100) == [202]


async def test_when_everything_is_full_those_whom_we_follow_are_served(town: Town) -> None:
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    await befriend(town, friend)
    narrow(town, "a", Limits(backlog=5))

    assert await flood(loud, 7) == [202] * 5 + [429] * 2
    assert await flood(friend, 5) == [202] * 5


async def test_names_below_one_do_not_fill_what_may_wait_of_everybody(town: Town) -> None:
    """Names below one's own cost nothing: else ten of them would shut out every stranger."""
    friend = Stranger(town, "friend.loud.example", key="other")
    await befriend(town, friend)
    narrow(town, "a", Limits(site_backlog=5))
    one, other = Stranger(town, "one.loud.example"), Stranger(town, "two.loud.example", key="peer")
    quiet = Stranger(town, "quiet.example", key="other")

    assert await flood(one, 3) == [202] * 3
    assert await flood(other, 4) == [202] * 2 + [429] * 2
    assert await flood(one, 1, first=10) == [429]
    assert await flood(quiet, 2) == [202] * 2
    assert await flood(friend, 6) == [202] * 6

    await town.settle()
    town.clock.forward(seconds=2)
    assert await flood(other, 1, first=100) == [202]


async def test_in_a_flood_the_database_is_asked_once_a_second(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    narrow(town, "a", Limits(host_backlog=2))
    loud, looks = Stranger(town, "loud.example"), []

    for second in range(2):
        await flood(loud, 6, first=10 * second)
        looks.append(caplog.messages.count("inbox.full"))
        town.clock.forward(seconds=1)

    assert looks == [1, 2]


async def test_what_waits_of_others_counts_and_what_we_send_or_gave_up_does_not(node: Node) -> None:
    orders = {
        "from:loud.example": 2,
        "from:loud.example down.example": 3,
        "from:dead.example": 4,
        "chore:x": 5,
    }
    orders |= {"to:loud.example": 6}
    now = node.clock.now()
    async with node.database.begin() as session:
        for lane, many in orders.items():
            await outbox.enqueue_many(session, [outbox.Order("process", {}, lane)] * many, now=now)
        dead = update(Job).where(Job.lane == "from:dead.example").values(dead_at=now)
        await session.execute(dead)

    # Each is full at what waits of it, and not at one more.
    for limits, is_full in (
        (Limits(host_backlog=5), True),
        (Limits(host_backlog=6), False),
        (Limits(site_backlog=5), True),
        (Limits(site_backlog=6), False),
        (Limits(backlog=5), True),
        (Limits(backlog=6), False),
    ):
        shedder = Shedder(node, limits)
        shedder.kept("loud.example", 100)
        assert await shedder.is_busy("loud.example", waiting=0) is is_full


async def test_what_waits_for_its_commit_is_bounded_and_four_times_as_much_for_whom_we_follow(
    town: Town,
) -> None:
    friend, asked = Stranger(town, "friend.example", key="other"), Stranger(town, "asked.example", key="peer")
    await befriend(town, friend)
    node = town["a"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, asked.id)
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())
    shedder = Shedder(node, Limits(waiting=5))

    # Who was only asked has not accepted: anybody may be asked.
    busy = {
        host: [await shedder.is_busy(host, waiting=many) for many in (4, 5, 19, 20)]
        for host in ("friend.example", "asked.example", "loud.example")
    }

    assert busy == {
        "friend.example": [False, False, False, True],
        "asked.example": [False, True, True, True],
        "loud.example": [False, True, True, True],
    }


async def test_nothing_is_kept_of_a_key_that_was_fetched(node: Node) -> None:
    """Names of hosts cost nothing."""
    shedder = Shedder(node, Limits())

    with (
        shedder.fetching("https://n.example/u#k", "n.example"),
        shedder.fetching("https://n.example/v#k", "n.example"),
    ):
        assert [len(keys) for keys in shedder._fetching.values()] == [2]

    assert shedder._fetching == {}


async def test_a_forger_does_not_pass_for_a_friend_in_a_flood(town: Town) -> None:
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    await befriend(town, friend)
    narrow(town, "a", Limits(backlog=5))
    await flood(loud, 6)

    forged = friend.activity("Like", "https://a.example/cases/x", number=50)
    answers = [
        (await loud.post("a", forged)).status_code,
        (await loud.post("a", forged, key_id=friend.key_id)).status_code,
    ]

    assert answers == [429, 401]


async def test_a_host_of_many_keys_does_not_make_us_its_client(town: Town) -> None:
    narrow(town, "a", Limits(host_fetches=2))
    stranger = Stranger(town)
    going = asyncio.Event()
    asked: list[str] = []

    async def slow(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        await going.wait()
        return httpx.Response(404)

    town.wires.apps[stranger.host] = httpx.MockTransport(slow)
    activity = stranger.activity("Like", "https://a.example/cases/x")
    posts = [
        asyncio.create_task(
            stranger.post("a", activity, key_id=f"https://{stranger.host}/users/{number // 2}#key")
        )
        for number in range(8)
    ]
    while sum(post.done() for post in posts) < 4:
        await asyncio.sleep(0.01)
    going.set()
    answers = sorted([(await post).status_code for post in posts])

    assert answers == [401] * 4 + [429] * 4
    assert len(set(asked)) == 2


async def test_what_is_large_counts_as_several_also_when_the_database_is_asked(town: Town) -> None:
    narrow(town, "a", Limits(host_backlog=8))
    loud = Stranger(town, "loud.example")
    large = "x" * (2 * ONE_BYTES + 1000)

    answers = []
    for number in range(4):
        activity = loud.activity("Like", "https://a.example/cases/x", number=number, content=large)
        answers.append((await loud.post("a", activity)).status_code)
        # Each time it is asked anew.
        town.clock.forward(seconds=2)
    assert answers == [202] * 3 + [429]

    await town.settle()
    town.clock.forward(seconds=2)
    assert await flood(loud, 9, first=100) == [202] * 8 + [429]


async def test_what_waits_for_its_commit_is_counted_by_its_size_until_it_is_kept(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(node, Shedder(node, Limits()))
    go_on = asyncio.Event()
    write = Keeper._write

    async def slow(self: Keeper, batch: list[Any]) -> set[str]:
        await go_on.wait()
        if len(batch) == 1:
            raise RuntimeError("no")
        return await write(self, batch)

    monkeypatch.setattr(Keeper, "_write", slow)
    actor = "https://loud.example/users/loud"

    def keep(number: int, size: int) -> asyncio.Future[bool | Exception]:
        row = {
            "digest": bytes([number]) * 32,
            "activity_id": f"{actor}/{number}",
            "actor": actor,
            "signer": actor,
        }
        told: asyncio.Future[bool | Exception] = asyncio.get_running_loop().create_future()
        keeper.keep(row | {"body": b"x" * size}, told.set_result)
        return told

    told = [keep(1, 10)]
    await asyncio.sleep(0.01)
    told += [keep(number, size) for number, size in ((2, ONE_BYTES - 1), (3, ONE_BYTES), (4, 2**20))]
    await asyncio.sleep(0.01)
    # The first is being written, and counts still.
    assert keeper.waiting == 1 + 1 + 2 + 65
    go_on.set()
    done = await asyncio.gather(*told)

    assert [type(one) for one in done] == [RuntimeError, bool, bool, bool]
    assert keeper.waiting == 0


@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_cannot_be_told_keeps_nobody_else_from_being_told(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_kept: bool
) -> None:
    keeper, told = Keeper(node, Shedder(node, Limits())), list[str]()
    monkeypatch.setattr("node.inbox.keeping.BATCH", 3)

    async def fail(*_: Any) -> set[str]:
        raise OSError("the disk is full")

    if not is_kept:
        monkeypatch.setattr(Keeper, "_write", fail)

    def keep(number: int) -> None:
        actor = f"https://loud.example/users/{number}"
        row = {"digest": bytes([number]) * 32, "activity_id": f"{actor}/1", "actor": actor, "signer": actor}

        def tell(outcome: bool | Exception) -> None:
            if number == 2:
                raise RuntimeError("a mistake of ours")
            told.append(f"{number} {type(outcome).__name__}")

        keeper.keep(row | {"body": b"{}"}, tell)

    for number in range(1, 6):
        keep(number)
    async with asyncio.timeout(30):
        while len(told) < 4:
            await asyncio.sleep(0.01)

    # In any order: where there is more than one writer, the second of the two batches may be committed first.
    assert sorted(told) == [f"{number} {'bool' if is_kept else 'OSError'}" for number in (1, 3, 4, 5)]
    assert "inbox.telling-failed" in caplog.messages


class Broken:
    """A bell that cannot be rung."""

    rung = 0

    async def ring(self) -> None:
        self.rung += 1
        raise RuntimeError("a mistake of ours")

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_a_bell_that_breaks_keeps_nobody_from_being_told_and_no_batch_from_its_commit(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bell, told = Broken(), list[bool | Exception]()
    keeper = Keeper(replace(node, bell=bell), Shedder(node, Limits()))
    monkeypatch.setattr("node.inbox.keeping.BATCH", 2)

    for number in range(1, 6):
        actor = f"https://loud.example/users/{number}"
        row = {"digest": bytes([number]) * 32, "activity_id": f"{actor}/1", "actor": actor, "signer": actor}
        keeper.keep(row | {"body": b"{}"}, told.append)
    async with asyncio.timeout(30):
        while len(told) < 5 or keeper._committers:
            await asyncio.sleep(0.01)

    assert told == [True] * 5
    assert bell.rung == 3
    assert keeper.waiting == 0
    assert caplog.messages.count("inbox.beside-failed") == 3


async def test_who_waits_is_told_whatever_breaks_once_it_is_kept(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In a place that nobody else gets, they would wait for ever."""
    stranger = Stranger(town)
    assert await flood(stranger, 1) == [202]

    def fail(*_: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr("node.inbox.receive.Inbox._said", fail)
        async with asyncio.timeout(30):
            broken = await flood(stranger, 3, first=2)

    assert broken == [503] * 3
    assert "inbox.telling-failed" in caplog.messages
    assert await flood(stranger, 3, first=2) == [202] * 3


async def test_a_host_that_writes_often_is_taken_for_awake_once_in_a_while(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, woken = Stranger(town), []

    async def counting(source: Source, lanes: list[str], *, now: datetime) -> list[str]:
        woken.append(lanes)
        return await who_sleeps(source, lanes, now=now)

    monkeypatch.setattr("node.inbox.keeping.who_sleeps", counting)
    many: list[int] = []
    for minutes in (0, 0, 9, 1):
        town.clock.forward(minutes=minutes)
        assert await flood(stranger, 1, first=len(many)) == [202]
        many.append(len(woken))

    assert many == [1, 1, 1, 2]
    assert woken == [["to:stranger.example"]] * 2


async def test_large_activities_that_name_one_key_do_not_fill_the_memory_while_it_is_asked_for(
    town: Town,
) -> None:
    narrow(town, "a", Limits(fetch_bytes=100_000))
    stranger, known = Stranger(town), Stranger(town, "known.example", key="other")
    assert await flood(known, 1) == [202]
    serve, going = town.wires.apps[stranger.host], asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await going.wait()
        return await serve.handle_async_request(request)

    town.wires.apps[stranger.host] = httpx.MockTransport(slow)
    large = "x" * 30_000
    posts = [
        asyncio.create_task(
            stranger.post(
                "a", stranger.activity("Like", "https://a.example/cases/x", number=number, content=large)
            )
        )
        for number in range(6)
    ]
    while sum(post.done() for post in posts) < 3:
        await asyncio.sleep(0.01)
    # Whose key is here is heard.
    large_of_known = known.activity("Like", "https://a.example/cases/x", number=2, content="x" * 200_000)
    assert (await known.post("a", large_of_known)).status_code == 202
    going.set()

    assert sorted([(await post).status_code for post in posts]) == [202] * 3 + [429] * 3
    assert (
        await stranger.post("a", stranger.activity("Like", "https://a.example/cases/x", number=7))
    ).status_code == 202


async def test_large_activities_do_not_fill_the_memory_while_a_key_is_asked_for_anew(town: Town) -> None:
    narrow(town, "a", Limits(fetch_bytes=100_000))
    stranger, forger = Stranger(town), Stranger(town, "forger.example", key="other")
    assert await flood(stranger, 1) == [202]
    town.clock.forward(minutes=10)
    going = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await going.wait()
        return httpx.Response(404)

    town.wires.apps[stranger.host] = httpx.MockTransport(slow)
    large = stranger.activity("Like", "https://a.example/cases/x", number=2, content="x" * 30_000)
    posts = [asyncio.create_task(forger.post("a", large, key_id=stranger.key_id)) for _ in range(6)]
    while sum(post.done() for post in posts) < 3:
        await asyncio.sleep(0.01)
    going.set()

    assert sorted([(await post).status_code for post in posts]) == [401] * 3 + [429] * 3


async def test_a_friend_is_heard_while_others_wait_for_their_keys_with_as_much_as_may_wait(
    town: Town,
) -> None:
    shedder = Shedder(town["a"].node, Limits(fetch_bytes=100))
    with shedder.holding(100) as first, shedder.holding(1) as second, shedder.holding(0) as nothing:
        assert (first, second, nothing) == (True, False, True)
        with shedder.holding(300, is_followed=True) as friend, shedder.holding(1, is_followed=True) as more:
            assert (friend, more) == (True, False)
    with shedder.holding(100) as after:
        assert after


@pytest.mark.parametrize(
    ("limits", "hosts", "waits"),
    [
        (Limits(site_waiters=3), ["loud.example"], 3),
        (Limits(site_waiters=3), ["a.loud.example", "b.loud.example"], 3),
        (Limits(site_waiters=3), ["loud.example", "other.example"], 6),
        (Limits(waiters=5), ["loud.example", "other.example"], 5),
    ],
)
async def test_not_everybody_may_wait_for_the_keys_of_one_site_or_of_all(
    town: Town, limits: Limits, hosts: list[str], waits: int
) -> None:
    """Each holds a connection: four thousand postings that name one key, at a server that answers nothing, held them all."""
    narrow(town, "a", limits)
    known, going = Stranger(town, "known.example", key="other"), asyncio.Event()
    assert await flood(known, 1) == [202]

    async def slow(request: httpx.Request) -> httpx.Response:
        await going.wait()
        return httpx.Response(404)

    loud = [Stranger(town, host) for host in hosts]
    for one in loud:
        town.wires.apps[one.host] = httpx.MockTransport(slow)
    posts = [
        asyncio.create_task(one.post("a", one.activity("Like", "https://a.example/cases/x", number=number)))
        for number in range(5)
        for one in loud
    ]
    while sum(post.done() for post in posts) < len(posts) - waits:
        await asyncio.sleep(0.01)
    assert await flood(known, 1, first=1) == [202]
    going.set()

    answers = sorted([(await post).status_code for post in posts])
    assert answers == [401] * waits + [429] * (len(posts) - waits)
    assert [
        (await one.post("a", one.activity("Like", "https://a.example/"))).status_code for one in loud
    ] == [401] * len(hosts)


async def test_a_member_whose_key_is_new_is_heard_while_strangers_wait_with_as_many_as_may(
    town: Town,
) -> None:
    is_ours = {"generator": {"type": "Application", "implements": [{"href": SRT, "name": "Cases"}]}}
    member, loud = Stranger(town, "member.example", key="other"), Stranger(town, "loud.example")
    member.documents["/users/sam"] = member.actor(**is_ours)
    await befriend(town, member)
    narrow(town, "a", Limits(waiters=1))
    town.clock.forward(hours=1)
    renewed, going = Stranger(town, "member.example", key="peer"), asyncio.Event()
    renewed.documents["/users/sam"] = renewed.actor(**is_ours)
    asked = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        asked.set()
        await going.wait()
        return httpx.Response(404)

    town.wires.apps[loud.host] = httpx.MockTransport(slow)
    said = loud.activity("Like", "https://a.example/cases/x")
    waiting = asyncio.create_task(loud.post("a", said))
    await asked.wait()

    answers = [await flood(loud, 1, first=1), await flood(renewed, 1)]
    going.set()

    assert answers == [[429], [202]]
    assert (await waiting).status_code == 401


async def test_of_those_whom_we_follow_four_times_as_many_may_wait(town: Town) -> None:
    shedder = Shedder(town["a"].node, Limits(waiters=1))
    with shedder.holding(0) as first, shedder.holding(0) as second:
        assert (first, second) == (True, False)
        with ExitStack() as stack:
            friends = [stack.enter_context(shedder.holding(0, is_followed=True)) for _ in range(4)]
        assert friends == [True] * 3 + [False]
    with shedder.holding(0) as after:
        assert after


async def test_keys_that_are_not_there_shut_nobody_out_of_their_host(town: Town) -> None:
    loud, big = Stranger(town, "loud.example"), Stranger(town, "big.example")
    said = loud.activity("Like", "https://a.example/cases/x")

    async def junk(number: int) -> httpx.Response:
        invented = f"https://{big.host}/users/n{number}"
        named = {"actor": invented, "id": f"https://{big.host}/likes/{number}"}
        return await loud.post("a", said | named, key_id=f"{invented}#main-key")

    for number in range(OF_ONE_ORIGIN + 1):
        assert (await junk(number)).status_code == 401
    asked = len(big.asked)
    flooded = await junk(1000)
    follow = big.activity("Follow", town["a"].settings.main_actor)
    busy = await big.post("a", follow)

    assert [flooded.status_code, busy.status_code] == [429, 429]
    assert busy.headers["retry-after"] == "30"
    assert len(big.asked) == asked
    town.clock.forward(seconds=30)
    assert (await big.post("a", follow)).status_code == 202


async def test_keys_of_a_server_that_is_down_are_asked_for_less_and_less(town: Town) -> None:
    loud = Stranger(town, "loud.example")
    asked: list[str] = []

    def down(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503)

    town.wires.apps["big.example"] = httpx.MockTransport(down)
    said = loud.activity("Like", "https://a.example/cases/x")

    async def junk(number: int) -> int:
        return (
            await loud.post("a", said, key_id=f"https://big.example/users/n{number}#main-key")
        ).status_code

    answers = [await junk(number) for number in range(OF_ONE_ORIGIN + 20)]
    again = []
    for _ in range(4):
        # As soon as each is forgotten: that it may pass does not make it asked for more.
        town.clock.forward(seconds=15)
        again += [await junk(number) for number in range(20)]

    assert answers == [503] * (OF_ONE_ORIGIN + 1) + [429] * 19
    assert set(again) == {429, 503}
    assert len(asked) == OF_ONE_ORIGIN + 1 + 4


async def test_names_of_other_peoples_keys_make_nobody_ask_without_end(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 3)
    loud = Stranger(town, "loud.example")
    people = [Stranger(town, "big.example", f"n{number}", key="other") for number in range(8)]
    Stage(town).neighbours(*people)

    answers = [
        (
            await loud.post("a", one.activity("Like", "https://a.example/cases/x"), key_id=one.key_id)
        ).status_code
        for one in people
    ]

    assert answers == [401] * 4 + [429] * 4
    assert [len(one.asked) for one in people] == [1] * 4 + [0] * 4


async def test_a_flood_of_refusals_is_told_in_few_words(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    loud = Stranger(town, "loud.example")
    said = loud.activity("Like", "https://a.example/cases/x")

    async def refused(times: int) -> list[int]:
        caplog.clear()
        for _ in range(times):
            answer = await loud.post("a", said | {"id": "https://other.example/likes/1"})
            assert answer.status_code == 401
        return [vars(record)["count"] for record in caplog.records if record.message == "inbox.refused"]

    with caplog.at_level("INFO"):
        assert await refused(2 * TOLD_EACH + 3) == [*range(1, TOLD_EACH + 1), 2 * TOLD_EACH]
        town.clock.forward(minutes=1)
        assert await refused(2) == [1, 2]


# ---- whom we follow, while others name their keys ----------------------------------------------------------------


def with_a_new_key(friend: Stranger) -> str:
    """They have another key from now on, under another id; returns that."""
    friend.rsa = rsa_key("peer")
    key_id = f"{friend.id}#main-key-2"
    friend.documents["/users/sam"] = friend.actor(
        publicKey={"id": key_id, "owner": friend.id, "publicKeyPem": friend.rsa.public.pem}
    )
    return key_id


def with_a_key_apart(friend: Stranger) -> str:
    """Their key is at an address of its own from now on; returns its id."""
    key_id = f"{friend.id}/main-key"
    key = {"id": key_id, "owner": friend.id, "publicKeyPem": friend.rsa.public.pem}
    friend.documents["/users/sam"] = friend.actor(publicKey=key)
    friend.documents["/users/sam/main-key"] = {
        "@context": [AS, "https://w3id.org/security/v1"],
        "id": friend.id,
        "type": "Organization",
        "preferredUsername": "sam",
        "publicKey": key,
    }
    return key_id


async def test_a_key_that_was_named_before_it_was_there_is_not_refused_when_it_is(town: Town) -> None:
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    await befriend(town, friend)
    said = friend.activity("Like", "https://a.example/cases/x")

    guessed = await loud.post("a", said, key_id=f"{friend.id}#main-key-2")
    key_id = with_a_new_key(friend)
    at_once = await friend.post("a", said, key_id=key_id)
    town.clock.forward(seconds=30)
    again = await friend.post("a", said, key_id=key_id)

    assert [guessed.status_code, at_once.status_code, again.status_code] == [401, 503, 202]
    assert at_once.headers["retry-after"] == "30"


async def test_who_names_keys_that_are_not_there_tells_us_of_those_that_are(town: Town) -> None:
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    await befriend(town, friend)
    key_id = with_a_new_key(friend)

    named = await loud.post(
        "a", friend.activity("Like", "https://a.example/x"), key_id=f"{friend.id}#invented"
    )
    asked = len(friend.asked)
    said = await friend.post("a", friend.activity("Like", "https://a.example/cases/x"), key_id=key_id)

    assert [named.status_code, said.status_code] == [401, 202]
    assert len(friend.asked) == asked


async def test_nobody_is_kept_for_a_key_that_they_do_not_have(town: Town) -> None:
    stranger, loud = Stranger(town), Stranger(town, "loud.example")

    named = await loud.post(
        "a", stranger.activity("Like", "https://a.example/x"), key_id=f"{stranger.id}#invented"
    )

    assert named.status_code == 401
    async with town["a"].node.database.read() as session:
        assert await session.get(RemoteActor, stranger.id) is None


@pytest.mark.parametrize("where", ["beside them", "in their own document"])
async def test_names_on_the_server_of_a_friend_keep_no_new_key_of_theirs_from_being_read(
    town: Town, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 3)
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    await befriend(town, friend)
    said = friend.activity("Like", "https://a.example/cases/x")
    key_id = with_a_new_key(friend)

    async def junk(number: int) -> int:
        at = f"{friend.id}#n{number}" if where != "beside them" else f"https://{friend.host}/n{number}#k"
        return (await loud.post("a", said, key_id=at)).status_code

    flooded = [await junk(number) for number in range(20)]
    new = await friend.post("a", said, key_id=key_id)

    assert flooded == [401] * 4 + [429] * 16
    assert new.status_code == 202


async def test_a_key_with_a_document_of_its_own_is_read_anew_for_a_friend(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GoToSocial lists it: neither names on their server nor all places taken keep it from being read when it has changed."""
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 3)
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    key_id = with_a_key_apart(friend)
    await befriend(town, friend, key_id=key_id)
    friend.rsa = rsa_key("peer")
    with_a_key_apart(friend)
    town.clock.forward(minutes=5)
    said = friend.activity("Like", "https://a.example/cases/x")
    for number in range(5):
        await loud.post("a", said, key_id=f"https://{friend.host}/n{number}#k")
    narrow(town, "a", Limits(fetches=0))

    heard = await friend.post("a", said, key_id=key_id)
    other = await loud.post("a", loud.activity("Like", "https://a.example/cases/x"))

    assert [heard.status_code, other.status_code] == [202, 429]


async def test_names_below_one_do_not_fill_the_places_of_everybody(town: Town) -> None:
    narrow(town, "a", Limits(host_fetches=2, site_fetches=3))
    friend, other = Stranger(town, "friend.example", key="other"), Stranger(town, "other.example")
    going = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await going.wait()
        return httpx.Response(404)

    def named(number: int) -> str:
        host = f"n{number}.tarpit.example"
        town.wires.apps[host] = httpx.MockTransport(slow)
        return f"https://{host}/users/x#key"

    said = other.activity("Like", "https://a.example/cases/x")
    posts = [asyncio.create_task(other.post("a", said, key_id=named(number))) for number in range(8)]
    while sum(post.done() for post in posts) < 5:
        await asyncio.sleep(0.01)
    heard = await friend.post("a", friend.activity("Like", "https://a.example/cases/x"))
    going.set()

    assert heard.status_code == 202
    assert sorted([(await post).status_code for post in posts]) == [401] * 3 + [429] * 5


async def test_a_friend_is_asked_for_a_key_when_all_places_are_taken(town: Town) -> None:
    friend, loud = Stranger(town, "friend.example", key="other"), Stranger(town, "loud.example")
    await befriend(town, friend)
    narrow(town, "a", Limits(fetches=0))
    said = friend.activity("Like", "https://a.example/cases/x")

    answers = [
        (await loud.post("a", loud.activity("Like", "https://a.example/cases/x"))).status_code,
        (await friend.post("a", said, key_id=with_a_new_key(friend))).status_code,
    ]

    assert answers == [429, 202]
