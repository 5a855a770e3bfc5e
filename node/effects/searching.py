"""Whether the words of a publisher's cases are searched here, as they last said (FEP-5feb): heeded in what is here already."""

from sqlalchemy import select

from node.entries.entries import searched_otherwise, set_searched
from node.peers.actors import RemoteActor
from node.runtime import Node

# Each is read whole, and nobody else writes to SQLite meanwhile.
AT_ONCE = 100


async def heed(node: Node, actor_id: str) -> None:
    """Search the cases of an actor from now on, or no more, as it last said. Safe to repeat.

    Some at a time: a publisher may have tens of thousands, and others are to be heard and answered meanwhile.
    """
    indexable = select(RemoteActor.indexable).where(RemoteActor.id == actor_id)
    async with node.database.read() as session:
        agrees = await session.scalar(indexable)
        ids = [] if agrees is None else await searched_otherwise(session, actor_id, is_searched=agrees)
    for start in range(0, len(ids), AT_ONCE):
        async with node.database.begin() as session:
            if await session.scalar(indexable) is not agrees:
                # They have said otherwise since, which is heeded by itself.
                return
            await set_searched(session, ids[start : start + AT_ONCE], is_searched=bool(agrees))
