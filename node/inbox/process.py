"""What an activity means here: read at one edge, proven when it was not signed by its actor, dispatched by type."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FederationError, Unreachable
from node.inbox.forwarded import heard
from node.inbox.proving import RefusedActivity
from node.inbox.receive import Received, own_digest
from node.outbox import Dead, Done, Job, Outcome, Postponed
from node.peers.actors import host_of
from node.peers.hosts import Standing, blocked, standings
from node.runtime import Node
from vocab.activities import Activity, read_activity
from vocab.errors import VocabError
from vocab.jsonld import parse

log = logging.getLogger(__name__)

TRIES = 8
# What a limited host may do: follow, answer, leave, and take back what it said.
HARMLESS = frozenset({"Follow", "Accept", "Reject", "Undo", "Delete", "Block", "Move"})


Handler = Callable[[Node, Activity], Awaitable[None]]


async def process(node: Node, job: Job, handlers: Mapping[str, Handler]) -> Outcome:
    """Work off one received activity. Runs at least once; every handler may run twice.

    Its body is forgotten afterwards; its id stays, so that a repeat has no effect.
    """
    digest = bytes.fromhex(str(job.payload["digest"]))
    async with node.database.read() as session:
        received = await session.get(Received, digest)
    if received is None or received.body is None:
        return Done()
    worked_off: Activity | None = None
    try:
        activity = read_activity(parse(received.body))
        handler = handlers.get(activity.type)
        if handler is None:
            log.info("inbox.ignored", extra={"type": activity.type})
        else:
            await require_standing(node, activity, received.signer)
            if received.signer != activity.actor and await is_repeat(node, activity):
                raise RefusedActivity("a repeat of what was worked off before")
            told = await heard(node, activity, received.signer)
            await handler(node, told)
            # What was found at its author's server came perhaps under an invented id, which would shut out the real one.
            worked_off = activity if told.raw else None
    except (RefusedActivity, VocabError) as refusal:
        log.info("inbox.refused", extra={"reason": str(refusal), "activity": received.activity_id})
    except Unreachable as error:
        if job.attempts < TRIES:
            return Postponed(node.clock.now() + timedelta(seconds=30 * 2**job.attempts), str(error))
        return Dead(str(error))
    except FederationError as error:
        log.info("inbox.refused", extra={"reason": str(error), "activity": received.activity_id})
    async with node.database.begin() as session:
        row = await session.get(Received, digest)
        if row is not None:
            row.body = None
        if worked_off is not None:
            await remember_worked_off(
                session, worked_off, signer=received.signer, received_at=received.received_at
            )
    return Done()


async def remember_worked_off(
    session: AsyncSession, activity: Activity, *, signer: str, received_at: datetime
) -> None:
    """Whoever passes this activity on next brings a repeat, and so does its actor."""
    own = own_digest(activity.actor, activity.id)
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


async def require_standing(node: Node, activity: Activity, signer: str) -> None:
    """Raises RefusedActivity when one of the hosts concerned is shut out, or may not add anything here.

    The inbox has asked before, but a decision may have been made since; and what somebody passes on may be of a host that is blocked.
    """
    inner = activity.object or {}
    named = (activity.object_id, inner.get("attributedTo"), inner.get("inReplyTo"), activity.target)
    others = {host_of(url) for url in named if isinstance(url, str)} - {node.settings.authority}
    speakers = {host_of(activity.actor), host_of(signer)}
    async with node.database.read() as session:
        found = await standings(session, node.settings, speakers)
        shut = await blocked(session, others)
    if shut or Standing.SHUT in found.values():
        raise RefusedActivity("a host that is shut out")
    if activity.type not in HARMLESS and Standing.LIMITED in found.values():
        raise RefusedActivity("a host that may only follow")
