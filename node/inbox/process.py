"""What an activity means here: read at one edge, proven when it was not signed by its actor, dispatched by type."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FederationError, Unreachable
from node.database import is_unstorable
from node.inbox.forwarded import heard
from node.inbox.proving import RefusedActivity
from node.inbox.receive import DONE_AGAIN, Received, lane_of, own_digest
from node.outbox import Dead, Done, Moved, Outcome, Postponed, Turn
from node.peers.actors import host_of
from node.peers.hosts import Standing, blocked, standings
from node.runtime import Node
from vocab.activities import Activity, read_activity
from vocab.errors import VocabError
from vocab.jsonld import parse

log = logging.getLogger(__name__)

TRIES = 8
# Bodies up to that size are read many at once; a larger one when its turn comes.
READ_TOGETHER = 64 * 1024
# What a limited host may do: follow, answer, leave, and take back what it said.
HARMLESS = frozenset({"Follow", "Accept", "Reject", "Undo", "Delete", "Block", "Move"})


Handler = Callable[[Node, Activity], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An activity that was kept and not yet worked off.

    body       None when it is too large to be read with others.
    standings  what the hosts of its actor and its signer may do here.
    """

    digest: bytes
    activity_id: str
    actor: str
    signer: str
    received_at: datetime
    body: bytes | None
    standings: Mapping[str, Standing]


async def prepare_arrivals(node: Node, session: AsyncSession, jobs: Sequence[Turn]) -> dict[int, Arrival]:
    """Read for many jobs at once what each of them needs; what was worked off already gets none."""
    wanted = {bytes.fromhex(str(job.payload["digest"])): job.seq for job in jobs}
    kept = Received.__table__.c
    rows = await session.execute(
        select(
            kept.digest,
            kept.activity_id,
            kept.actor,
            kept.signer,
            kept.received_at,
            case((func.length(kept.body) <= READ_TOGETHER, kept.body)).label("body"),
        ).where(kept.digest.in_(wanted), kept.body.is_not(None))
    )
    found = rows.all()
    hosts = {host_of(url) for row in found for url in (row.actor, row.signer)}
    known = await standings(session, node.settings, hosts)
    return {wanted[row.digest]: Arrival(*row, standings=known) for row in found}


async def forget_bodies(session: AsyncSession, arrivals: Sequence[Arrival | None]) -> None:
    """Of what was worked off only the id stays, so that a repeat has no effect."""
    digests = [arrival.digest for arrival in arrivals if arrival is not None]
    await session.execute(
        update(Received)
        .where(Received.digest.in_(digests))
        .values(body=None)
        .execution_options(synchronize_session=False)
    )


async def process(
    node: Node, job: Turn, arrival: Arrival | None, *, handlers: Mapping[str, Handler]
) -> Outcome:
    """Work off one received activity. Runs at least once; every handler may run twice."""
    if arrival is None:
        return Done()
    try:
        activity = read_activity(parse(arrival.body or await _body(node, arrival.digest)))
        if (activity.id, activity.actor) != (arrival.activity_id, arrival.actor):
            raise RefusedActivity("read otherwise at the door")
        handler = handlers.get(activity.type)
        if handler is None:
            log.info("inbox.ignored", extra={"type": activity.type})
            return Done()
        await require_standing(node, activity, arrival.signer, known=arrival.standings)
        if arrival.signer == activity.actor:
            await handler(node, activity)
            if activity.type in DONE_AGAIN:
                await remember_worked_off(
                    node, activity, signer=arrival.signer, received_at=arrival.received_at
                )
            return Done()
        if await is_repeat(node, activity):
            raise RefusedActivity("a repeat of what was worked off before")
        told = await heard(node, activity, arrival.signer)
        await handler(node, told)
        if told.raw:
            await remember_worked_off(node, activity, signer=arrival.signer, received_at=arrival.received_at)
        # Else it was found at its author's server, perhaps under an invented id, which would shut out the real one.
    except (RefusedActivity, VocabError) as refusal:
        log.info("inbox.refused", extra={"reason": str(refusal), "activity": arrival.activity_id})
    except DBAPIError as error:
        if not is_unstorable(error):
            raise
        log.info("inbox.refused", extra={"reason": "not stored", "activity": arrival.activity_id})
    except Unreachable as error:
        if job.attempts >= TRIES:
            return Dead(str(error))
        until = node.clock.now() + timedelta(seconds=30 * 2**job.attempts)
        lane = lane_of(arrival.signer, waiting_for=host_of(error.url) if error.url else "")
        # A third host that is down delays what needs it, and nothing else of this signer.
        return Postponed(until, str(error)) if lane == job.lane else Moved(lane, until, str(error))
    except FederationError as error:
        log.info("inbox.refused", extra={"reason": str(error), "activity": arrival.activity_id})
    return Done()


async def _body(node: Node, digest: bytes) -> bytes:
    async with node.database.read() as session:
        return await session.scalar(select(Received.body).where(Received.digest == digest)) or b""


async def remember_worked_off(node: Node, activity: Activity, *, signer: str, received_at: datetime) -> None:
    """Whoever passes this activity on next brings a repeat, and so does its actor unless they do it again."""
    own = own_digest(activity.actor, activity.id)
    async with node.database.begin() as session:
        if await session.get(Received, own) is None:
            session.add(
                Received(
                    digest=own,
                    activity_id=activity.id,
                    actor=activity.actor,
                    signer=signer,
                    body=None,
                    received_at=received_at,
                )
            )


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
    named = (activity.object_id, inner.get("attributedTo"), inner.get("inReplyTo"), activity.target)
    speakers = {host_of(activity.actor), host_of(signer)}
    others = {host_of(url) for url in named if isinstance(url, str)} - {node.settings.authority} - speakers
    found, shut = known or {}, set[str]()
    if others or not speakers <= found.keys():
        async with node.database.read() as session:
            if not speakers <= found.keys():
                found = await standings(session, node.settings, speakers)
            shut = await blocked(session, others)
    if shut or any(found[host] is Standing.SHUT for host in speakers):
        raise RefusedActivity("a host that is shut out")
    if activity.type not in HARMLESS and any(found[host] is Standing.LIMITED for host in speakers):
        raise RefusedActivity("a host that may only follow")
