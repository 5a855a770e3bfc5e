"""Chores that nobody waits for: what is shown and searched is what was decided, what is old is dropped, the desk's log."""

import logging

from sqlalchemy import select

from node.entries.entries import SHOWN, Entry, let_rest, set_searched
from node.inbox.keeping import forget_old, forget_tomorrow
from node.outbox import Done, Outcome, Turn
from node.peers.actors import RemoteActor
from node.peers.hosts import blocked
from node.runtime import Node

log = logging.getLogger(__name__)


async def rest_cases(node: Node, job: Turn) -> Outcome:
    """Show nobody any more what comes from hosts that are shut out by now. Safe to repeat."""
    async with node.database.begin() as session:
        theirs = (Entry.own.is_(False), Entry.state.in_(SHOWN))
        hosts = set(await session.scalars(select(Entry.host).where(*theirs).distinct()))
        if shut := await blocked(session, hosts):
            await let_rest(session, shut)
            log.info("cases.at-rest", extra={"hosts": len(shut)})
    return Done()


async def heed_searching(node: Node, job: Turn) -> Outcome:
    """Search the cases of an actor from now on, or no more, as it last said (FEP-5feb). Safe to repeat."""
    async with node.database.begin() as session:
        actor = await session.get(RemoteActor, str(job.payload["actor"]))
        if actor is not None:
            await set_searched(session, actor.id, is_searched=actor.indexable)
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
