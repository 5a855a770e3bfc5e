"""Work that follows from what sources send: forget the parts of files that no alert claimed, and old hours of urgent alerts."""

import logging

from node.intake import duty
from node.intake.uploads import forget_unclaimed
from node.outbox import Done, Outcome, Turn
from node.runtime import Node

log = logging.getLogger(__name__)


async def purge_uploads(node: Node, job: Turn) -> Outcome:
    """Drop unclaimed parts of an earlier day and their bytes. Safe to repeat."""
    async with node.database.begin() as session:
        blobs = await forget_unclaimed(session, now=node.clock.now())
    for name in blobs:
        await node.blobs.delete(name)
    if blobs:
        log.info("uploads.purged", extra={"parts": len(blobs)})
    return Done()


async def forget_duties(node: Node, job: Turn) -> Outcome:
    """Drop what is known of urgent alerts of more than ninety days ago. Safe to repeat."""
    async with node.database.begin() as session:
        await duty.forget_old(session, now=node.clock.now())
    return Done()
