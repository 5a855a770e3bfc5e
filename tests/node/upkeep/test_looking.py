"""Those who are silent are looked at again, few at a time: what they say now counts, and only who is missing for days is gone."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from federation.errors import Unreachable
from node import roles
from node.outbox import Job, Turn
from node.peers.actors import RemoteActor, keys_of, remember_actor
from node.peers.directory import find_actor
from node.peers.follows import Follow
from node.peers.hosts import decide
from node.upkeep import looking
from node.upkeep.looking import MOST_OF_A_HOST, look_again, look_tomorrow
from tests.node.effects.test_process import a_document, admit, at_hub, victim
from tests.node.effects.test_quarantine import found
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.actors import Actor

__all__ = ["victim"]

PATH = "/users/cases"


@pytest.fixture
async def member(town: Town, victim: Stranger) -> Stranger:
    """A member of the hub who agrees to be searched, has published a case, and says nothing more."""
    victim.documents[PATH] = victim.actor(indexable=True)
    await admit(town, victim)
    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()
    assert await found(town) == 1
    return victim


async def look(town: Town, *, days: float = 8) -> None:
    """So many days later somebody is looked at again."""
    town.clock.forward(hours=days * 24)
    await look_again(town.hub.node, Turn(0, "chore:look-again", looking.KIND, {}, 0))
    await town.settle()


async def known(town: Town, actor_id: str) -> RemoteActor | None:
    async with town.hub.node.database.read() as session:
        return await session.get(RemoteActor, actor_id)


async def add_followed(town: Town, actor_id: str, *, days: int = 30, state: str = "accepted") -> None:
    """The hub follows an actor whom it saw so many days ago."""
    now = town.clock.now()
    async with town.hub.node.database.begin() as session:
        actor = Actor(id=actor_id, type="Group", preferred_username="g", inbox=f"{actor_id}/inbox")
        await remember_actor(session, actor, now=now - timedelta(days=days))
        row = Follow(activity_id=f"{actor_id}#f", follower=town.hub.settings.main_actor, followed=actor_id)
        row.state, row.activity, row.changed_at = state, {}, now
        session.add(row)


def asked(stranger: Stranger) -> int:
    return stranger.asked.count(PATH)


async def test_who_agrees_no_more_to_be_searched_is_not_though_nothing_came_of_it(
    town: Town, member: Stranger
) -> None:
    member.documents[PATH] = member.actor(name="Another name")

    await look(town)

    now_known = await known(town, member.id)
    assert await found(town) == 0
    assert now_known is not None
    assert (now_known.name, now_known.indexable) == ("Another name", False)


async def test_nobody_is_asked_again_within_a_week(town: Town, member: Stranger) -> None:
    before = asked(member)

    await look(town, days=6)
    within = asked(member)
    await look(town, days=2)
    await look(town, days=1)

    assert (within, asked(member)) == (before, before + 1)


async def test_it_is_done_every_day_from_the_start(town: Town, member: Stranger) -> None:
    node = town.hub.node
    await roles.begin(node)
    await roles.begin(node)
    async with node.database.read() as session:
        jobs = list(await session.scalars(select(Job).where(Job.kind == looking.KIND)))
    before = asked(member)

    for _ in range(9):
        town.clock.forward(days=1)
        await town.settle()

    assert len(jobs) == 1
    assert asked(member) == before + 1


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, None])
async def test_what_cannot_be_had_just_now_leaves_all_as_it_is(
    town: Town, member: Stranger, status: int | None
) -> None:
    def down(request: httpx.Request) -> httpx.Response:
        if status is None:
            raise httpx.ConnectTimeout("no", request=request)
        return httpx.Response(status)

    town.wires.apps[member.host] = httpx.MockTransport(down)
    before = await known(town, member.id)
    for _ in range(3):
        await look(town)

    row = await known(town, member.id)
    assert before is not None
    assert row is not None
    assert (row.gone_at, row.missing_since, row.fetched_at) == (None, None, before.fetched_at)
    assert await found(town) == 1


@pytest.mark.parametrize(
    "said",
    [
        httpx.Response(503, headers={"retry-after": f"Fri, 31 Dec {10**20} 23:59:59 GMT"}),
        httpx.Response(
            200,
            content=b"{}",
            headers={"content-type": f"application/ld+json; profile*{'9' * 5_000}=x"},
        ),
    ],
    ids=["when to come back", "what it is"],
)
async def test_a_header_that_no_number_is_large_enough_for_keeps_nobody_else_from_being_looked_at(
    town: Town, member: Stranger, said: httpx.Response
) -> None:
    await add_followed(town, "https://evil.example/users/g")
    town.wires.apps["evil.example"] = httpx.MockTransport(lambda _: said)
    member.documents[PATH] = member.actor(name="Another name")

    await look(town)

    now_known = await known(town, member.id)
    assert now_known is not None
    assert now_known.name == "Another name"


@pytest.mark.both_databases
@pytest.mark.parametrize("what", ["url", "publicKeyPem", "publicKeyMultibase"])
async def test_what_is_too_long_to_be_kept_keeps_nobody_else_from_being_looked_at(
    town: Town, member: Stranger, what: str
) -> None:
    """PostgreSQL refuses the row; SQLite would keep a megabyte of each key."""
    await add_followed(town, "https://evil.example/users/g")
    evil = Stranger(town, "evil.example", "g", key="other")
    told = evil.documents["/users/g"] = evil.actor(url=f"https://{evil.host}/@g")
    place = {"publicKeyPem": told["publicKey"], "publicKeyMultibase": told["assertionMethod"][0]}.get(
        what, told
    )
    place[what] += "/" * 5_000 if what == "url" else "\n" * 5_000
    member.documents[PATH] = member.actor(name="Another name")

    await look(town)

    now_known = await known(town, member.id)
    assert now_known is not None
    assert now_known.name == "Another name"
    async with town.hub.node.database.read() as session:
        kept = await session.get_one(RemoteActor, evil.id)
        keys = [key.material for key in await keys_of(session, evil.id)]
    assert max(map(len, [kept.url, *keys])) < 5_000


@pytest.mark.parametrize("status", [404, 410])
async def test_who_is_missing_twice_days_apart_is_gone_until_heard_from(
    town: Town, member: Stranger, status: int
) -> None:
    document = member.documents[PATH]
    member.documents[PATH] = httpx.Response(status)

    await look(town)
    once = await known(town, member.id)
    await look(town, days=1)
    soon = await known(town, member.id)
    await look(town)
    twice = await known(town, member.id)
    member.documents[PATH] = document
    await member.post("hub", member.activity("Create", a_document(member, town, "c2"), number=2))
    await town.settle()

    assert [row.gone_at is not None for row in (once, soon, twice) if row] == [False, False, True]
    assert await at_hub(town, "c2") is not None


async def test_who_was_missing_once_and_came_back_is_not_gone_the_next_time(
    town: Town, member: Stranger
) -> None:
    document = member.documents[PATH]
    for answer in (httpx.Response(404), document, httpx.Response(404)):
        member.documents[PATH] = answer
        await look(town)

    row = await known(town, member.id)
    assert row is not None
    assert row.gone_at is None


async def test_a_move_that_was_never_told_is_followed_when_both_accounts_say_so(
    town: Town, member: Stranger
) -> None:
    new = Stranger(town, "new.example", "cases", key="other")
    member.documents[PATH] = member.actor(movedTo=new.id)
    await look(town)
    unsaid = await known(town, new.id)
    new.documents[PATH] = new.actor(alsoKnownAs=[member.id])

    await look(town)

    assert unsaid is None
    assert await known(town, new.id) is not None
    assert [one["object"] for one in new.received if one["type"] == "Follow"] == [new.id]


async def test_another_actor_that_is_found_there_is_not_taken_for_the_one_that_was(
    town: Town, member: Stranger
) -> None:
    other = Stranger(town, "other.example", "cases", key="other")
    moved = httpx.Response(301, headers={"location": other.id})
    member.documents[PATH] = moved

    await look(town)

    row = await known(town, member.id)
    assert row is not None
    assert (row.name, row.gone_at) == ("A stranger (fictional)", None)
    assert await known(town, other.id) is None


async def test_who_is_nothing_to_us_is_not_looked_at(town: Town) -> None:
    stranger, left = Stranger(town, "one.example"), Stranger(town, "two.example", key="other")
    await find_actor(town.hub.node, stranger.id)
    await add_followed(town, left.id, state="undone")
    before = stranger.asked.copy(), left.asked.copy()

    await look(town)

    assert (stranger.asked, left.asked) == before


async def test_who_is_shown_is_looked_at_though_nobody_follows_them(town: Town, member: Stranger) -> None:
    async with town.hub.node.database.begin() as session:
        row = await session.scalar(select(Follow).where(Follow.followed == member.id))
        assert row is not None
        row.move("undone", town.clock.now())
    before = asked(member)

    await look(town)

    assert asked(member) == before + 1


async def test_of_one_host_few_are_asked_and_of_one_that_is_down_one(town: Town) -> None:
    many, down = Stranger(town, "many.example"), Stranger(town, "down.example", key="other")
    tried: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        tried.append(request.url.path)
        raise httpx.ConnectTimeout("no", request=request)

    town.wires.apps[down.host] = httpx.MockTransport(refuse)
    for number in range(MOST_OF_A_HOST + 5):
        for stranger in (many, down):
            await add_followed(town, f"https://{stranger.host}/users/{number}")

    await look(town, days=0)
    first = len(many.asked), len(tried)
    await look(town, days=0)

    assert first == (MOST_OF_A_HOST, 1)
    # The rest had not had their turn: they come next, and none of the others again.
    assert (len(many.asked), len(tried)) == (MOST_OF_A_HOST + 5, 2)
    assert len(set(tried)) == 2


async def test_those_who_are_silent_for_longest_come_first(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST", 2)
    strangers = [Stranger(town, f"s{number}.example") for number in range(3)]
    for stranger, days in zip(strangers, (10, 30, 20), strict=True):
        await add_followed(town, stranger.id, days=days)

    await look(town, days=0)

    assert [len(stranger.asked) > 0 for stranger in strangers] == [False, True, True]


async def test_a_host_that_was_blocked_is_not_asked(town: Town, member: Stranger) -> None:
    async with town.hub.node.database.begin() as session:
        await decide(session, member.host, "block", reason="", now=town.clock.now())
    before = member.asked.copy()

    await look(town)

    assert member.asked == before


async def test_tomorrow_is_asked_for_once_a_day(town: Town) -> None:
    node: Any = town.hub.node
    for _ in range(3):
        async with node.database.begin() as session:
            await look_tomorrow(session, now=town.clock.now())
    async with node.database.read() as session:
        jobs = list(await session.scalars(select(Job).where(Job.kind == looking.KIND)))

    assert [job.not_before for job in jobs] == [town.clock.now() + timedelta(days=1)]


async def test_where_each_answer_takes_long_the_others_wait_for_the_next_day(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the job would go on when its lease is over, and be done again at the same time."""
    hosts = [f"s{number}.example" for number in range(5)]
    for host in hosts:
        await add_followed(town, f"https://{host}/users/cases")
    asked_for: list[str] = []

    async def slow(_node: object, actor_id: str) -> Actor:
        asked_for.append(actor_id)
        town.clock.forward(seconds=15)
        raise Unreachable("no answer", url=actor_id)

    monkeypatch.setattr(looking, "ask_actor", slow)
    await look_again(town.hub.node, Turn(0, "chore:look-again", looking.KIND, {}, 0))
    first = len(asked_for)
    await look_again(town.hub.node, Turn(0, "chore:look-again", looking.KIND, {}, 0))

    assert first == 2
    assert len(set(asked_for)) == len(asked_for) == 4


async def test_who_never_comes_to_an_end_of_answering_is_left_and_others_have_their_turn(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await add_followed(town, f"https://s{number}.example/users/cases")
    asked_for: list[str] = []

    async def endless(_node: object, actor_id: str) -> Actor:
        asked_for.append(actor_id)
        await asyncio.sleep(3600)
        raise Unreachable("no answer", url=actor_id)

    monkeypatch.setattr(looking, "ask_actor", endless)
    monkeypatch.setattr(looking, "AT_MOST", timedelta(seconds=0.05))
    async with asyncio.timeout(30):
        await look_again(town.hub.node, Turn(0, "chore:look-again", looking.KIND, {}, 0))

    assert len(set(asked_for)) == 3
