"""Chores that nobody waits for: what is shown and searched is what was decided, what is old is dropped, the desk's log."""

import logging

from sqlalchemy import select

from node.effects.searching import heed
from node.entries.entries import IS_SHOWN, Entry, let_rest, shown_of
from node.inbox.keeping import forget_old, forget_tomorrow
from node.outbox import Done, Outcome, Turn
from node.peers.hosts import blocked
from node.runtime import Node

log = logging.getLogger(__name__)

AT_ONCE = 500


async def rest_cases(node: Node, job: Turn) -> Outcome:
    """Show nobody any more what comes from hosts that are shut out by now. Safe to repeat."""
    async with node.database.read() as session:
        # Ours among them, of which none is let rest.
        hosts = set(await session.scalars(select(Entry.host).where(IS_SHOWN).distinct()))
        shut = await blocked(session, hosts)
        ids = await shown_of(session, shut)
    # Some at a time: nobody else writes to SQLite meanwhile.
    for start in range(0, len(ids), AT_ONCE):
        async with node.database.begin() as session:
            # One of them may have been let in again.
            still = await blocked(session, shut)
            await let_rest(session, ids[start : start + AT_ONCE], hosts=still)
    if shut:
        log.info("cases.at-rest", extra={"hosts": len(shut)})
    return Done()


async def heed_searching(node: Node, job: Turn) -> Outcome:
    """Search the cases of an actor from now on, or no more, as it last said (FEP-5feb). Safe to repeat."""
    await heed(node, str(job.payload["actor"]))
    return Done()


async def forget_received(node: Node, job: Turn) -> Outcome:
    """Drop what tells repeats of last year's activities, day by day; and what was deleted since yesterday, wherever it still lies. Safe to
    repeat.
    """
    await forget_old(node)
    await node.database.cut_log()
    async with node.database.begin() as session:
        await forget_tomorrow(session, now=node.clock.now())
    return Done()


async def notify_desk(node: Node, job: Turn) -> Outcome:
    """Say in the log that alerts or answers came, once, when their day is over, and without a word about them: the desk shows them."""
    log.info("desk.alerts-waiting", extra={"day": job.payload.get("day")})
    return Done()
