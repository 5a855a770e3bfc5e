"""Reports and blocks: what others flag is kept for people and shows nothing; what we flag shows nobody; a Block is honoured in silence."""

from typing import Any

import pytest
from sqlalchemy import select

from node.errors import Invalid
from node.peers.directory import find_actor
from node.peers.follows import between
from node.peers.reports import (
    MAX_OBJECTS,
    MAX_OPEN,
    MAX_TEXT,
    Report,
    close_report,
    keep_report,
    open_reports,
    send_report,
)
from node.runtime import Node
from node.staff.accounts import NODE
from tests.rig.clock import NOON
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town

SAID: Any = {"objects": ["https://a.example/cases/1"], "text": "", "now": NOON}


async def reports(town: Town) -> list[Report]:
    async with town["a"].node.database.read() as session:
        return await open_reports(session)


@pytest.mark.parametrize(
    "named",
    [
        ["https://a.example/cases/0123456789abcdef"],
        ["https://a.example/desk"],
        ["https://elsewhere.example/1"],
        [f"https://a.example/cases/{n}" for n in range(2_000)],
    ],
)
async def test_a_flag_of_what_is_not_public_here_leaves_nothing(town: Town, named: list[str]) -> None:
    stranger = Stranger(town)

    answer = await stranger.post("a", stranger.activity("Flag", named, content="look"))
    await town.settle()

    assert answer.status_code == 202
    assert await reports(town) == []


async def test_what_is_public_here_is_found_behind_whatever_else_is_reported(town: Town) -> None:
    url, stranger = (await publish_case(town["a"].node)).url, Stranger(town)
    others = [f"https://stranger.example/notes/{number}" for number in range(900)]

    await stranger.post("a", stranger.activity("Flag", [*others, url], content="look"))
    await town.settle()

    (kept,) = await reports(town)
    assert kept.objects == [url]


async def test_a_report_is_kept_as_plain_words_without_what_it_is_about(town: Town) -> None:
    publication = await publish_case(town["a"].node)
    stranger = Stranger(town)
    hidden = "https://a.example/cases/hidden"
    content = "<script>alert(1)</script><b>Wrong</b> says jo@mail.example " + "x" * 10_000

    flag = stranger.activity("Flag", [publication.url, stranger.id, hidden], content=content)
    await stranger.post("a", flag)
    await stranger.post("a", flag | {"id": flag["id"] + "0", "object": [publication.url] * 3_000})
    await town.settle()

    first, second = await reports(town)
    assert first.objects == [publication.url]
    assert first.reporter == stranger.id
    assert first.text.startswith("Wrong says […] xxx")
    assert len(first.text) == MAX_TEXT
    assert len(second.objects) <= MAX_OBJECTS


@pytest.mark.parametrize(
    "said",
    [
        {"content": "It is wrong."},
        {"contentMap": {"en": "It is wrong.", "fr": "C'est faux."}},
        {"summary": "It is wrong."},
        {"summaryMap": {"en": "It is wrong."}},
    ],
)
async def test_what_a_report_says_is_read_wherever_its_server_puts_it(
    town: Town, said: dict[str, Any]
) -> None:
    publication = await publish_case(town["a"].node)
    stranger = Stranger(town)

    await stranger.post("a", stranger.activity("Flag", publication.url, **said))
    await town.settle()

    (report,) = await reports(town)
    assert report.text == "It is wrong."


async def test_a_host_that_reports_without_end_buries_nobody(town: Town) -> None:
    publication = await publish_case(town["a"].node)
    stranger, other = Stranger(town), Stranger(town, "other.example", key="other")
    for number in range(MAX_OPEN + 5):
        await stranger.post("a", stranger.activity("Flag", [publication.url], number=number))
    await town.settle()

    await other.post("a", other.activity("Flag", publication.url, content="Please look."))
    await town.settle()

    found = await reports(town)
    assert len(found) == MAX_OPEN + 1
    assert [one.site for one in found].count("other.example") == 1
    async with town["a"].node.database.begin() as session:
        await close_report(session, found[0].id, "Looked at.", by=NODE, now=town.clock.now())
    assert len(await reports(town)) == MAX_OPEN


@pytest.mark.both_databases
async def test_who_reports_from_many_names_of_one_site_buries_nobody(node: Node) -> None:
    names = ["{}.evil.example", "evil.example:{}", "a.b.{}.evil.example"]

    async with node.database.begin() as session:
        for number in range(MAX_OPEN + 5):
            host = names[number % 3].format(number + 1)
            await keep_report(session, reporter=f"https://{host}/x", activity_id=str(number), **SAID)
        other = await keep_report(session, reporter="https://other.example/x", activity_id="other", **SAID)

    async with node.database.read() as session:
        sites = [one.site for one in await open_reports(session)]
    assert other is not None
    assert (sites.count("evil.example"), sites.count("other.example")) == (MAX_OPEN, 1)


async def test_what_we_report_goes_to_its_own_server_and_names_nobody_here(town: Town) -> None:
    stranger = Stranger(town)
    node = town["a"].node
    them = await find_actor(node, stranger.id)

    async with node.database.begin() as session:
        with pytest.raises(Invalid):
            await send_report(
                session,
                node.settings,
                node.keyring,
                them=them,
                objects=["https://elsewhere.example/1"],
                text="",
                now=town.clock.now(),
            )
    async with node.database.begin() as session:
        sent = await send_report(
            session,
            node.settings,
            node.keyring,
            them=them,
            objects=[f"https://{stranger.host}/notes/1"],
            text="A threat, says ana@org.example",
            now=town.clock.now(),
        )
    await town.settle()
    async with town.visitor("a") as visitor:
        seen = await visitor.get(sent.id, headers={"accept": "application/activity+json"})

    (flag,) = stranger.received
    assert flag["type"] == "Flag"
    assert flag["actor"] == node.settings.instance_actor
    assert flag["object"] == [stranger.id, f"https://{stranger.host}/notes/1"]
    assert flag["content"] == "A threat, says […]"
    assert seen.status_code == 404


async def test_a_block_ends_what_stands_between_the_two_and_is_answered_by_nothing(town: Town) -> None:
    stranger = Stranger(town)
    node = town["a"].node
    us = node.settings.main_actor
    await stranger.befriend("a")
    before = len(stranger.received)

    await stranger.post("a", stranger.activity("Block", us))
    await town.settle()

    async with node.database.read() as session:
        states = [
            found.state if (found := await between(session, *pair)) else None
            for pair in ((us, stranger.id), (stranger.id, us))
        ]
    assert states == ["rejected", "undone"]
    assert len(stranger.received) == before


async def test_a_block_of_somebody_else_changes_nothing(town: Town) -> None:
    stranger, mallory = Stranger(town), Stranger(town, "evil.example", "mallory", key="other")
    us = town["a"].settings.main_actor
    await stranger.post("a", stranger.activity("Follow", us))
    await town.settle()

    for number, target in enumerate((us, stranger.id)):
        await mallory.post("a", mallory.activity("Block", target, number=number))
    await town.settle()

    async with town["a"].node.database.read() as session:
        row: Any = await between(session, stranger.id, us)
        assert row.state == "accepted"
        assert await session.scalar(select(Report)) is None
