"""What an organisation published before is read from its outbox, however that is written; and nothing else is."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError

from federation.proofs import attach
from node.effects.cases import read_shown
from node.effects.taking import fetch_case
from node.entries.entries import SHOWN, Entry
from node.entries.search import standing
from node.hub import aggregate
from node.hub.aggregate import take_in
from node.outbox import Job
from node.peers.directory import find_actor
from node.peers.follows import ask_about, between, follow, read_back
from node.peers.hosts import decide
from node.peers.ours import local_actor_at
from node.upkeep import outboxes
from tests.node.effects.test_process import a_document, admit, at_hub, mallory, victim
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS

__all__ = ["mallory", "victim"]

Json = dict[str, Any]
AT = "/users/cases/outbox"
PAGE = "https://victim.example/users/cases/outbox/1"
UP_TO_DATE = {"srt:upToDate": True}


def a_page(*items: object, **more: Any) -> Json:
    return {"id": PAGE, "type": "OrderedCollectionPage", "orderedItems": list(items), **more}


SHAPES: dict[str, Callable[[Json], Json]] = {
    "inline": lambda create: {"orderedItems": [create]},
    "one that stands for a list": lambda create: {"orderedItems": create},
    "a page": lambda create: {"first": PAGE},
    "an embedded page": lambda create: {"first": {"id": PAGE, "type": "OrderedCollectionPage"}},
    "an embedded page with its items": lambda create: {"first": {**a_page(create), "id": None}},
    "nothing inline, and a page": lambda create: {"orderedItems": [], "first": PAGE},
    "no order": lambda create: {"type": "Collection", "items": [create]},
    "by address": lambda create: {"orderedItems": [create["id"]]},
    "several types": lambda create: {"orderedItems": [{**create, "type": ["Create", "Publish"]}]},
    "with prefixes": lambda create: {"orderedItems": [{**create, "type": "as:Create"}]},
    "a list of one object": lambda create: {"orderedItems": [{**create, "object": [create["object"]]}]},
    "the object embedded": lambda create: {"orderedItems": [{**create, "object": {"id": create["object"]}}]},
    "behind what is no address": lambda create: {"orderedItems": ["http://[", 5, None, {}, create]},
    "again and again": lambda create: {"first": PAGE, "orderedItems": [create, create], "next": PAGE},
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_case_is_found_in_an_outbox_of_any_shape(town: Town, victim: Stranger, shape: str) -> None:
    case = a_document(victim, town)
    create = {"id": "https://victim.example/activities/1", "type": "Create", "actor": victim.id}
    create["object"] = case["id"]
    victim.documents |= {"/cases/c1": case, "/activities/1": {"@context": AS, **create}}
    victim.documents["/users/cases/outbox/1"] = {"@context": AS, **a_page(create, next=PAGE)}
    outbox = {"@context": AS, "id": f"{victim.id}/outbox", "type": "OrderedCollection"}
    victim.documents[AT] = outbox | SHAPES[shape](create)

    await admit(town, victim)

    assert await at_hub(town) is not None
    assert victim.asked.count("/cases/c1") == 1
    # It names itself as the next.
    assert victim.asked.count("/users/cases/outbox/1") <= 1


async def test_nothing_of_another_host_is_asked_for(town: Town, victim: Stranger, mallory: Stranger) -> None:
    mallory.documents["/cases/c1"] = a_document(mallory, town)
    theirs = {"id": f"https://{mallory.host}/activities/1", "type": "Create", "actor": mallory.id}
    theirs["object"] = mallory.documents["/cases/c1"]["id"]
    items = [
        theirs,
        theirs["id"],
        {"id": f"https://{victim.host}/1", "type": "Announce", "object": victim.id},
    ]
    outbox = {"@context": AS, "id": f"{victim.id}/outbox", "type": "OrderedCollection"}
    victim.documents[AT] = outbox | {"first": a_page(*items, next=f"https://{mallory.host}/outbox")}

    await admit(town, victim)

    assert mallory.asked == []
    assert [path for path in victim.asked if path.startswith("/cases/")] == []


async def test_addresses_that_lead_nowhere_are_asked_for_a_few_times_only(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "MAX_MISSES", 3)
    names = [f"https://{victim.host}/activities/{number}" for number in range(9)]
    victim.documents[AT] = {"@context": AS, "id": f"{victim.id}/outbox", "type": "OrderedCollection"}
    victim.documents[AT]["orderedItems"] = names

    await admit(town, victim)

    assert len([path for path in victim.asked if path.startswith("/activities/")]) == 3


async def test_pages_without_end_that_name_nothing_are_not_read_for_ever(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "MAX_EMPTY_PAGES", 3)
    victim.documents["/cases/c1"] = case = a_document(victim, town)
    for number in range(9):
        items = [creates(victim, case["id"])] if number == 2 else [victim.activity("Like", case["id"])]
        page = a_page(*items, next=f"{PAGE}{number + 1}") | {"id": f"{PAGE}{number}"}
        victim.documents[f"/users/cases/outbox/1{number}"] = {"@context": AS, **page}
    victim.documents[AT] |= {"first": f"{PAGE}0"}

    await admit(town, victim)

    assert await at_hub(town) is not None
    pages = [path for path in victim.asked if path.startswith("/users/cases/outbox/")]
    # Two without, the one with it, three without, and the one after them.
    assert len(pages) == 7


async def test_who_is_followed_no_more_in_the_middle_is_not_read_to_the_end(
    town: Town, victim: Stranger
) -> None:
    cases = {f"/cases/c{number}": a_document(victim, town, f"c{number}") for number in range(2)}
    victim.documents |= cases
    first, second = ([creates(victim, case["id"])] for case in cases.values())
    victim.documents["/users/cases/outbox/1"] = {"@context": AS, **a_page(*second)}
    victim.documents[AT] |= {"orderedItems": first, "next": PAGE}
    node, serve = town["a"].node, victim._serve

    async def leaving(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/users/cases/outbox/1":
            async with node.database.begin() as session:
                row = await between(session, node.settings.main_actor, victim.id)
                assert row is not None
                row.move("undone", node.clock.now())
        return serve(request)

    town.wires.apps[victim.host] = httpx.MockTransport(leaving)

    await read_group(town, victim, kind="Organization")

    assert [path for path in victim.asked if path.startswith("/cases/")] == ["/cases/c0"]


async def test_an_item_that_says_two_things_keeps_nothing_else_from_being_read(
    town: Town, victim: Stranger
) -> None:
    case = a_document(victim, town)
    victim.documents["/cases/c1"] = case
    create = {"type": "Create", "actor": victim.id, "object": case["id"]}
    victim.documents[AT] |= {
        "orderedItems": [{**create, "as:object": "https://victim.example/other"}, create]
    }

    await admit(town, victim)

    assert await at_hub(town) is not None


async def test_a_server_that_takes_for_ever_is_not_read_to_the_end(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {f"/cases/c{number}": a_document(victim, town, f"c{number}") for number in range(5)}
    victim.documents |= cases
    victim.documents[AT] |= {"orderedItems": [creates(victim, case["id"]) for case in cases.values()]}
    serve = victim._serve

    def slowly(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/cases/"):
            town.clock.forward(minutes=20)
        return serve(request)

    town.wires.apps[victim.host] = httpx.MockTransport(slowly)

    await admit(town, victim)

    assert [path for path in victim.asked if path.startswith("/cases/")] == list(cases)[:3]


# ---- pages that show what stands -----------------------------------------------------------------------------------


def creates(owner: Stranger, case: object) -> Json:
    return owner.activity("Create", case)


async def read_anew(town: Town, owner: Stranger) -> list[str]:
    """The hub reads the outbox once more; which cases it asked for one by one."""
    owner.asked.clear()
    await admit(town, owner)
    return [path for path in owner.asked if path.startswith("/cases/")]


@pytest.mark.both_databases
async def test_cases_that_a_page_shows_as_they_are_now_are_taken_from_it(
    town: Town, victim: Stranger
) -> None:
    shown = [a_document(victim, town, f"c{number}", minutes=number) for number in range(3)]
    said = [victim.activity("Update" if number else "Create", case) for number, case in enumerate(shown)]
    victim.documents["/users/cases/outbox/1"] = {"@context": AS, **a_page(*said, **UP_TO_DATE)}
    victim.documents[AT] |= {"first": PAGE}

    asked = await read_anew(town, victim)

    found = [await at_hub(town, f"c{number}") for number in range(3)]
    assert asked == []
    assert [one.state for one in found] == ["live", "corrected", "corrected"]
    async with town.visitor("hub") as http:
        outbox = (await http.get("https://hub.example/actors/hub/outbox?page=1")).json()
    assert {item["object"] for item in outbox["orderedItems"]} == {case["id"] for case in shown}


async def test_a_page_that_promises_nothing_may_show_what_was_so_once(town: Town, victim: Stranger) -> None:
    first = a_document(victim, town)
    victim.documents[AT] |= {"orderedItems": [creates(victim, first)]}
    victim.documents["/cases/c1"] = httpx.Response(410)

    asked = await read_anew(town, victim)

    assert asked == ["/cases/c1"]
    assert await at_hub(town) is None


@pytest.mark.parametrize(
    "flaw", ["no proof", "a broken proof", "by another", "for some", "of another's home"]
)
async def test_what_a_page_shows_is_believed_no_more_than_what_stands_at_its_address(
    town: Town, victim: Stranger, mallory: Stranger, flaw: str
) -> None:
    good, bad = a_document(victim, town, "good"), a_document(victim, town)
    now = town.clock.now()
    if flaw == "no proof":
        del bad["proof"]
    if flaw == "a broken proof":
        bad |= {"name": "Something else (fictional)"}
    if flaw == "by another":
        bad = attach(bad, mallory.prover(), now=now)
    if flaw == "for some":
        bad = attach(bad | {"to": [f"{victim.id}/followers"], "cc": []}, victim.prover(), now=now)
    if flaw == "of another's home":
        bad = attach(bad | {"id": f"https://{mallory.host}/cases/c1"}, victim.prover(), now=now)
    victim.documents[AT] |= {**UP_TO_DATE, "orderedItems": [creates(victim, bad), creates(victim, good)]}
    victim.documents["/cases/c1"] = mallory.documents["/cases/c1"] = bad

    asked = await read_anew(town, victim)

    assert await at_hub(town, "good") is not None
    assert await at_hub(town) is None
    assert await at_hub(town, host=mallory.host) is None
    assert asked == ([] if flaw == "of another's home" else ["/cases/c1"])
    assert mallory.asked == []


async def test_what_stands_and_is_known_is_not_asked_for_and_what_is_newer_is_taken(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [a_document(victim, town, f"c{number}") for number in range(3)]
    victim.documents[AT] |= {**UP_TO_DATE, "orderedItems": [creates(victim, case) for case in shown]}
    await admit(town, victim)
    checked: list[str] = []
    check = read_shown

    def noted(activity: Any, *args: Any, **more: Any) -> Any:
        checked.append(activity.object_id)
        return check(activity, *args, **more)

    monkeypatch.setattr(outboxes, "read_shown", noted)
    unclear = shown[2] | {"as:updated": "2026-01-01T00:00:00Z", "updated": "2026-01-02T00:00:00Z"}
    better = a_document(victim, town, "c1", minutes=5)
    items = [creates(victim, case) for case in (better, unclear, shown[1])]
    victim.documents[AT]["orderedItems"] = items
    victim.documents["/cases/c0"] = httpx.Response(410)
    town.clock.forward(minutes=10)

    asked = await read_anew(town, victim)

    # What is named no more is asked about, and what says two things of itself.
    assert set(asked) == {"/cases/c0", "/cases/c2"}
    assert checked == [better["id"], unclear["id"]]
    states = [(await at_hub(town, f"c{number}")).state for number in range(3)]
    assert states == ["withdrawn", "corrected", "live"]


async def test_what_was_withdrawn_does_not_come_back_by_an_old_page(town: Town, victim: Stranger) -> None:
    case = a_document(victim, town)
    victim.documents[AT] |= {**UP_TO_DATE, "orderedItems": [creates(victim, case)]}
    await admit(town, victim)
    town.clock.forward(minutes=1)
    await victim.post("hub", victim.activity("Delete", case["id"]))
    await town.settle()

    await read_anew(town, victim)

    assert (await at_hub(town)).state == "withdrawn"


async def test_a_case_that_cannot_be_stored_keeps_no_other_from_being_kept(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {f"/cases/c{number}": a_document(victim, town, f"c{number}") for number in range(3)}
    victim.documents |= shown
    victim.documents[AT] |= {**UP_TO_DATE, "orderedItems": [creates(victim, case) for case in shown.values()]}

    class TooLong(Exception):
        sqlstate = "22001"

    def refusing(keep: Any) -> Any:
        async def take(session: Any, ready: Any, **more: Any) -> None:
            if any(one.draft.id.endswith("c1") for one in ready):
                raise DBAPIError("", None, TooLong())
            await keep(session, ready, **more)

        return take

    for room in ("upkeep.outboxes", "effects.taking"):
        monkeypatch.setattr(f"node.{room}.take_in", refusing(take_in))

    asked = await read_anew(town, victim)

    assert asked == list(shown)
    assert [await at_hub(town, f"c{number}") is not None for number in range(3)] == [True, False, True]


async def test_what_many_are_told_of_is_kept_in_parts(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub announces each case to every server that follows it; on SQLite nobody else writes meanwhile."""
    await town.befriend("a", "hub")
    monkeypatch.setattr(aggregate, "MADE_AT_ONCE", 2)
    kept: list[int] = []

    async def noted(session: Any, ready: Any, **more: Any) -> None:
        kept.append(len(ready))
        await take_in(session, ready, **more)

    monkeypatch.setattr(outboxes, "take_in", noted)
    shown = [a_document(victim, town, f"c{number}") for number in range(5)]
    victim.documents[AT] |= {**UP_TO_DATE, "orderedItems": [creates(victim, case) for case in shown]}

    await admit(town, victim)

    assert kept == [2, 2, 1]
    assert all([await at_hub(town, f"c{number}") is not None for number in range(5)])


# ---- what a group announced ----------------------------------------------------------------------------------------


@pytest.mark.both_databases
async def test_who_begins_to_follow_a_hub_reads_what_it_announced_before(town: Town) -> None:
    await town.befriend("hub", "a")
    published = [await publish_case(town["a"].node, a_case(number)) for number in range(3)]
    await town.settle()
    await withdraw_case(town["a"].node, published[1])
    await town.settle()

    await town.befriend("b", "hub")

    async with town["b"].node.database.read() as session:
        found = await standing(session, [one.url for one in published])
    assert found == {published[0].url, published[2].url}


@pytest.mark.both_databases
@pytest.mark.parametrize("what", ["an outbox", "cases of a host"])
async def test_what_is_asked_for_while_it_is_read_is_read_afterwards(
    town: Town, victim: Stranger, what: str
) -> None:
    """Whatever made somebody ask may be so only since that page, or case, was read; what waits is read once."""
    node, serve = town["a"].node, victim._serve
    case = a_document(victim, town)
    victim.documents |= {"/cases/c1": case, AT: victim.documents[AT] | {"orderedItems": []}}
    looked_for = AT if what == "an outbox" else "/cases/c1"
    if what == "an outbox":
        await read_group(town, victim, kind="Organization")
    else:
        await fetch_case(node, case["id"], invited=True)
    victim.asked.clear()
    again = 2

    async def ask() -> None:
        async with node.database.begin() as session:
            if what == "an outbox":
                await read_back(session, victim.id, now=node.clock.now())
            else:
                await ask_about(session, victim.host, now=node.clock.now())

    async def asking(request: httpx.Request) -> httpx.Response:
        nonlocal again
        if request.url.path == looked_for and again:
            again -= 1
            for _ in range(2):
                await ask()
        return serve(request)

    town.wires.apps[victim.host] = httpx.MockTransport(asking)
    for _ in range(2):
        await ask()
    await town.settle()

    assert victim.asked.count(looked_for) == 3


async def shown_title(town: Town, url: str) -> str | None:
    async with town["b"].node.database.read() as session:
        entry = await session.get(Entry, url)
    return entry.case().title["en"] if entry is not None and entry.state in SHOWN else None


async def an_older_version_at_b(town: Town) -> str:
    """Somebody read it there once; what became of it since they were not told."""
    node = town["a"].node
    case = await publish_case(node, a_case(title={"en": "As it was"}))
    await fetch_case(town["b"].node, case.url, invited=True)
    town.clock.forward(minutes=1)
    door = town.wires.apps.pop("b.example")
    await correct_case(node, case, a_case(title={"en": "As it is"}))
    async with node.database.begin() as session:
        await session.execute(delete(Job).where(Job.kind == "deliver"))
    town.wires.apps["b.example"] = door
    return case.url


@pytest.mark.both_databases
@pytest.mark.parametrize("is_later", [True, False])
async def test_what_a_hub_announces_and_is_here_in_an_older_version_is_taken_as_it_is(
    town: Town, is_later: bool
) -> None:
    url = await an_older_version_at_b(town)
    before = await shown_title(town, url)

    town.clock.forward(hours=2)
    for follower, followed in (("b", "hub"), ("hub", "a"))[:: 1 if is_later else -1]:
        await town.befriend(follower, followed)

    assert before == "As it was"
    assert await shown_title(town, url) == "As it is"


@pytest.mark.parametrize("flaw", ["a broken proof", "by another", "of a host that is limited"])
async def test_a_newer_version_of_what_is_here_is_believed_no_more_than_the_first(
    town: Town, victim: Stranger, mallory: Stranger, flaw: str
) -> None:
    group = Stranger(town, "group.example", "cases", key="peer")
    case = a_document(victim, town)
    victim.documents["/cases/c1"] = case
    await fetch_case(town["b"].node, case["id"], invited=True)
    newer = a_document(victim, town, minutes=5)
    if flaw == "a broken proof":
        newer |= {"name": "Something else (fictional)"}
    if flaw == "by another":
        newer = attach(newer | {"attributedTo": mallory.id}, mallory.prover(), now=town.clock.now())
    if flaw == "of a host that is limited":
        async with town["b"].node.database.begin() as session:
            await decide(session, victim.host, "limit", reason="a test", now=town.clock.now())
    victim.documents["/cases/c1"] = newer
    group.documents[AT] |= {"orderedItems": announces(group, case["id"])}
    town.clock.forward(minutes=10)

    await read_group(town, group, at="b")
    await group.post("b", group.activity("Announce", case["id"], number=50))
    await town.settle()

    async with town["b"].node.database.read() as session:
        assert (await session.get_one(Entry, case["id"])).state == "live"


@pytest.mark.parametrize("is_shown_by", ["a hub", "its publisher"])
async def test_what_came_since_a_hub_is_followed_is_not_asked_for_with_each_announcement(
    town: Town, victim: Stranger, is_shown_by: str
) -> None:
    group = Stranger(town, "group.example", "cases", key="peer")
    case = a_document(victim, town)
    victim.documents["/cases/c1"] = case
    group.documents[AT] |= {"orderedItems": announces(group, case["id"])}
    if is_shown_by == "its publisher":
        victim.documents[AT] |= {"orderedItems": [creates(victim, case["id"])]}
        await read_group(town, victim, at="b", kind="Organization")
        town.clock.forward(hours=2)
    await read_group(town, group, at="b")
    asked = victim.asked.count("/cases/c1")

    town.clock.forward(minutes=1)
    await group.post("b", group.activity("Announce", case["id"], number=50))
    await town.settle()
    async with town["b"].node.database.begin() as session:
        await read_back(session, group.id, now=town.clock.now())
    await town.settle()

    assert asked == 1
    assert victim.asked.count("/cases/c1") == 1


def announces(group: Stranger, *urls: str) -> list[Json]:
    return [group.activity("Announce", url, number=number) for number, url in enumerate(urls)]


async def read_group(town: Town, group: Stranger, *, at: str = "a", kind: str = "Group") -> None:
    """A node begins to follow an actor that is a group, and reads its outbox."""
    group.documents["/users/cases"] = group.actor(type=kind)
    node = town[at].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, group.id)
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    await group.post(at, group.activity("Accept", row.activity, number=100))
    await town.settle()


async def kept_at(town: Town, site: str, case: Json) -> bool:
    async with town[site].node.database.read() as session:
        return case["id"] in await standing(session, [case["id"]])


async def test_a_home_that_cannot_answer_for_a_moment_is_asked_again_for_what_a_group_announced(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    case, other = a_document(mallory, town), a_document(mallory, town, "c2")
    mallory.documents |= {"/cases/c1": httpx.Response(503), "/cases/c2": other}
    victim.documents[AT] |= {"orderedItems": announces(victim, case["id"], other["id"])}

    await read_group(town, victim)
    before = await kept_at(town, "a", case), await kept_at(town, "a", other)
    mallory.documents["/cases/c1"] = case
    town.clock.forward(minutes=5)
    await town.settle()

    assert before == (False, True)
    assert await kept_at(town, "a", case)
    assert mallory.asked.count("/cases/c2") == 1


async def test_a_home_that_never_answers_is_asked_for_a_few_of_many_that_a_group_announced(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    urls = [f"https://{mallory.host}/cases/{number}" for number in range(20)]
    mallory.documents |= {f"/cases/{number}": httpx.Response(503) for number in range(20)}
    victim.documents[AT] |= {"orderedItems": announces(victim, *urls)}

    await read_group(town, victim)

    assert len([path for path in mallory.asked if path.startswith("/cases/")]) == outboxes.MAX_REFUSALS


async def test_what_else_a_group_announces_is_not_asked_for_without_end(
    town: Town, victim: Stranger, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "MAX_MISSES", 3)
    own = a_document(victim, town)
    notes = {f"/notes/{number}": {"@context": AS, "type": "Note"} for number in range(9)}
    mallory.documents |= {
        path: {**note, "id": f"https://{mallory.host}{path}"} for path, note in notes.items()
    }
    victim.documents["/cases/c1"] = own
    told = [
        *announces(victim, *(f"https://{mallory.host}{path}" for path in notes)),
        creates(victim, own["id"]),
    ]
    victim.documents[AT] |= {"orderedItems": told}

    await read_group(town, victim)

    assert len([path for path in mallory.asked if path in notes]) == 3
    assert await kept_at(town, "a", own)


@pytest.mark.parametrize(
    "who", ["an organisation", "a group of whom a hub is told", "a host that is shut out"]
)
async def test_what_is_announced_is_not_asked_for(
    town: Town, victim: Stranger, mallory: Stranger, who: str
) -> None:
    mallory.documents["/cases/c1"] = case = a_document(mallory, town)
    victim.documents[AT] |= {"orderedItems": announces(victim, case["id"])}
    site = "hub" if who == "a group of whom a hub is told" else "a"
    if who == "a host that is shut out":
        node = town["a"].node
        async with node.database.begin() as session:
            await decide(session, mallory.host, "block", reason="a test", now=node.clock.now())

    await read_group(town, victim, at=site, kind="Organization" if who == "an organisation" else "Group")

    assert not await kept_at(town, site, case)
    assert "/cases/c1" not in mallory.asked
