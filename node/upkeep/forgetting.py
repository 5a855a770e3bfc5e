"""Once a day, forget strangers: actors of other servers to whom nothing here refers, a month after their server last told of them.

Who only passed by (signed what has no effect here, took a like back, left) is not remembered for ever. Whoever writes again is asked
for again: what is forgotten here was a copy, and no key proves anything that is kept. Of their hosts nothing is kept but decisions.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from node import outbox
from node.entries.entries import Entry
from node.hub.quarantine import Waiting
from node.lanes import forget_lanes
from node.outbox import LEASE, Done, Outcome, Turn
from node.peers.actors import RemoteActor
from node.peers.follows import STANDING, Follow
from node.peers.habits import forget_hosts
from node.peers.hosts import Blocklist
from node.peers.network import NetworkMember
from node.peers.ours import Alias
from node.peers.synchronising import forget_told
from node.publishing.reactions import Reaction
from node.runtime import Node
from node.settings import Settings
from node.statements import among

log = logging.getLogger(__name__)

KIND = "forget-strangers"
# Longer than who moved must be known not to move again, and than a server is tried that does not answer.
FORGOTTEN_AFTER = timedelta(days=36)
AT_ONCE = 500
# Whoever is left waits until tomorrow; the job ends before its lease does.
AT_MOST = LEASE / 3

_IS_REFERRED_TO = or_(
    # Whom we asked is shown to people here, whatever became of it; who asked us and left is nobody.
    exists().where(Follow.followed == RemoteActor.id),
    # Their keys are asked for whenever a case changes, also for what was signed before they were retired; and what was withdrawn
    # says whose it was.
    exists().where(Entry.actor == RemoteActor.id),
    # They are told what becomes of a case that they answered, liked or passed on.
    exists().where(Reaction.actor == RemoteActor.id),
    exists().where(Waiting.actor == RemoteActor.id),
    exists().where(NetworkMember.actor == RemoteActor.id),
    exists().where(Blocklist.actor == RemoteActor.id),
    exists().where(Alias.other == RemoteActor.id),
)


async def forget_tomorrow(session: AsyncSession, *, now: datetime) -> None:
    """See to it that strangers are forgotten in a day; twice on one day is once."""
    await outbox.enqueue_tomorrow(session, KIND, now=now)


async def forget_strangers(node: Node, job: Turn) -> Outcome:
    """Forget actors, with their keys, to whom nothing refers and who were last read a month ago. Safe to repeat.

    Some at a time, so that nobody waits for it; whom it does not come to in its time waits until tomorrow.
    """
    began = node.clock.now()
    before = began - FORGOTTEN_AFTER
    last, forgotten = "", 0
    while node.clock.now() - began <= AT_MOST:
        async with node.database.read() as session:
            old = await _old(session, after=last, before=before)
        if not old:
            break
        last = old[-1]
        async with node.database.begin() as session:
            forgotten += await _forget(session, node.settings, old, before=before)
    if forgotten:
        log.info("actors.forgotten", extra={"count": forgotten})
    await _forget_hosts(node, began)
    async with node.database.begin() as session:
        await forget_tomorrow(session, now=node.clock.now())
    return Done()


async def _forget_hosts(node: Node, began: datetime) -> None:
    """Forget what is left of hosts of whom nobody is known: how they are spoken to, what they were told, and their empty lanes."""
    for forget in (
        partial(forget_told, limit=AT_ONCE, now=began),
        partial(forget_hosts, limit=AT_ONCE),
        partial(forget_lanes, limit=AT_ONCE),
    ):
        count = AT_ONCE
        while count == AT_ONCE and node.clock.now() - began <= 2 * AT_MOST:
            async with node.database.begin() as session:
                count = await forget(session)


async def _old(session: AsyncSession, *, after: str, before: datetime) -> Sequence[str]:
    """Actors who were last read before then, in the order of their addresses: each is looked at once in a run."""
    found = select(RemoteActor.id).where(RemoteActor.id > after, RemoteActor.fetched_at < before)
    return (await session.scalars(found.order_by(RemoteActor.id).limit(AT_ONCE))).all()


async def _forget(session: AsyncSession, settings: Settings, old: Sequence[str], *, before: datetime) -> int:
    """Forget those of them to whom nothing refers; returns how many. Asked in the statement that deletes: one may just have written."""
    hub = f"{settings.hub}/actors/hub"
    # Once for all of them: asked for each, SQLite reads all the follows of a hub each time, for most are of one actor.
    following = select(Follow.follower).where(among(Follow.follower, old), Follow.state.in_(STANDING))
    strangers = delete(RemoteActor).where(
        among(RemoteActor.id, old),
        RemoteActor.id != hub,
        RemoteActor.fetched_at < before,
        RemoteActor.id.not_in(following),
        ~_IS_REFERRED_TO,
    )
    strangers = strangers.execution_options(synchronize_session=False)
    gone = list(await session.scalars(strangers.returning(RemoteActor.id)))
    ended = delete(Follow).where(among(Follow.follower, gone), Follow.state.not_in(STANDING))
    await session.execute(ended.execution_options(synchronize_session=False))
    return len(gone)
