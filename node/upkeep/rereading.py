"""Once a day, ask for replies that are shown here where they were written: what their author took back is shown no more, though no Delete came.

snac (2.75, 2.96) says to the author's followers alone that a note is deleted, and to nobody that an account is. What cannot be had just
now leaves all as it is. Words that changed come as an Update, which goes to whom they were written.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from random import SystemRandom

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FetchError, Mismatch, NotThere, Unreachable
from node import outbox
from node.errors import NotFound
from node.outbox import LEASE, Done, Outcome, Turn
from node.peers.actors import host_of
from node.publishing.reactions import Reaction, drop_reaction, find_reply, reply_changed
from node.runtime import Node
from vocab.errors import VocabError
from vocab.objects import read_object
from vocab.terms import PUBLIC

log = logging.getLogger(__name__)

KIND = "reread-replies"
MOST = 100
MOST_OF_A_HOST = 10
# With one more that never answers the job still ends before its lease does.
AT_MOST = LEASE / 3


async def reread_tomorrow(session: AsyncSession, *, now: datetime) -> None:
    """See to it that some are asked for again in a day; twice on one day is once."""
    await outbox.enqueue_tomorrow(session, KIND, now=now, at=now.time())


async def reread(node: Node, job: Turn) -> Outcome:
    """Ask for some of the replies that are shown, whichever, of one host not too many. Safe to repeat."""
    began = node.clock.now()
    async with node.database.read() as session:
        some = await _some(session)
    down: set[str] = set()
    for note in some:
        if node.clock.now() - began > AT_MOST:
            break
        if host_of(note) not in down and not await _reread(node, note):
            down.add(host_of(note))
    async with node.database.begin() as session:
        await reread_tomorrow(session, now=began)
    return Done()


async def _some(session: AsyncSession) -> Sequence[str]:
    shown = select(Reaction.id).where(Reaction.shown.is_(True))
    notes = list(await session.scalars(shown))
    # By chance: nobody has to remember who had their turn, and nobody stands before others every day.
    SystemRandom().shuffle(notes)
    of_host: dict[str, int] = {}
    some: list[str] = []
    for note in notes:
        host = host_of(note)
        of_host[host] = of_host.get(host, 0) + 1
        if of_host[host] <= MOST_OF_A_HOST:
            some.append(note)
    return some[:MOST]


async def _reread(node: Node, id: str) -> bool:
    """Show a reply no more that is not there, or not for everybody; False when its server cannot be asked just now.

    Gone for good (410), it goes here as with a Delete; else it waits for the desk anew.
    """
    try:
        # One address may be many requests: each that it leads to, in both dialects. Else the lease ends, and all are asked again at once.
        async with asyncio.timeout(AT_MOST.total_seconds()):
            reply, document = await find_reply(node, id)
    except (Unreachable, TimeoutError):
        return False
    except NotFound:
        return True
    except (NotThere, Mismatch) as error:
        await _take_back(node, id, is_gone=isinstance(error, NotThere) and error.gone, reason=str(error))
        return True
    except (FetchError, VocabError) as error:
        log.info("reply.unread", extra={"reason": type(error).__name__})
        return True
    item = read_object(document)
    if PUBLIC not in (*item.to, *item.cc):
        await _take_back(node, reply.id, is_gone=False, reason="not for everybody any more")
    return True


async def _take_back(node: Node, id: str, *, is_gone: bool, reason: str) -> None:
    log.info("reply.taken-back", extra={"host": host_of(id), "reason": reason})
    async with node.database.begin() as session:
        reply = await session.get(Reaction, id)
        if reply is None or not reply.shown:
            return
        if is_gone:
            await drop_reaction(session, id=id, actor=reply.actor)
        else:
            await reply_changed(session, id=id, actor=reply.actor)
