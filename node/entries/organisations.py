"""The organisations one can write to, and the States they work in: by their own word, and by what they published.

Read from what this server knows for certain: itself, whom it follows, and whom its hub names in a signed list. Nobody gets into
this list by what they say of themselves alone, because people in trouble are sent where it points.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import SHOWN, Entry, EntryFacet
from node.peers.follows import accepted_by
from node.peers.hosts import blocked
from node.peers.network import network_members
from node.settings import Settings


@dataclass(slots=True)
class Organisation:
    """One organisation that takes alerts.

    states     where it says it works, by code.
    published  number of its public cases by the code of their State.
    languages  those of its public cases.
    is_own     this very server's.
    """

    host: str
    name: str
    origin: str
    is_own: bool = False
    states: frozenset[str] = frozenset()
    published: dict[str, int] = field(default_factory=dict)
    languages: set[str] = field(default_factory=set)

    def works_in(self, state: str) -> bool:
        """Whether it says so, or has published a case from there."""
        return state in self.states or state in self.published


async def organisations(session: AsyncSession, settings: Settings) -> tuple[Organisation, ...]:
    """Every organisation of the network that this server knows for certain, by name."""
    scheme = settings.origin.partition("://")[0]
    found: dict[str, Organisation] = {}

    def add(host: str, name: str, states: Iterable[str]) -> None:
        # What the actor itself said to us comes first, and is newer than any list.
        if host != settings.authority:
            found.setdefault(host, Organisation(host, name, f"{scheme}://{host}", states=frozenset(states)))

    for one in await accepted_by(session, settings.main_actor):
        if one.type == "Organization" and (settings.is_hub or one.is_network):
            add(one.host, one.name, one.states.split())
    for host, name, states in await network_members(session):
        add(host, name, states.split())
    for host in await blocked(session, list(found)):
        del found[host]
    if not settings.is_hub:
        found[settings.authority] = Organisation(
            settings.authority,
            settings.organisation,
            settings.origin,
            is_own=True,
            states=frozenset(settings.states),
        )
    await _add_published(session, found)
    return tuple(sorted(found.values(), key=lambda one: (one.name.casefold(), one.host)))


async def _add_published(session: AsyncSession, found: dict[str, Organisation]) -> None:
    rows = await session.execute(
        select(Entry.host, EntryFacet.facet, EntryFacet.value, func.count())
        .join(EntryFacet, EntryFacet.entry == Entry.id)
        .where(Entry.state.in_(SHOWN), EntryFacet.facet.in_(("state", "language")))
        .group_by(Entry.host, EntryFacet.facet, EntryFacet.value)
    )
    for host, facet, value, count in rows:
        if host not in found:
            continue
        if facet == "state":
            found[host].published[value] = count
        else:
            found[host].languages.add(value)
