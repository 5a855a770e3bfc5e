"""The organisations of the network as the hub names them: a node reads the signed list of its hub's members every hour.

What the list says is shown to people who look for an organisation near them, so it has to be the hub's own: an unproven list
changes nothing. It gives nobody any right here; whom this server follows, and who may write to it, stays with its people.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.errors import FederationError, Mismatch
from node import outbox
from node.database import Row
from node.outbox import Done, Outcome, Turn
from node.peers.actors import host_of
from node.peers.lists import read_list
from node.runtime import Node
from vocab.actors import read_states
from vocab.properties import iri, is_http, legible, objects, text

log = logging.getLogger(__name__)

KIND = "read-members"
EVERY = timedelta(hours=1)
SOON = timedelta(minutes=1)
MOST = 5_000
LONGEST_NAME = 300
LONGEST_HOST = 300


class NetworkMember(Row):
    """A member of the hub, as the hub's list last named it.

    states  codes of the States in which it says it works, with a space between them.
    """

    __tablename__ = "network_members"

    actor: Mapped[str] = mapped_column(String(600), primary_key=True)
    host: Mapped[str] = mapped_column(String(LONGEST_HOST), index=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    states: Mapped[str] = mapped_column(String(300))


async def begin_reading(session: AsyncSession, hub: str, *, now: datetime) -> None:
    """Read the list of this hub now, and from then on every hour; without a hub, forget what an earlier one said."""
    if hub:
        await _ask(session, hub, due=now, now=now)
    else:
        await session.execute(delete(NetworkMember))


async def hub_follows(session: AsyncSession, hub: str, *, now: datetime) -> None:
    """The hub asks to follow us, so its list will name us, and others who join with us: read it when our answer has arrived."""
    await _ask(session, hub, due=now + SOON, now=now)


async def read_members(node: Node, job: Turn) -> Outcome:
    """Read the list anew, and again in an hour. One that cannot be read or proven leaves what stood there last. Safe to repeat."""
    hub, now = str(job.payload["hub"]), node.clock.now()
    if hub != node.settings.hub:
        return Done()
    members: list[NetworkMember] | None = None
    try:
        members = await _members(node, hub)
    except FederationError as error:
        log.warning("members.unread", extra={"host": host_of(hub), "reason": str(error)})
    async with node.database.begin() as session:
        if members is not None:
            await session.execute(delete(NetworkMember))
            session.add_all(members)
        await _ask(session, hub, due=now + EVERY, now=now)
    return Done()


async def network_members(session: AsyncSession) -> list[tuple[str, str, str]]:
    """Whom the hub names, as far as this server knows: host, name, and the codes of their States with a space between them."""
    named = select(NetworkMember.host, NetworkMember.name, NetworkMember.states)
    return [(row[0], row[1], row[2]) for row in await session.execute(named.order_by(NetworkMember.actor))]


async def _members(node: Node, hub: str) -> list[NetworkMember]:
    actor = f"{hub}/actors/hub"
    owner, pages = await read_list(node, f"{actor}/members")
    if owner != actor:
        raise Mismatch("a list of somebody else on that server", url=hub)
    found: dict[str, NetworkMember] = {}
    scheme = node.settings.origin.partition("://")[0]
    for item in (item for page in pages for item in objects(page, "orderedItems")):
        member = iri(item, "id") or ""
        # People are sent there, so nothing but an address of a server, spoken to as this one is, may stand in the list.
        if not is_http(member) or not member.startswith(f"{scheme}://"):
            continue
        if len(member) > 600 or len(found) >= MOST:
            continue
        host = host_of(member)
        if host != node.settings.authority and len(host) <= LONGEST_HOST:
            name = legible(text(item, "name"), LONGEST_NAME) or host
            found[member] = NetworkMember(
                actor=member, host=host, name=name, states=" ".join(read_states(item))
            )
    return list(found.values())


async def _ask(session: AsyncSession, hub: str, *, due: datetime, now: datetime) -> None:
    await outbox.enqueue(
        session,
        KIND,
        {"hub": hub},
        lane=f"chore:members:{host_of(hub)}",
        key=f"members:{due:%Y-%m-%dT%H}:{hub}"[:300],
        not_before=due,
        now=now,
    )
