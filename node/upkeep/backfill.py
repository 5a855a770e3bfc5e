"""What was published while we did not listen: the outbox of whom we follow is read, and what is shown of others is asked for."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FetchError, Unreachable
from node.effects.process import TRIES, try_again_at
from node.effects.proving import is_followed
from node.entries.entries import RESTING, SHOWN, Entry, show_again
from node.hub.quarantine import waiting
from node.inbox.keeping import FORGET
from node.outbox import Done, Job, Outcome, Postponed, Turn, let_another_wait
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_actor
from node.peers.follows import Follow, ask_about, read_back
from node.peers.hosts import is_blocked
from node.runtime import Node
from node.upkeep.outboxes import MAX_CASES, Walk
from vocab.errors import VocabError

log = logging.getLogger(__name__)

# Five days less than what waits for a server is kept: it may have been failing before it was gone.
AWAY = timedelta(days=30)
AT_ONCE = 500


async def backfill(node: Node, job: Turn) -> Outcome:
    """Walk the outbox of an actor, oldest known page last, and take in each case that is there, or that a group announced. Safe to repeat.

    A case that is shown here and that the outbox does not name is asked about: its withdrawal may never have come, while its server was
    shut out or this one was away. At most MAX_CASES are asked for one by one, and fewer when one after the other is not there. What its
    server could not give just now is tried again later, and then what is here already is not asked for once more. What rested of theirs
    is shown again afterwards.
    """
    await _begin(node, job)
    if not await is_followed(node, str(job.payload["actor"])):
        # No more, since it was asked for.
        return Done()
    outcome = await _read_outbox(node, str(job.payload["actor"]), job)
    if isinstance(outcome, Done):
        await _wake(node, str(job.payload["actor"]))
    return outcome


async def _begin(node: Node, job: Turn) -> None:
    """What is decided while it reads asks for another reading; while it waits, and was not begun, it stands for that."""
    async with node.database.begin() as session:
        await let_another_wait(session, job)


async def _wake(node: Node, actor_id: str) -> None:
    """Show again what rested of an actor, some at a time: nobody else writes to SQLite meanwhile."""
    count = AT_ONCE
    while count == AT_ONCE:
        async with node.database.begin() as session:
            if await is_blocked(session, host_of(actor_id)):
                return
            count = await show_again(session, actor_id, limit=AT_ONCE)


async def _read_outbox(node: Node, actor_id: str, job: Turn) -> Done | Postponed:
    async with node.database.read() as session:
        actor = await session.scalar(select(RemoteActor).where(RemoteActor.id == actor_id))
        kept_out = [case.id for case in await waiting(session, actor=actor_id)]
        theirs = select(Entry.id).where(Entry.actor == actor_id, Entry.own.is_(False))
        shown = list(
            await session.scalars(
                theirs.where(Entry.state.in_((*SHOWN, RESTING))).order_by(Entry.published_at)
            )
        )
    if actor is None or actor.outbox is None or host_of(actor.outbox) != actor.host:
        return Done()
    with suppress(FetchError):
        # With its keys as they are now many cases are read at once.
        await find_actor(node, actor.id)
    # A hub keeps its members' cases only; others read what their hub reads.
    is_group = actor.type == "Group" and not node.settings.is_hub
    walk = Walk(node, actor.host, actor.id, is_group=is_group, is_repeated=job.attempts > 0)
    try:
        for url in kept_out:
            await walk.take(url)
        await walk.through(actor.outbox)
        await walk.ask_behind()
        for url in shown:
            if url not in walk.named and not walk.is_over:
                await walk.take(url, again=True)
    except Unreachable as error:
        walk.passing = error
    except (FetchError, VocabError) as error:
        log.info("backfill.ended", extra={"host": actor.host, "reason": str(error)})
    return _ended(node, job, walk)


async def ask_again(node: Node, job: Turn) -> Outcome:
    """Ask whether each case still stands that is shown here, at home on that host, and of nobody whom we follow. Safe to repeat.

    After a thousand of them others have their turn, and then the rest is asked about. Its withdrawal may have come after the backup that
    this server was restored from, or while it was away; so may a correction.
    """
    host, after = str(job.payload["host"]), str(job.payload.get("after", ""))
    await _begin(node, job)
    async with node.database.read() as session:
        followed = select(Follow.followed).where(
            Follow.follower == node.settings.main_actor, Follow.state == "accepted"
        )
        theirs = select(Entry.id).where(Entry.host == host, Entry.own.is_(False))
        theirs = theirs.where(Entry.state.in_((*SHOWN, RESTING)))
        theirs = theirs.where(Entry.actor.not_in(followed), Entry.id > after).order_by(Entry.id)
        shown = list(await session.scalars(theirs.limit(MAX_CASES)))
    walk = Walk(node, host, is_repeated=job.attempts > 0)
    try:
        for url in shown:
            if not walk.is_over:
                await walk.take(url, again=True)
    except Unreachable as error:
        walk.passing = error
    outcome = _ended(node, job, walk)
    if isinstance(outcome, Done) and walk.asked >= MAX_CASES:
        async with node.database.begin() as session:
            await ask_about(session, host, after=shown[-1], now=node.clock.now())
    return outcome


async def read_all_back(session: AsyncSession, *, now: datetime) -> None:
    """Read whoever is followed anew, and ask whether what is shown of others still stands: what they said since is lost."""
    followed = select(Follow.followed).where(Follow.state == "accepted")
    known = followed.join(RemoteActor, RemoteActor.id == Follow.followed).distinct()
    await read_back(session, *await session.scalars(known), now=now)
    shown = select(Entry.host).where(Entry.own.is_(False), Entry.state.in_((*SHOWN, RESTING)))
    await ask_about(session, *await session.scalars(shown.distinct()), now=now)


async def catch_up(session: AsyncSession, *, now: datetime) -> None:
    """Read all back when this server was away for so long that others may have given it up: what waited for it is not sent any more."""
    # Done every day: what is due for long tells since when nobody worked here.
    due = select(func.min(Job.not_before)).where(Job.kind == FORGET, Job.dead_at.is_(None))
    since = await session.scalar(due)
    if since is not None and now - since >= AWAY:
        log.info("backfill.was-away", extra={"since": since.date().isoformat()})
        await read_all_back(session, now=now)


def _ended(node: Node, job: Turn, walk: Walk) -> Done | Postponed:
    if walk.passing is None:
        return Done()
    if job.attempts >= TRIES:
        # Not dead: that would stand in the way of reading this outbox when it is followed anew.
        log.info("backfill.ended", extra={"host": walk.host, "reason": str(walk.passing)})
        return Done()
    return Postponed(try_again_at(walk.passing, job.attempts, now=node.clock.now()), str(walk.passing))
