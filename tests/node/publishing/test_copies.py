"""Which servers have a copy of a case: each once, so many of a site and in all, and gone with the withdrawal."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import delete, func, select

from node.entries.entries import Entry
from node.outbox import Job
from node.peers.sending import Sent, SentTo
from node.publishing import copies
from node.publishing.copies import Copy, forget_copies, inboxes_of_copies, remember_copy, tell_late
from node.publishing.publications import Publication
from node.runtime import Node
from tests.rig.clock import FrozenClock
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case

pytestmark = pytest.mark.both_databases


async def remember(node: Node, case_url: str, *inboxes: str) -> None:
    now = node.clock.now()
    for inbox in inboxes:
        async with node.database.begin() as session:
            is_late = await remember_copy(session, case_url, inbox, served_at=now, now=now)
        if is_late:
            async with node.database.begin() as session:
                await tell_late(session, case_url, inbox, now=now)


async def correct_again(node: Node, publication: Publication, words: str) -> None:
    note = {"date": node.clock.now().date().isoformat(), "text": {"en": words}}
    await correct_case(node, publication, a_case(corrections=[note]))


async def kept(node: Node, case_url: str) -> list[str]:
    async with node.database.read() as session:
        return await inboxes_of_copies(session, case_url)


async def test_a_server_is_remembered_once_with_the_day_it_was_first_seen(
    node: Node, clock: FrozenClock
) -> None:
    url = (await publish_case(node)).url
    await remember(node, url, "https://r.example/inbox")
    clock.forward(days=3)
    await remember(node, url, "https://r.example/inbox")

    async with node.database.read() as session:
        found = (await session.execute(select(Copy.inbox, Copy.site, Copy.seen_on))).all()

    assert [tuple(row) for row in found] == [("https://r.example/inbox", "r.example", date(2026, 11, 21))]


async def test_two_processes_may_remember_the_same_at_once(node: Node) -> None:
    url = (await publish_case(node)).url

    await asyncio.gather(*(remember(node, url, "https://r.example/inbox") for _ in range(8)))

    assert await kept(node, url) == ["https://r.example/inbox"]


async def test_what_is_not_published_here_has_no_copies(node: Node) -> None:
    url = (await publish_case(node)).url
    async with node.database.begin() as session:
        entry = await session.get_one(Entry, url)
        entry.own = False

    now = node.clock.now()
    for case_url in (url, "https://a.example/cases/none"):
        async with node.database.begin() as session:
            is_late = await remember_copy(
                session, case_url, "https://r.example/inbox", served_at=now, now=now
            )
        # Nor is anybody told what somebody else said of it.
        assert not is_late

    async with node.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Copy)) == 0


async def test_the_copies_of_one_case_are_forgotten_and_not_those_of_another(node: Node) -> None:
    one, other = (await publish_case(node)).url, (await publish_case(node, a_case(1))).url
    for url in (one, other):
        await remember(node, url, "https://r.example/inbox")

    async with node.database.begin() as session:
        await forget_copies(session, one)

    assert (await kept(node, one), await kept(node, other)) == ([], ["https://r.example/inbox"])


async def test_whoever_turns_out_to_have_it_after_its_withdrawal_is_sent_that_unless_it_went_there(
    node: Node,
) -> None:
    publication, late = await publish_case(node), "https://late.example/inbox"
    await remember(node, publication.url, "https://r.example/inbox")
    await withdraw_case(node, publication)
    async with node.database.begin() as session:
        # As if all had been delivered.
        await session.execute(delete(Job))

    await remember(node, publication.url, "https://r.example/inbox", late, late)

    async with node.database.read() as session:
        waiting = [job.payload for job in await session.scalars(select(Job).where(Job.kind == "deliver"))]
        said = await session.scalar(select(Sent.id).where(Sent.type == "Delete"))
        went = await session.scalar(select(SentTo.inboxes).where(SentTo.activity == said))
    assert [(one["activity"], one["inbox"]) for one in waiting] == [(said, late)]
    assert went == f"{late}\nhttps://r.example/inbox"
    assert await kept(node, publication.url) == []


async def test_whoever_is_late_is_told_what_was_said_last(node: Node, clock: FrozenClock) -> None:
    publication, served_at = await publish_case(node), node.clock.now()
    for number in range(2):
        clock.forward(minutes=1)
        await correct_again(node, publication, f"Correction {number}")
    for withdrawn in (False, True):
        if withdrawn:
            clock.forward(minutes=1)
            await withdraw_case(node, publication)
        async with node.database.begin() as session:
            await session.execute(delete(Job))
            inbox = f"https://late{withdrawn:d}.example/inbox"
            await tell_late(session, publication.url, inbox, now=node.clock.now())

        async with node.database.read() as session:
            told = [job.payload["activity"] for job in await session.scalars(select(Job))]
            last = select(Sent.id).order_by(Sent.sent_at.desc()).limit(1)
            assert told == [await session.scalar(last)]

    async with node.database.begin() as session:
        assert await remember_copy(session, publication.url, inbox, served_at=served_at, now=node.clock.now())


async def test_several_who_are_late_at_once_are_all_listed(node: Node) -> None:
    publication = await publish_case(node)
    await withdraw_case(node, publication)
    late = [f"https://late{number}.example/inbox" for number in range(8)]

    await asyncio.gather(*(remember(node, publication.url, inbox) for inbox in late))

    async with node.database.read() as session:
        said = select(Sent.id).where(Sent.type == "Delete").scalar_subquery()
        assert await session.scalar(select(SentTo.inboxes).where(SentTo.activity == said)) == "\n".join(late)


async def test_whoever_was_served_what_stands_is_not_late(node: Node, clock: FrozenClock) -> None:
    publication = await publish_case(node)
    clock.forward(minutes=1)
    before = node.clock.now()
    await correct_again(node, publication, "A correction")
    clock.forward(minutes=1)
    late = {}

    for name, served_at in (("before", before), ("after", node.clock.now())):
        async with node.database.begin() as session:
            inbox = f"https://{name}.example/inbox"
            late[name] = await remember_copy(
                session, publication.url, inbox, served_at=served_at, now=node.clock.now()
            )

    assert late == {"before": True, "after": False}
    assert len(await kept(node, publication.url)) == 2


async def test_who_was_served_in_the_second_of_a_correction_may_have_what_stood_before(
    node: Node, clock: FrozenClock
) -> None:
    publication = await publish_case(node)
    clock.forward(minutes=1, milliseconds=600)
    served_at = node.clock.now()
    clock.forward(milliseconds=300)
    await correct_again(node, publication, "A correction")

    async with node.database.begin() as session:
        assert await remember_copy(
            session, publication.url, "https://r.example/inbox", served_at=served_at, now=node.clock.now()
        )


async def test_whoever_is_late_is_not_sent_what_is_erased_though_it_was_said_in_the_same_second(
    node: Node, clock: FrozenClock
) -> None:
    # Several: which of the two comes last by their ids is chance.
    for number in range(8):
        publication = await publish_case(node, a_case(number))
        clock.forward(minutes=1)
        await correct_again(node, publication, "A correction")
        await withdraw_case(node, publication)
        async with node.database.begin() as session:
            await tell_late(session, publication.url, "https://r.example/inbox", now=node.clock.now())

    async with node.database.read() as session:
        told = select(Sent.type).join(SentTo, SentTo.activity == Sent.id)
        assert list(await session.scalars(told)) == ["Delete"] * 8


async def test_of_a_site_so_many_are_kept_and_no_host_pushes_out_another(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MOST_OF_A_SITE", 4)
    url = (await publish_case(node)).url
    many = [f"https://many.site.example/{number}" for number in range(6)]
    few = [f"https://few{number}.site.example/inbox" for number in range(4)]
    other = "https://elsewhere.example/inbox"

    await remember(node, url, *many, other)
    first = await kept(node, url)
    await remember(node, url, *few[:2])
    second = await kept(node, url)
    # One of them has two still; when each has one, whoever comes has no place.
    await remember(node, url, few[2], few[3], many[4])

    assert first == [other, *many[:4]]
    assert second == [other, *few[:2], *many[:2]]
    assert await kept(node, url) == sorted([other, *few[:3], many[0]])


async def test_who_has_fewest_names_of_a_site_is_not_pushed_out_by_their_spelling(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MOST_OF_A_SITE", 3)
    url = (await publish_case(node)).url
    many = [f"https://a.site.example/{number}" for number in range(2)]

    await remember(node, url, *many, "https://z.site.example/inbox", "https://new.site.example/inbox")

    assert await kept(node, url) == [
        many[0],
        "https://new.site.example/inbox",
        "https://z.site.example/inbox",
    ]


async def test_a_case_that_is_full_takes_no_place_of_another(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MOST", 3)
    full, other = (await publish_case(node)).url, (await publish_case(node, a_case(1))).url
    three = [f"https://{name}.example/inbox" for name in "bcd"]

    await remember(node, full, *three)
    await remember(node, other, *three)

    assert await kept(node, other) == await kept(node, full) == three


async def test_whoever_has_a_place_takes_none_of_another(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MOST_OF_A_SITE", 4)
    url = (await publish_case(node)).url
    found = [*(f"https://many.site.example/{number}" for number in range(3)), "https://one.site.example/"]

    await remember(node, url, *found, *found)

    assert sorted(await kept(node, url)) == sorted(found)


async def test_of_a_case_so_many_are_kept_and_whoever_has_many_names_pushes_out_themselves(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(copies, "MOST", 5)
    url = (await publish_case(node)).url
    many = [f"https://n{number}.flood.example/inbox" for number in range(8)]
    honest = [f"https://reader{number}.example/inbox" for number in range(6)]

    await remember(node, url, *many[:4])
    await kept(node, url)
    assert "copies.full" not in caplog.messages
    await remember(node, url, *many[4:])
    first = await kept(node, url)
    assert "copies.full" in caplog.messages
    await remember(node, url, *honest[:2])
    second = await kept(node, url)
    await remember(node, url, *honest[2:])
    third = await kept(node, url)

    assert first == many[:5]
    assert second == sorted([*many[:3], *honest[:2]])
    assert len(third) == 5
    assert set(honest[:3]) <= set(third)
