"""A hub shows its members' cases only, on a proof that holds; everything else waits where somebody can see it, and why."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from federation.proofs import Proven, attach, check
from node.effects import searching
from node.effects.searching import heed
from node.effects.taking import fetch_case
from node.entries.entries import set_searched
from node.entries.search import entry_at
from node.hub import quarantine
from node.hub.quarantine import NOT_A_MEMBER, keep_out, let_go, waiting
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import proving_keys
from node.peers.follows import Follow
from node.peers.lists import PAGE, signed_list
from node.runtime import Node
from node.upkeep import chores
from tests.node.effects.test_process import a_document, admit, at_hub, mallory, victim
from tests.rig.keys import ed25519_key
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, PUBLIC

__all__ = ["mallory", "victim"]


async def kept_out(town: Town) -> dict[str, str]:
    async with town.hub.node.database.read() as session:
        return {one.id: one.reason for one in await waiting(session)}


async def test_a_case_of_somebody_who_is_no_member_waits_and_is_taken_in_when_they_are(
    town: Town, victim: Stranger
) -> None:
    case = a_document(victim, town)
    victim.documents["/cases/c1"] = case
    await victim.post("hub", victim.activity("Create", case))
    await town.settle()
    before = await at_hub(town)
    noted = await kept_out(town)
    async with town.visitor("hub") as http:
        pages = [(await http.get(path)).text for path in ("/cases", "/feeds/cases.atom", "/api/v1/cases")]

    await admit(town, victim)

    assert before is None
    assert noted == {case["id"]: NOT_A_MEMBER}
    assert not any("victim.example" in page for page in pages)
    assert await at_hub(town) is not None
    assert await kept_out(town) == {}


async def test_a_member_whose_proof_does_not_hold_is_kept_out_until_they_mend_it(
    town: Town, victim: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    await admit(town, victim)
    case = a_document(victim, town)

    await victim.post("hub", victim.activity("Create", {**case, "name": "Other words"}))
    await town.settle()
    before = await at_hub(town)
    noted = await kept_out(town)
    await victim.post("hub", victim.activity("Create", case, number=2))
    await town.settle()

    assert before is None
    assert noted == {case["id"]: "proof: bad-signature"}
    assert "quarantine.kept-out" in caplog.messages
    assert await at_hub(town) is not None
    assert await kept_out(town) == {}


BY_A_MEMBER = [
    "its address, announced",
    "its Create with a proof, announced",
    "its Create without a proof, announced",
    "its Update with a proof, announced",
    "its address, in an Update",
    "its address, in the outbox",
]


@pytest.mark.both_databases
@pytest.mark.parametrize("way", BY_A_MEMBER)
async def test_a_member_puts_nobody_elses_case_on_a_hub_but_its_operator_may(
    town: Town, victim: Stranger, way: str
) -> None:
    member = Stranger(town, "member.example", "cases", key="peer")
    # On the host of the member where its outbox is to name it: addresses of other hosts are not read there.
    owner = Stranger(town, member.host, "other") if "outbox" in way else victim
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    case = a_document(owner, town)
    said = owner.activity("Update" if "its Update" in way else "Create", case, to=[PUBLIC])
    if "with a proof" in way:
        said = attach(said, owner.prover(), now=town.clock.now())
    owner.documents |= {"/cases/c1": case, f"/activities/{said['type'].lower()}-1": said}
    if "outbox" in way:
        owner.documents["/users/cases"] = member.documents["/users/cases"]
        owner.documents["/users/cases/outbox"] = {
            **member.documents["/users/cases/outbox"],
            "orderedItems": [{"type": "Create", "actor": member.id, "object": case["id"]}],
        }
    await admit(town, member)
    reader.received.clear()

    if "announced" in way:
        named: Any = said if "its address" not in way else case["id"]
        await member.post("hub", member.activity("Announce", named))
    elif "Update" in way:
        await member.post("hub", member.activity("Update", case["id"]))
    await town.settle()
    before = await at_hub(town, host=owner.host)
    noted = await kept_out(town)
    told = list(reader.received)
    await fetch_case(town.hub.node, case["id"], invited=True)
    await town.settle()

    assert before is None
    assert noted == {case["id"]: NOT_A_MEMBER}
    assert told == []
    assert await at_hub(town, host=owner.host) is not None
    assert await kept_out(town) == {}
    assert [one["object"] for one in reader.received] == [case["id"]]


async def test_a_hub_that_follows_a_hub_shows_its_own_members_only(town: Town, victim: Stranger) -> None:
    other = await town.open("hub2")
    await town.befriend("hub2", "hub")
    await admit(town, victim)
    case = a_document(victim, town)
    victim.documents["/cases/c1"] = case

    said = attach(victim.activity("Create", case, to=[PUBLIC]), victim.prover(), now=town.clock.now())
    await victim.post("hub", said)
    await town.settle()
    async with other.node.database.read() as session:
        noted = {one.id: one.reason for one in await waiting(session)}
        shown = await entry_at(session, case["id"])

    assert await at_hub(town) is not None
    assert shown is None
    assert noted == {case["id"]: NOT_A_MEMBER}


async def test_a_node_keeps_whatever_case_a_hub_announces_to_it(town: Town, victim: Stranger) -> None:
    await town.befriend("a", "hub")
    case = a_document(victim, town)
    victim.documents["/cases/c1"] = case

    await fetch_case(town.hub.node, case["id"], invited=True)
    await town.settle()

    async with town["a"].node.database.read() as session:
        assert await entry_at(session, case["id"]) is not None


async def test_nobody_fills_the_list_with_what_is_not_theirs_or_no_case(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    case = a_document(victim, town)
    article = {"id": "https://evil.example/1", "type": "Article", "attributedTo": mallory.id, "to": [PUBLIC]}

    for number, document in enumerate((case, {**case, "attributedTo": mallory.id}, article)):
        await mallory.post("hub", mallory.activity("Create", document, number=number))
    await town.settle()

    assert await kept_out(town) == {}


async def test_one_host_does_not_fill_the_list_for_others(
    town: Town, victim: Stranger, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST_OF_A_SITE", 2)

    for number in range(4):
        case = a_document(mallory, town, f"c{number}")
        await mallory.post("hub", mallory.activity("Create", case, number=number))
        await town.settle()
    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()

    assert sorted(await kept_out(town)) == [
        "https://evil.example/cases/c0",
        "https://evil.example/cases/c1",
        "https://victim.example/cases/c1",
    ]


@pytest.mark.both_databases
async def test_what_its_publisher_withdraws_waits_no_more_and_nobody_else_can_say_so(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    cases = [a_document(victim, town, name) for name in ("c1", "c2", "c3")]
    for number, case in enumerate(cases):
        await victim.post("hub", victim.activity("Create", case, number=number))
    other = a_document(mallory, town)
    await mallory.post("hub", mallory.activity("Create", other))
    await mallory.post("hub", mallory.activity("Delete", cases[1]["id"]))
    await victim.post("hub", victim.activity("Delete", cases[0]["id"]))
    await town.settle()
    withdrawn = await kept_out(town)

    await victim.post("hub", victim.activity("Delete", victim.id, number=2))
    await town.settle()

    assert withdrawn.keys() == {cases[1]["id"], cases[2]["id"], other["id"]}
    assert (await kept_out(town)).keys() == {other["id"]}


async def keep(node: Node, *hosts: str) -> list[str]:
    """Whose cases were noted, one of each."""
    async with node.database.begin() as session:
        for host in hosts:
            url, actor = f"https://{host}/cases/1", f"https://{host}/users/x"
            await keep_out(session, url, actor=actor, reason=NOT_A_MEMBER, now=node.clock.now())
    async with node.database.read() as session:
        found = {host_of(one.id) for one in await waiting(session)}
    return [host for host in hosts if host in found]


@pytest.mark.both_databases
async def test_many_names_of_one_site_do_not_fill_the_list(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST_OF_A_SITE", 2)
    names = ["1.evil.example", "2.evil.example", "3.evil.example", "evil.example:8443", "victim.example"]

    assert await keep(node, *names) == ["1.evil.example", "2.evil.example", "victim.example"]


@pytest.mark.both_databases
async def test_strangers_leave_room_for_those_who_are_known(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST", 6)
    monkeypatch.setattr(quarantine, "KEPT_FREE", 4)
    ours, now = node.settings.main_actor, node.clock.now()
    ties = {
        "followed.example": (ours, "accepted", now),
        "known.example": ("", "accepted", now - timedelta(days=2)),
        "new.example": ("", "accepted", now),
        "asked.example": ("", "requested", now - timedelta(days=2)),
    }
    async with node.database.begin() as session:
        for host, (follower, state, day) in ties.items():
            them = f"https://{host}/users/x"
            pair = (ours, them) if follower else (them, ours)
            session.add(
                Follow(
                    activity_id=host,
                    follower=pair[0],
                    followed=pair[1],
                    state=state,
                    activity={},
                    changed_at=day,
                )
            )

    kept = await keep(node, "one.example", "two.example", "three.example", *ties)

    assert kept == ["one.example", "two.example", "followed.example", "known.example"]


async def test_what_somebody_turned_away_waits_no_more(town: Town, mallory: Stranger) -> None:
    case = a_document(mallory, town)
    await mallory.post("hub", mallory.activity("Create", case))
    await town.settle()

    async with town.hub.node.database.begin() as session:
        assert await let_go(session, case["id"])
        assert not await let_go(session, case["id"])

    assert await kept_out(town) == {}


async def test_a_node_keeps_no_such_list(town: Town, victim: Stranger) -> None:
    await victim.post("a", victim.activity("Create", a_document(victim, town)))
    await town.settle()

    async with town["a"].node.database.read() as session:
        assert await waiting(session) == []


async def test_the_list_of_members_is_signed_and_names_who_accepted(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    node = town["a"].node
    await town.befriend("a", "hub")

    async with town.visitor("hub", headers={"Accept": ACTIVITY_JSON}) as http:
        head = (await http.get("/actors/hub/members")).json()
        page = (await http.get(head["first"])).json()
        missing = [(await http.get(f"/actors/hub/members?page={n}")).status_code for n in ("2", "0", "x")]
        elsewhere = await http.get("/actors/state-fr/members")
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        on_a_node = await http.get("/actors/cases/members")

    keys, _ = await proving_keys(node, town.hub.settings.main_actor)
    assert all(isinstance(check(one, keys, now=town.clock.now()), Proven) for one in (head, page))
    assert not isinstance(check(page | {"orderedItems": []}, keys, now=town.clock.now()), Proven)
    assert head["totalItems"] == 1
    assert [(one["id"], one["type"]) for one in page["orderedItems"]] == [(victim.id, "Organization")]
    assert missing == [404, 404, 404]
    assert (elsewhere.status_code, on_a_node.status_code) == (404, 404)


async def test_a_long_list_has_pages(town: Town) -> None:
    node = town.hub.node
    items = [{"id": f"https://{number}.example/"} for number in range(PAGE + 1)]

    asked: list[tuple[int, int]] = []

    async def some(offset: int, limit: int) -> list[dict[str, str]]:
        asked.append((offset, limit))
        return items[offset : offset + limit]

    async def read(page: int | None) -> dict[str, object]:
        now = node.clock.now()
        return await signed_list(
            node.settings, node.keyring, "members", some, total=len(items), page=page, now=now
        )

    whole, first, second = await read(None), await read(1), await read(2)

    assert whole["totalItems"] == PAGE + 1
    assert first["orderedItems"] == items[:PAGE]
    assert first["next"] == second["id"]
    assert second["orderedItems"] == items[PAGE:]
    assert "next" not in second
    # No more of it is read for one than stands on it: each of a hub's members reads them all every hour.
    assert asked == [(0, PAGE), (PAGE, PAGE)]


async def found(town: Town) -> int:
    async with town.visitor("hub") as http:
        total: int = (await http.get("/api/v1/cases?q=accommodation")).json()["total"]
    return total


async def test_the_words_of_a_publisher_who_does_not_agree_are_not_searched(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    case = a_document(victim, town)
    await victim.post("hub", victim.activity("Create", case))
    await town.settle()
    silent = await found(town)
    counts = [silent]
    for number, agrees in enumerate((True, False), start=1):
        victim.documents["/users/cases"] = victim.actor(indexable=agrees)
        await victim.post("hub", victim.activity("Update", victim.actor(), number=number))
        await town.settle()
        counts.append(await found(town))

    assert await at_hub(town) is not None
    assert counts == [0, 1, 0]


async def test_whoever_says_otherwise_is_believed_without_having_sent_an_update_and_that_is_heeded_once(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands of cases none is looked through again with each that comes."""
    victim.documents["/users/cases"] = victim.actor(indexable=True)
    await admit(town, victim)
    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()
    counts, heeded = [await found(town)], []

    async def note(node: Node, actor: str) -> None:
        heeded.append(actor)
        await heed(node, actor)

    monkeypatch.setattr(chores, "heed", note)
    for number, agrees in enumerate((False, False, True), start=2):
        victim.documents["/users/cases"] = victim.actor(indexable=agrees)
        town.clock.forward(days=2)
        case = a_document(victim, town, f"c{number}")
        await victim.post("hub", victim.activity("Create", case, number=number))
        await town.settle()
        town.clock.forward(minutes=2)
        await town.settle()
        counts.append(await found(town))

    assert await at_hub(town, "c4") is not None
    assert counts == [1, 0, 0, 4]
    assert heeded == [victim.id, victim.id]


async def test_whoever_says_otherwise_while_their_cases_are_looked_through_is_believed(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked through some at a time: all of fifty thousand at once kept everybody waiting for a quarter of a minute."""
    victim.documents["/users/cases"] = victim.actor(indexable=True)
    await admit(town, victim)
    for number in range(1, 4):
        case = a_document(victim, town, f"c{number}")
        await victim.post("hub", victim.activity("Create", case, number=number))
    await town.settle()
    monkeypatch.setattr(searching, "AT_ONCE", 1)
    looked_at: list[int] = []

    async def changes_their_mind(session: AsyncSession, ids: Sequence[str], *, is_searched: bool) -> None:
        looked_at.append(len(ids))
        await set_searched(session, ids, is_searched=is_searched)
        actor = await session.get_one(RemoteActor, victim.id)
        actor.indexable = not is_searched

    async with town.hub.node.database.begin() as session:
        (await session.get_one(RemoteActor, victim.id)).indexable = False
    monkeypatch.setattr(searching, "set_searched", changes_their_mind)
    await heed(town.hub.node, victim.id)
    counts = [await found(town)]
    monkeypatch.setattr(searching, "set_searched", set_searched)
    await heed(town.hub.node, victim.id)
    counts.append(await found(town))

    assert looked_at == [1]
    assert counts == [2, 3]


async def test_another_key_under_the_same_id_is_asked_for_when_a_proof_does_not_hold_once_in_a_while(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    victim.ed25519 = ed25519_key("another")
    victim.documents["/users/cases"] = victim.actor()
    victim.asked.clear()

    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()
    at_once = await at_hub(town), victim.asked.count("/users/cases")
    town.clock.forward(minutes=5)
    for number in (2, 3):
        case = a_document(victim, town, f"c{number}")
        await victim.post("hub", victim.activity("Create", case, number=number))
        await town.settle()
    forged = a_document(victim, town, "c4") | {"name": "Something else"}
    await victim.post("hub", victim.activity("Create", forged, number=4))
    await town.settle()

    assert at_once == (None, 0)
    assert None not in (await at_hub(town, "c2"), await at_hub(town, "c3"))
    assert await at_hub(town, "c4") is None
    assert victim.asked.count("/users/cases") == 1


async def test_what_strangers_bring_makes_nobody_ask_for_keys_that_are_known(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    await admit(town, victim)
    victim.asked.clear()
    town.clock.forward(minutes=6)
    said = attach(
        victim.activity("Create", a_document(victim, town), published="2026-11-21T12:00:00Z"),
        victim.prover(),
        now=town.clock.now(),
    )

    await mallory.post("hub", said | {"summary": "forged"})
    await town.settle()

    assert await at_hub(town) is None
    assert victim.asked == []
