"""What becomes of a case when its publisher has moved, was let go, or is followed no more: what is shown does not stay wrong."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from federation.proofs import Proven
from node.effects import taking
from node.effects.proving import RefusedActivity, prove
from node.effects.taking import fetch_case
from node.entries.entries import SHOWN, Entry
from node.hub.quarantine import waiting
from node.peers.changing import announce_move
from node.peers.directory import find_actor
from node.peers.follows import ask_about, between, unfollow
from node.peers.hosts import decide
from node.peers.ours import local_actor_at, say_alias
from node.peers.sending import Sent
from node.publishing.publications import Publication
from node.runtime import Node
from tests.attacks.stage import Stage
from tests.node.inbox.test_copying import done
from tests.rig.publications import a_case, correct_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.jsonld import parse
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases

WAS, IS = a_case(title={"en": "As it was"}, state="FR"), a_case(title={"en": "As it is"}, state="IE")


async def let_go(town: Town, by: str, whom: str) -> None:
    node = town[by].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    them = await find_actor(node, town[whom].settings.main_actor)
    assert us is not None
    async with node.database.begin() as session:
        await unfollow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    await town.settle()


async def corrected(town: Town, by: str, case: Publication) -> None:
    town.clock.forward(minutes=1)
    await correct_case(town[by].node, case, IS)
    await town.settle()


async def title(town: Town, site: str, url: str) -> str | None:
    async with town[site].node.database.read() as session:
        entry = await session.get(Entry, url)
    return entry.case().title["en"] if entry is not None and entry.state in SHOWN else None


async def announcers(town: Town, url: str) -> set[str]:
    """The actors of the hub by whom it is announced."""
    async with town.hub.node.database.read() as session:
        said = select(Sent.actor).where(Sent.object_id == url, Sent.type == "Announce")
        found = await session.scalars(said.where(Sent.wraps.is_(None), Sent.is_public.is_(True)))
        return {actor.rpartition("/")[2] for actor in found}


@pytest.mark.parametrize("reader", ["b", "hub"])
async def test_a_case_that_stays_at_an_old_address_is_corrected_for_who_followed_to_the_new(
    town: Town, reader: str
) -> None:
    await town.open("c")
    old, new = town["a"].node, town["c"].node
    await town.befriend(reader, "a")
    case = await publish_case(old, WAS)
    await town.settle()
    async with new.database.begin() as session:
        now, us = town.clock.now(), new.settings.main_actor
        await say_alias(session, us, old.settings.main_actor, "also-known-as", now=now)
    await announce_move(old, new.settings.main_actor)
    await town.settle()

    await corrected(town, "a", case)

    async with town[reader].node.database.read() as session:
        ours = town[reader].settings.main_actor
        rows = [await between(session, ours, one.settings.main_actor) for one in (old, new)]
    assert [row.state if row else None for row in rows] == ["undone", "accepted"]
    assert await title(town, reader, case.url) == "As it is"


async def test_who_was_sent_a_case_is_sent_its_correction_and_who_was_not_is_not(town: Town) -> None:
    had, had_not = Stranger(town), Stranger(town, "other.example", key="other")
    node = town["a"].node
    follow = had.activity("Follow", node.settings.main_actor)
    await had.post("a", follow)
    await town.settle()
    case = await publish_case(node, WAS)
    await town.settle()
    town.clock.forward(seconds=1)
    await had.post("a", had.activity("Undo", follow))
    await had_not.post("a", had_not.activity("Undo", had_not.activity("Follow", node.settings.main_actor)))

    await corrected(town, "a", case)

    assert [one["type"] for one in had.received] == ["Accept", "Create", "Update"]
    assert had_not.received == []


async def test_a_hub_takes_the_correction_of_one_who_is_no_member_any_more_and_tells_who_has_it_of_the_hub(
    town: Town,
) -> None:
    await town.befriend("hub", "a")
    reader = Stranger(town)
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    await town.settle()
    case = await publish_case(town["a"].node, WAS)
    await town.settle()
    before = await announcers(town, case.url)
    await let_go(town, "hub", "a")
    reader.received.clear()

    await corrected(town, "a", case)

    said = [one["object"] for one in reader.received if one["type"] == "Announce"]
    assert await title(town, "hub", case.url) == "As it is"
    assert [one["type"] for one in said if isinstance(one, dict)] == ["Update"]
    # It concerns another State now: that one announced nothing before, and what the first announced is taken back.
    assert before - await announcers(town, case.url) == {"state-fr"}
    assert await announcers(town, case.url) < before
    async with town.hub.node.database.read() as session:
        assert await waiting(session) == []


@pytest.mark.parametrize("how", ["by an Update", "asked about", "announced by another"])
async def test_a_hub_takes_what_becomes_of_what_it_shows_however_it_hears_of_it(town: Town, how: str) -> None:
    case = await publish_case(town["a"].node, WAS)
    await fetch_case(town.hub.node, case.url, invited=True)
    await done(town["a"].node)
    town.clock.forward(minutes=1)
    door = town.wires.apps["hub.example"]
    if how != "by an Update":
        del town.wires.apps["hub.example"]
    await corrected(town, "a", case)
    town.wires.apps["hub.example"] = door
    if how == "asked about":
        async with town.hub.node.database.begin() as session:
            await ask_about(session, "a.example", now=town.clock.now())
    if how == "announced by another":
        await town.open("hub2")
        await town.befriend("hub2", "a")
        await town.befriend("hub", "hub2")
        again = a_case(title={"en": "As it is"}, state="BE")
        town.clock.forward(minutes=1)
        await correct_case(town["a"].node, case, again)
    await town.settle()

    assert await title(town, "hub", case.url) == "As it is"


@pytest.mark.parametrize("site", ["hub", "b"])
@pytest.mark.parametrize("how", ["fetched", "by an Update"])
async def test_what_is_proven_of_another_case_is_no_correction_of_what_is_shown(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, site: str, how: str
) -> None:
    """A graph may be read otherwise than the tree in which it came."""
    shown, other = [await publish_case(town["a"].node, WAS) for _ in range(2)]
    here = town[site].node
    await fetch_case(here, shown.url, invited=True)
    await done(town["a"].node)
    async with town["a"].node.database.read() as session:
        document = parse((await session.get_one(Entry, other.url)).document)

    async def turned(node: Node, given: dict[str, Any], *args: Any, **more: Any) -> Proven:
        return await prove(node, document, *args, **more)

    monkeypatch.setattr(taking, "prove", turned)
    if how == "fetched":
        with pytest.raises(RefusedActivity, match="another case"):
            await fetch_case(here, shown.url)
    else:
        with caplog.at_level("INFO"):
            await corrected(town, "a", shown)
        reasons = [one.__dict__["reason"] for one in caplog.records if one.message == "inbox.refused"]
        assert [one for one in reasons if "another case" in one]

    assert await title(town, site, other.url) is None


@pytest.mark.parametrize("mode", ["members", "limited"])
@pytest.mark.parametrize("policy", [None, "limit"])
async def test_whom_the_mode_alone_limits_may_correct_what_is_shown_and_add_nothing(
    town: Town, mode: str, policy: str | None
) -> None:
    site = await town.open("hub-of-few", federation=mode)
    async with site.node.database.begin() as session:
        await decide(session, "a.example", "allow", reason="", now=town.clock.now())
    await town.befriend("hub-of-few", "a")
    case = await publish_case(town["a"].node, WAS)
    await town.settle()
    await let_go(town, "hub-of-few", "a")
    async with site.node.database.begin() as session:
        await decide(session, "a.example", policy, reason="", now=town.clock.now())

    new = await publish_case(town["a"].node)
    await corrected(town, "a", case)

    assert await title(town, "hub-of-few", case.url) == ("As it was" if policy else "As it is")
    assert await title(town, "hub-of-few", new.url) is None


@pytest.mark.parametrize("flaw", ["a new case", "of another's", "limited", "withdrawn before", "older"])
async def test_a_hub_takes_nothing_else_of_who_is_no_member(town: Town, flaw: str) -> None:
    stage = Stage(town)
    alice, mallory = await stage.victim(), stage.stranger()
    shown = stage.case(alice, minutes=2, fields={"title": {"en": "As it was"}})
    await stage.send(alice, alice.activity("Create", shown, to=[PUBLIC]))
    node, now = town.hub.node, town.clock.now()
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    async with node.database.begin() as session:
        them = await find_actor(node, alice.id)
        await unfollow(session, node.settings, node.keyring, us=us, them=them, now=now)
        if flaw == "limited":
            await decide(session, alice.host, "limit", reason="", now=now)
    changed: dict[str, Any] = {"title": {"en": "As it is"}}
    by, slug, minutes = alice, "c1", 5
    if flaw == "a new case":
        slug = "c2"
    if flaw == "older":
        minutes = 1
    update = stage.case(alice, slug, minutes=minutes, fields=changed)
    if flaw == "of another's":
        by, update = mallory, stage.prove(mallory, update | {"attributedTo": mallory.id})
    if flaw == "withdrawn before":
        await stage.send(alice, alice.activity("Delete", shown["id"]))
    town.clock.forward(minutes=10)

    await stage.send(by, by.activity("Update", update, to=[PUBLIC]))

    async with node.database.read() as session:
        found: Sequence[Entry] = (await session.scalars(select(Entry))).all()
    titles = [entry.fields.get("title") for entry in found]
    assert titles == [None if flaw == "withdrawn before" else {"en": "As it was"}]
