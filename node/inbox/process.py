"""What an activity means here: read at one edge, proven when it was not signed by its actor, dispatched by type."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from federation import proofs
from federation.errors import FederationError, NotThere, Unreachable
from federation.requests import Refused
from node.inbox.receive import Received
from node.outbox import Dead, Done, Job, Outcome, Postponed
from node.peers.directory import find_actor, verifying_keys
from node.runtime import Node
from vocab.activities import Activity, read_activity
from vocab.errors import VocabError
from vocab.jsonld import parse

log = logging.getLogger(__name__)

TRIES = 8


class RefusedActivity(Exception):
    """An activity that is not taken; the reason is for the log."""


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
    try:
        activity = read_activity(parse(received.body))
        handler = handlers.get(activity.type)
        if handler is None:
            log.info("inbox.ignored", extra={"type": activity.type})
        else:
            await handler(node, await _authorised(node, activity, received.signer))
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
    return Done()


async def _authorised(node: Node, activity: Activity, signer: str) -> Activity:
    """The activity when its signer is its actor; else what the actor's own proof on it holds for. Raises RefusedActivity."""
    if activity.actor == signer:
        return activity
    try:
        await find_actor(node, activity.actor, max_age=timedelta(days=7))
    except NotThere as error:
        raise RefusedActivity("forwarded for an actor that is not there") from error
    return read_activity((await prove(node, activity.raw, activity.actor)).document)


async def prove(node: Node, document: Mapping[str, object], owner: str) -> proofs.Proven:
    """What the owner's own proof holds for: use that, never the document as it came. Raises RefusedActivity."""
    keys = await verifying_keys(node, owner)
    outcome = proofs.check(document, keys, now=node.clock.now())
    if isinstance(outcome, Refused):
        raise RefusedActivity(f"proof: {outcome.reason}")
    return outcome
