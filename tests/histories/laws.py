"""What holds after any history, once all that was cut is mended and nothing waits. Each failure begins with the number of its law in `LAWS`."""

import json
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from node.database import Row
from node.entries.entries import RESTING, SHOWN, Entry
from node.hub.announcing import announcers
from node.inbox.keeping import FORGET
from node.outbox import Job
from node.peers import witness
from node.peers.follows import Follow, between
from node.peers.hosts import Blocklist, Standing, standings
from node.peers.sending import FORGET_ANSWERS, Sent
from node.publishing.reactions import Reaction, shown_replies
from node.runtime import Node
from node.upkeep import forgetting, looking, rereading
from tests.histories.world import SAM, Case, World
from tests.rig.publications import publish_case
from vocab.cases import facets

LAWS = (
    "what was withdrawn is shown nowhere, and its words are in no row",
    "what is live is shown with its newest version by all who follow its publisher; a hub announced it once from each actor",
    "nothing is shown that its reader had no reason to hear",
    "nobody sent anything to whom they had shut out",
    "both ends agree who follows whom",
    "no job is dead but for a stated reason, none waits for ever, and what is done every day goes on",
    "what others said of a case counts as often as they say it",
    "each activity had its effect once",
)
# Seven days, and a few for what is done once a day.
PATIENCE = 11 * 86_400
DAY = timedelta(days=1)
EVERY_DAY = frozenset({FORGET, looking.KIND, forgetting.KIND, FORGET_ANSWERS})
# Why a delivery or an activity may be given up.
REASONS = ("the host is blocked", "403", "cannot be reached", "ConnectError")


async def check(world: World) -> None:
    """Raises AssertionError with the number of a law that does not hold."""
    await _moved_along(world)
    for name in world.sites:
        node = world.town[name].node
        await _withdrawn_is_nowhere(world, name, node)
        await _live_is_shown(world, name, node)
        if name in world.nodes:
            await _hub_is_read(world, name, node)
        await _jobs_ended(name, node)
        await _chores_go_on(world, name, node)
        await _rest_for_a_reason(world, name, node)
        await _once(world, name, node)
    await _follows_agree(world)
    await _reactions_count(world)
    _sam_was_told(world)
    await _sam_has_the_newest(world)
    await _followers_are_compared(world)


async def _withdrawn_is_nowhere(world: World, name: str, node: Node) -> None:
    words = {
        word: case
        for case in world.cases
        if not case.is_live and world.is_owed(name, case)
        for word in case.words
    }
    if not words:
        return
    for table, column, text in await _texts(node):
        for word, case in words.items():
            if word in text:
                raise AssertionError(f"(1) {name} keeps {word} of {case.url} in {table}.{column}")
    async with world.town.visitor(name) as http:
        for path in ("/api/v1/cases", "/feeds/cases.json"):
            page = (await http.get(path)).text
            assert not [word for word in words if word in page], (
                f"(1) {name} shows a withdrawn case at {path}"
            )


async def _texts(node: Node) -> list[tuple[str, str, str]]:
    found = []
    async with node.database.read() as session:
        for table in Row.metadata.sorted_tables:
            for row in (await session.execute(select(table))).mappings():
                for column, value in row.items():
                    if isinstance(value, bytes):
                        found.append((table.name, str(column), value.decode("utf-8", "replace")))
                    elif isinstance(value, dict | list):
                        found.append((table.name, str(column), json.dumps(value)))
                    elif isinstance(value, str):
                        found.append((table.name, str(column), value))
    return found


async def _live_is_shown(world: World, name: str, node: Node) -> None:
    async with node.database.read() as session:
        for case in world.cases:
            entry = await session.get(Entry, case.url)
            is_shown = entry is not None and entry.state in SHOWN
            if name == case.home:
                assert is_shown == case.is_live, (
                    f"(2) {name} has its own {case.url} as {entry and entry.state}"
                )
            elif world.is_owed(name, case) and not case.is_live:
                assert not is_shown, f"(1) {name} shows {case.url}"
            if name != case.home and case.home in world.shut[name]:
                assert not is_shown, f"(3) {name} has shut {case.home} out and shows {case.url}"
            if not case.is_live or not world.is_owed(name, case):
                continue
            shown = case.words[-1] in str(entry.fields) if entry is not None and is_shown else False
            pair = world.pairs[name, case.home]
            host = world.host(case.home)
            speaks = (await standings(session, node.settings, [host]))[host] is Standing.OPEN
            if name == case.home or (pair.is_wanted and speaks and await _both_agree(world, name, case.home)):
                assert shown, f"(2) {name} does not show {case.words[-1]} of {case.url}"
            if entry is not None and is_shown and name != case.home:
                _had_a_reason(world, name, case)
            if name in world.hubs and is_shown and entry is not None:
                told = Counter(
                    await session.scalars(
                        select(Sent.actor).where(
                            Sent.object_id == case.url,
                            Sent.type == "Announce",
                            Sent.wraps.is_(None),
                            Sent.is_public.is_(True),
                        )
                    )
                )
                wanted = Counter(actor.id for actor in announcers(node.settings, facets(entry.case())))
                if world.was_let_go(name, case.home) or (name, case.url) in world.let_in:
                    # Corrected since, it is announced by nobody who did not announce it before.
                    assert told <= wanted, f"(2) the hub announced {case.url}: {told}"
                    assert world.actor(name) in told, f"(2) the hub took back {case.url}"
                else:
                    assert told == wanted, f"(2) the hub announced {case.url}: {told}"
            if is_shown and speaks and not world.were_apart(name, case.home):
                assert shown, f"(2) {name} shows an older version than {case.words[-1]} of {case.url}"


async def _hub_is_read(world: World, name: str, node: Node) -> None:
    """(2) Who follows a hub has what it shows, in one version or another, where nobody concerned was away or shut out."""
    if name in world.was_away:
        return
    for hub in world.hubs:
        if not world.pairs[name, hub].is_wanted or not await _both_agree(world, name, hub):
            continue
        for case in world.cases:
            ways = ((name, hub), (name, case.home), (hub, case.home))
            if name == case.home or any(world.pairs[way].is_cut for way in ways):
                continue
            if {hub, case.home} & world.was_away or not world.is_owed(name, case):
                continue
            if not case.is_live or not await world.has_newest(hub, case):
                continue
            async with node.database.read() as session:
                hosts = [world.host(hub), world.host(case.home)]
                speak = set((await standings(session, node.settings, hosts)).values()) == {Standing.OPEN}
                entry = await session.get(Entry, case.url)
            assert entry is not None or not speak, f"(2) {name} follows {hub} and has not {case.url}"


async def _both_agree(world: World, follower: str, followed: str) -> bool:
    """Whether the follow stands at both ends, and nobody is shut out there."""
    for name in (follower, followed):
        async with world.town[name].node.database.read() as session:
            row = await between(session, world.actor(follower), world.actor(followed))
        if row is None or row.state != "accepted":
            return False
    return not world.is_shut(follower, followed)


def _had_a_reason(world: World, name: str, case: Case) -> None:
    """A hub hears its members; a node whom it follows, and what they pass on. What becomes of what is shown is heard from whoever it is."""
    made_at = case.times[0]
    heard = [world.pairs[name, case.home].heard_until]
    if name in world.nodes:
        heard += [pair.heard_until for (follower, _), pair in world.pairs.items() if follower == name]
        heard = [
            min(one, world.open_until[name, case.home])
            for one in heard
            if one is not None and (name, case.home) in world.open_until
        ]
    heard.append(world.let_in.get((name, case.url)))
    assert any(until is not None and until >= made_at for until in heard), (
        f"(3) {name} shows {case.url} of {made_at}"
    )


async def _jobs_ended(name: str, node: Node) -> None:
    async with node.database.read() as session:
        for job in await session.scalars(select(Job).where(Job.dead_at.is_not(None))):
            reason = job.last_reason or ""
            assert any(one in reason for one in REASONS), f"(6) {name}: {job.kind} {job.lane} ended: {reason}"


async def _chores_go_on(world: World, name: str, node: Node) -> None:
    """(6) What a server does of itself is due once more within a day, once for each day; so is what it does for each whom it follows.

    What was begun anew in between may be due on the day after the next: the two become one.
    """
    async with node.database.read() as session:
        waiting = list(await session.scalars(select(Job).where(Job.dead_at.is_(None))))
        lists = set(await session.scalars(select(Blocklist.url)))
        theirs = select(Follow.followed).where(
            Follow.follower == world.actor(name), Follow.state == "accepted"
        )
        followed = set(await session.scalars(theirs))
    chores = Counter(job.kind for job in waiting)
    wanted = EVERY_DAY if name in world.hubs else EVERY_DAY | {rereading.KIND}
    assert all(1 <= chores[kind] <= 2 for kind in wanted), f"(6) {name} has to do {chores}"
    read = Counter(str(job.payload["url"]) for job in waiting if job.kind == "refresh-blocklist")
    watched = Counter(str(job.payload["node"]) for job in waiting if job.kind == witness.KIND)
    members = {world.town[one].origin for one in world.sites if world.actor(one) in followed}
    assert lists <= read.keys(), f"(6) {name} follows {lists} and reads {read}"
    assert members <= watched.keys(), f"(6) {name} follows {members} and watches {watched}"
    assert all(n <= 2 for n in (read | watched).values()), f"(6) {name} reads {read}, watches {watched}"
    late = [job.kind for job in waiting if job.not_before < world.clock.now() - DAY]
    assert not late, f"(6) {name} has not done {late}"


async def _once(world: World, name: str, node: Node) -> None:
    async with node.database.read() as session:
        sent = list(await session.scalars(select(Sent).where(Sent.wraps.is_(None))))
        announced: dict[str, set[str]] = defaultdict(set)
        for one in sent:
            if one.type == "Announce":
                announced[one.object_id].add(one.id)
        for case in world.cases:
            about = Counter((one.actor, one.type) for one in sent if one.object_id == case.url)
            if name == case.home:
                main = world.actor(name)
                expected = {"Create": 1, "Update": len(case.words) - 1, "Delete": int(not case.is_live)}
                found = {kind: about[main, kind] for kind in expected}
                assert found == expected, f"(8) {name} said of {case.url} {found}"
            # A State's actor takes back what concerns it no more, and says it again when it does: it may say it once more than it undid.
            undid = Counter(
                one.actor for one in sent if one.type == "Undo" and one.object_id in announced[case.url]
            )
            for (actor, kind), n in about.items():
                often = 1 + (undid[actor] if "/actors/state-" in actor else 0)
                assert kind != "Announce" or n <= often, f"(8) {name}: {about}"
        every = set().union(*announced.values())
        undone = Counter(one.object_id for one in sent if one.type == "Undo" and one.object_id in every)
        assert all(n == 1 for n in undone.values()), f"(8) {name} undid {undone.most_common(1)}"


async def _rest_for_a_reason(world: World, name: str, node: Node) -> None:
    """(2) Cases of somebody who is followed, or that a hub announces which is, and whose host is not blocked, are shown."""
    async with node.database.read() as session:
        for entry in await session.scalars(select(Entry).where(Entry.state == RESTING)):
            home = world.home_of(entry.id)
            row = await between(session, world.actor(name), entry.actor)
            is_followed = row is not None and row.state == "accepted"
            assert home in world.shut[name] or not is_followed, f"(2) {name} lets {entry.id} rest"
            host = world.host(home)
            speaks = (await standings(session, node.settings, [host]))[host] is Standing.OPEN
            if not speaks or world.were_apart(name, home) or name in world.hubs:
                continue
            for hub in world.hubs:
                if not world.pairs[name, hub].is_wanted or not await _both_agree(world, name, hub):
                    continue
                is_announced = world.actor(hub) in await _announcers(world, hub, entry.id)
                is_heard = not world.were_apart(name, hub)
                assert not (is_announced and is_heard), (
                    f"(2) {name} lets {entry.id} rest, which {hub} announces"
                )


async def _announcers(world: World, hub: str, url: str) -> set[str]:
    announced = select(Sent.actor).where(Sent.object_id == url, Sent.type == "Announce", Sent.wraps.is_(None))
    async with world.town[hub].node.database.read() as session:
        return set(await session.scalars(announced.where(Sent.is_public.is_(True))))


async def _follows_agree(world: World) -> None:
    for (follower, followed), pair in list(world.pairs.items()):
        ends = {}
        for name in (follower, followed):
            if name == SAM:
                continue
            async with world.town[name].node.database.read() as session:
                row = await between(session, world.actor(follower), world.actor(followed))
                ends[name] = row.state if row is not None else None
        if pair.is_cut or followed == SAM:
            continue
        said = {name: state == "accepted" for name, state in ends.items()}
        assert set(said.values()) == {pair.is_wanted}, f"(5) {follower} follows {followed}: {ends}, {pair}"


async def _moved_along(world: World) -> None:
    """(5) Whoever followed a node that moved follows it where it is now, and has what it left behind (2)."""
    if not world.moves:
        return
    if await _left_behind(world):
        # Who did not hear of it finds it out when they look at those who are silent.
        await world.passes(PATIENCE)
    behind = await _left_behind(world)
    assert not behind, f"(5) they moved, and who follows them did not: {behind}"
    for name, url in world.had:
        case = next((one for one in world.cases if one.url == url), None)
        if case is None or not case.is_live or not world.is_owed(name, case):
            continue
        async with world.town[name].node.database.read() as session:
            entry = await session.get(Entry, url)
        state = entry.state if entry is not None else None
        assert state in SHOWN, f"(2) {name} has lost {url}: {state}"


async def _left_behind(world: World) -> list[tuple[str, list[str | None]]]:
    """Who was to follow one who moved to where it is, and how they follow the old and the new; of those who may speak with each other."""
    found = []
    for name, old, new in sorted(world.movers):
        if world.is_shut(name, old) or world.is_shut(name, new):
            continue
        node = world.town[name].node
        async with node.database.read() as session:
            hosts = [world.host(old), world.host(new)]
            standing = await standings(session, node.settings, hosts)
            rows = [await between(session, world.actor(name), world.actor(one)) for one in (old, new)]
        states = [row.state if row is not None else None for row in rows]
        is_open = all(one is Standing.OPEN for one in standing.values())
        if is_open and (states[0] == "accepted" or states[1] != "accepted"):
            found.append((f"{name}: {old}, {new}", states))
    return found


async def _followers_are_compared(world: World) -> None:
    """(5) Who is thought to follow and does not says so within a day after something public was sent to them (FEP-8fcf)."""
    if not await _imagined(world):
        return
    for _ in range(2):
        for name in world.nodes:
            await publish_case(world.town[name].node)
        await world.passes(26 * 3600)
    imagined = await _imagined(world)
    assert not imagined, f"(5) still thought to follow: {imagined}"


async def _imagined(world: World) -> list[tuple[str, str]]:
    """Who follows a node as that has it, and not as they have it themselves; of those who may speak with each other."""
    found = []
    for follower in world.sites:
        for followed in world.nodes:
            if follower == followed or world.is_shut(follower, followed):
                continue
            states = []
            for name in (follower, followed):
                async with world.town[name].node.database.read() as session:
                    row = await between(session, world.actor(follower), world.actor(followed))
                states.append(row.state if row is not None else None)
            if states[1] == "accepted" and states[0] != "accepted":
                found.append((follower, followed))
    return found


async def _reactions_count(world: World) -> None:
    for case in world.cases:
        if not case.is_live:
            continue
        node = world.town[case.home].node
        async with node.database.read() as session:
            his = select(Reaction.kind).where(Reaction.case_url == case.url, Reaction.actor == world.sam.id)
            counted = Counter(await session.scalars(his))
            shown = {one.id for one in await shown_replies(session, case.url)}
        for kind in ("like", "boost"):
            wanted = world.reactions.get((kind, case.url), False)
            if wanted is not None:
                assert counted.get(kind, 0) == wanted, f"(7) {case.url} has {counted} and not {wanted} {kind}"
        for kind in ("reply", "quote"):
            notes = {
                url: stands for (what, url), stands in world.reactions.items()
                if what == kind and world.notes[url] == case.url
            }  # fmt: skip
            least, most = (
                sum(one is True for one in notes.values()),
                sum(one is not False for one in notes.values()),
            )
            assert least <= counted.get(kind, 0) <= most, (
                f"(7) {case.url} has {counted}, {kind}: {least}..{most}"
            )
            gone = {url for url, stands in notes.items() if stands is False}
            assert not shown & gone, f"(7) {case.url} shows {shown & gone}"


def _sam_was_told(world: World) -> None:
    """(1) Whoever was sent the words, or fetched them, was told afterwards that they are withdrawn."""
    received = [json.dumps(one) for one in world.sam.received]
    for case in world.cases:
        if case.is_live or not world.is_owed(SAM, case):
            continue
        had = [n for n, body in enumerate(received) if any(word in body for word in case.words)]
        had += [n - 1 for url, n in world.fetched if url == case.url]
        told = [n for n, one in enumerate(world.sam.received) if _withdraws(one, case.url)]
        if had:
            assert told, f"(1) Sam was never told that {case.url} is withdrawn"
            assert max(told) > max(had), f"(1) Sam was sent words of {case.url} after its withdrawal"


async def _sam_has_the_newest(world: World) -> None:
    """(2) Whoever followed when the newest version was said has it, and has it last."""
    for case in world.cases:
        if not case.is_live or not world.is_owed(SAM, case) or world.pairs[SAM, case.home].is_cut:
            continue
        async with world.town[case.home].node.database.read() as session:
            row = await between(session, world.sam.id, world.actor(case.home))
        if row is None or row.state != "accepted" or row.changed_at >= case.times[-1]:
            continue
        told = [json.dumps(one) for one in world.sam.received if one["actor"] == world.actor(case.home)]
        told = [one for one in told if any(word in one for word in case.words)]
        assert told, f"(2) Sam was not told of {case.url}"
        assert case.words[-1] in told[-1], f"(2) Sam has an older version of {case.url}"


def _withdraws(said: dict[str, Any], url: str) -> bool:
    inner = said.get("object")
    if said["type"] == "Announce" and isinstance(inner, dict):
        return _withdraws(inner, url)
    return said["type"] == "Delete" and isinstance(inner, dict) and inner.get("id") == url
