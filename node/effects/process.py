"""What an activity means here: read at one edge, proven when it was not signed by its actor, dispatched by type."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FederationError, Unavailable, Unreachable
from node.database import is_unstorable
from node.effects.cases import Member, members_among, read_plain
from node.effects.forwarded import heard
from node.effects.proving import RefusedActivity
from node.entries.entries import is_shown
from node.hub.aggregate import Brought, make_ready, take_in
from node.inbox.envelopes import DONE_AGAIN
from node.inbox.keeping import EMPTIED, KEEP, Received, lane_of, own_digest
from node.outbox import Dead, Done, Moved, Outcome, Postponed, Settlement, Turn
from node.peers.actors import host_of
from node.peers.hosts import Standing, blocked, limited, standings
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity, read_activity
from vocab.errors import VocabError
from vocab.jsonld import parse

log = logging.getLogger(__name__)

TRIES = 8
# As long as the longest pause of our own: who wishes for more is asked all the same.
LONGEST_WAIT = timedelta(hours=2)
LONGEST_REASON = 200
# Bodies up to that size are read many at once; a larger one when its turn comes.
READ_TOGETHER = 64 * 1024
# What a limited host may do: follow, answer, leave, and take back what it said. Whom only the mode limits may correct it, too.
HARMLESS = frozenset({"Follow", "Accept", "Reject", "Undo", "Delete", "Block"})


Handler = Callable[[Node, Activity], Awaitable[None]]


@dataclass(slots=True)
class Line:
    """What was done of one lane since its arrivals were read.

    is_unsettled  something is to be kept yet; what goes the ordinary way must not overtake it.
    is_changed    something went the ordinary way: what was read may be so no more.
    """

    is_unsettled: bool = False
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What a job leaves to be kept together with what others leave."""

    brought: Sequence[Brought]
    is_remembered: bool


@dataclass(slots=True)
class Arrival:
    """An activity that was kept and not yet worked off.

    body       None when it is too large to be read with others, or was read: it is not held for longer.
    standings  what the hosts of its actor and its signer may do here.
    members    those whom we follow, of the actors of all that was read together; none when it is to be worked off by itself.
    left       what it leaves when its job ends.
    """

    digest: bytes
    activity_id: str
    actor: str
    signer: str
    received_at: datetime
    body: bytes | None
    standings: Mapping[str, Standing]
    members: Mapping[str, Member]
    line: Line
    left: Left | None = None


_RECEIVED = Received.__table__.c
# Built once, as what it leads to.
_ARRIVED = select(
    _RECEIVED.digest,
    _RECEIVED.activity_id,
    _RECEIVED.actor,
    _RECEIVED.signer,
    _RECEIVED.received_at,
    case((func.length(_RECEIVED.body) <= READ_TOGETHER, _RECEIVED.body)).label("body"),
).where(_RECEIVED.digest.in_(bindparam("digests", expanding=True)), _RECEIVED.body.is_not(None))


_FORGET = (
    update(Received.__table__)  # type: ignore[arg-type]  # a table, as mapped
    .where(_RECEIVED.digest.in_(bindparam("digests", expanding=True)))
    .values(**EMPTIED)
)


async def prepare_arrivals(node: Node, jobs: Sequence[Turn]) -> dict[int, Arrival]:
    """Read for many jobs at once what each of them needs; what was worked off already gets none."""
    wanted: dict[bytes, Turn] = {}
    for job in jobs:
        # Of several for one activity the first counts: what was said after it is not to be overtaken by a repeat of it.
        wanted.setdefault(bytes.fromhex(str(job.payload["digest"])), job)
    async with node.database.read() as session:
        rows = await (await session.connection()).execute(_ARRIVED, {"digests": list(wanted)})
        found = rows.all()
        hosts = {host_of(url) for row in found for url in (row.actor, row.signer)}
        known = await standings(session, node.settings, hosts)
        own = {row.actor for row in found if row.actor == row.signer and row.body is not None}
        members = await members_among(session, node.settings, own)
    lines = {job.lane: Line() for job in jobs}
    return {
        job.seq: Arrival(*row, standings=known, members=members, line=lines[job.lane])
        for row in found
        if (job := wanted[row.digest])
    }


def apart(arrival: Arrival | None) -> Arrival | None:
    """The same, to be worked off by itself, where it left something: it leaves nothing then."""
    if arrival is None or arrival.left is None:
        return arrival
    return replace(arrival, members={}, line=Line(), left=None)


async def settle_arrivals(node: Node, arrivals: Sequence[Arrival | None]) -> Settlement:
    """Make ready what was left to be kept, in the order in which it came; then keep it, and tell how much that was.

    Of what was worked off, or given up, only the digest stays, so that a repeat has no effect.
    """
    ended = [arrival for arrival in arrivals if arrival is not None]
    left = [(arrival, arrival.left) for arrival in ended if arrival.left is not None]
    ready = await make_ready(node, [one for _, some in left for one in some.brought])
    remembered = [
        _own_row(arrival.actor, arrival.activity_id, arrival.received_at)
        for arrival, some in left
        if some.is_remembered
    ]

    many = sum(one.deliveries for one in ready)

    async def settle(session: AsyncSession) -> int:
        await take_in(session, ready, now=node.clock.now())
        await KEEP.run(session, remembered)
        digests = [arrival.digest for arrival in ended]
        await (await session.connection()).execute(_FORGET, {"digests": digests})
        return len(left) + many

    return settle


async def process(
    node: Node, job: Turn, arrival: Arrival | None, *, handlers: Mapping[str, Handler]
) -> Outcome | None:
    """Work off one received activity; None when what was left before it is to be kept first.

    Runs at least once; every handler may run twice.
    """
    if arrival is None:
        return Done()
    body, arrival.body = arrival.body, None
    try:
        document = parse(body or await _body(node, arrival.digest))
        activity = read_activity(document, nameless=arrival.activity_id, signer=arrival.signer)
        if (activity.id, activity.actor) != (arrival.activity_id, arrival.actor):
            raise RefusedActivity("read otherwise at the door")
        handler = handlers.get(activity.type)
        if handler is None:
            log.info("inbox.ignored", extra={"type": activity.type})
            return Done()
        await require_standing(node, activity, arrival.signer, known=arrival.standings)
        if body is not None and _leave(node, activity, arrival):
            # Others have their turn between one case and the next.
            await asyncio.sleep(0)
            return Done()
        if arrival.line.is_unsettled:
            return None
        arrival.line.is_changed = True
        if arrival.signer == activity.actor:
            await handler(node, activity)
            if activity.type in DONE_AGAIN:
                await remember_worked_off(node, activity, received_at=arrival.received_at)
            return Done()
        if await is_repeat(node, activity):
            raise RefusedActivity("a repeat of what was worked off before")
        told = await heard(node, activity, arrival.signer)
        # What it names was perhaps not so in the tree that came.
        await require_standing(node, told, arrival.signer, known=arrival.standings)
        await handler(node, told)
        if told.raw:
            await remember_worked_off(node, activity, received_at=arrival.received_at)
        # Else it was found at its author's server, perhaps under an invented id, which would shut out the real one.
    except (RefusedActivity, VocabError) as refusal:
        _say_refused(arrival, str(refusal))
    except DBAPIError as error:
        if not is_unstorable(error):
            raise
        _say_refused(arrival, "not stored")
    except Unreachable as error:
        if job.attempts >= TRIES:
            return Dead(str(error))
        until = try_again_at(error, job.attempts, now=node.clock.now())
        waiting_for = host_of(error.url) if error.url else ""
        # A host that answers for one address that it cannot is there for others: that one waits beside, also when it is the signer's.
        lane = lane_of(arrival.signer, waiting_for=waiting_for, is_beside=isinstance(error, Unavailable))
        # A third host that is down delays what needs it, and nothing else of this signer.
        return Postponed(until, str(error)) if lane == job.lane else Moved(lane, until, str(error))
    except FederationError as error:
        _say_refused(arrival, str(error))
    return Done()


def _say_refused(arrival: Arrival, reason: str) -> None:
    # The host alone: the id of an activity names the person whose it is. And no more of what they wrote than tells what it was.
    log.info("inbox.refused", extra={"reason": reason[:LONGEST_REASON], "host": host_of(arrival.activity_id)})


def try_again_at(error: Unreachable, attempts: int, *, now: datetime) -> datetime:
    """When what failed so is tried again: later each time, and not before the other server wishes, within limits."""
    backoff = now + timedelta(seconds=30 * 2**attempts)
    wish = error.retry_at if isinstance(error, Unavailable) else None
    return max(backoff, min(wish or now, now + LONGEST_WAIT))


async def _body(node: Node, digest: bytes) -> bytes:
    async with node.database.read() as session:
        return await session.scalar(select(Received.body).where(Received.digest == digest)) or b""


def _leave(node: Node, activity: Activity, arrival: Arrival) -> bool:
    """Whether it is a plain case, which is kept together with others when the job ends. Raises VocabError."""
    if arrival.signer != activity.actor or not arrival.members or arrival.line.is_changed:
        return False
    brought = read_plain(node.settings, activity, arrival.members, now=node.clock.now())
    if brought is None:
        return False
    arrival.left = Left(brought, activity.type in DONE_AGAIN)
    arrival.line.is_unsettled = True
    return True


async def remember_worked_off(node: Node, activity: Activity, *, received_at: datetime) -> None:
    """Whoever passes this activity on next brings a repeat, and so does its actor unless they do it again."""
    async with node.database.begin() as session:
        await KEEP.run(session, [_own_row(activity.actor, activity.id, received_at)])


def _own_row(actor: str, activity_id: str, received_at: datetime) -> dict[str, Any]:
    return {**EMPTIED, "digest": own_digest(actor, activity_id), "received_at": received_at}


async def is_repeat(node: Node, activity: Activity) -> bool:
    """True when this activity was worked off before, from its actor or on its proof. Its actor could take it back since."""
    async with node.database.read() as session:
        known = await session.get(Received, own_digest(activity.actor, activity.id))
    return known is not None and known.body is None


async def require_standing(
    node: Node, activity: Activity, signer: str, *, known: Mapping[str, Standing] | None = None
) -> None:
    """Raises RefusedActivity when one of the hosts concerned is shut out, or may not add anything here.

    The inbox has asked before, but a decision may have been made since; and what somebody passes on may be of a host that is blocked.

    known  what was read a moment ago of the hosts of actor and signer.
    """
    inner = activity.object or {}
    named = {*properties.iris(inner, "attributedTo"), *properties.iris(inner, "inReplyTo")}
    named |= {url for url in (activity.object_id, activity.target) if url is not None}
    speakers = {host_of(activity.actor), host_of(signer)}
    others = {host_of(url) for url in named} - {node.settings.authority} - speakers
    found, shut = known or {}, set[str]()
    if others or not speakers <= found.keys():
        async with node.database.read() as session:
            if not speakers <= found.keys():
                found = await standings(session, node.settings, speakers)
            shut = await blocked(session, others)
    if shut or any(found[host] is Standing.SHUT for host in speakers):
        raise RefusedActivity("a host that is shut out")
    is_limited = any(found[host] is Standing.LIMITED for host in speakers)
    if is_limited and activity.type not in HARMLESS and not await _corrects(node, activity, speakers):
        raise RefusedActivity("a host that may only follow")


async def _corrects(node: Node, activity: Activity, speakers: Collection[str]) -> bool:
    """Whether it changes a case of its actor's that is shown here, and nobody decided that they add nothing: the mode alone says so."""
    if activity.type != "Update":
        return False
    async with node.database.read() as session:
        is_theirs = await is_shown(session, activity.object_id, actor=activity.actor)
        return is_theirs and not await limited(session, speakers)
