"""Fold what followed organisations publish into entries: only what their own proof holds for, newest version, once.

A hub announces what is new, in the words of `announcing`, in the transaction that keeps it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import SHOWN, WITHDRAWN, Draft, Entry, last_changes, put_entries, withdraw_entry
from node.hub import announcing
from node.hub.quarantine import let_go_all
from node.keyring import Keyring
from node.outbox import MADE_AT_ONCE
from node.peers.actors import is_at_home
from node.peers.deliveries import still_told
from node.peers.follows import inboxes_of_followers
from node.peers.hosts import blocked
from node.peers.sending import (
    Packed,
    Sent,
    erase_sent,
    pack,
    send_all,
    went_to,
)
from node.runtime import Node
from node.settings import Settings
from node.statements import among
from vocab.activities import Activity
from vocab.cases import facets, read_case
from vocab.jsonld import write
from vocab.terms import PUBLIC

log = logging.getLogger(__name__)

CLOCK_SKEW = timedelta(hours=1)
# Several indexes of PostgreSQL hold the address of a case beside other things, 2,700 bytes of it all.
MAX_ADDRESS_BYTES = 2000


class Publisher(Protocol):
    """What is asked of a publisher: of the row that is kept of it, or of what was read of it with many others."""

    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def indexable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Brought:
    """A case of an organisation that we follow, read and proven.

    said            the publisher's public activity that brought it, with its own proof; None when there is none to pass on.
    is_of_a_member  False for a correction by one who is none any more: who has the case of us is told, and nobody else.
    """

    draft: Draft
    said: Activity | None = None
    is_of_a_member: bool = True


def read_brought(
    document: dict[str, Any],
    *,
    publisher: Publisher,
    proof_key: str,
    said: Activity | None = None,
    now: datetime,
) -> Brought | None:
    """Read a case of an organisation we follow; None when it is not one that may be shown.

    document   the object as it was proven with `proof_key`, which is the publisher's.
    Raises NotACase (vocab) when it is something else.
    """
    case, meta = read_case(document)
    if meta.actor != publisher.id or not is_at_home(meta.id, publisher.id):
        log.info("hub.refused", extra={"reason": "attributed to somebody else", "host": publisher.host})
        return None
    if PUBLIC not in (*meta.to, *meta.cc):
        # Shown to some is not published: nobody but its owner widens an audience (Mastodon CVE-2024-37903).
        log.info("hub.refused", extra={"reason": "not addressed to everybody", "host": publisher.host})
        return None
    if max(meta.published, meta.updated or meta.published) > now + CLOCK_SKEW:
        # It would stand above everything newer, and no correction could follow it.
        log.info("hub.refused", extra={"reason": "dated in the future", "host": publisher.host})
        return None
    if len(meta.id.encode()) > MAX_ADDRESS_BYTES:
        # It could not be kept, nor could whatever is kept together with it.
        log.info("hub.refused", extra={"reason": "too long an address", "host": publisher.host})
        return None
    body = write(document)
    draft = Draft(
        case,
        id=meta.id,
        actor=publisher.id,
        host=publisher.host,
        publisher=publisher.name,
        own=False,
        document=body,
        sha256=hashlib.sha256(body).hexdigest(),
        proof_key=proof_key,
        published_at=meta.published,
        updated_at=meta.updated,
        is_searched=publisher.indexable,
    )
    return Brought(draft, said)


@dataclass(frozen=True, slots=True)
class Ready:
    """A case that is to be kept, and what a hub says of it, written and signed.

    announced   its address: said where it is new.
    passed_on   what its publisher said: where it changes anything.
    also        its address, by those whom it concerns since it was corrected.
    no_more     what takes back what was announced by those whom it concerns no more, by the address of that.
    late        what its publisher said of the version that is here already: said while that is shown.
    """

    draft: Draft
    announced: tuple[Packed, ...] = ()
    passed_on: tuple[Packed, ...] = ()
    also: tuple[Packed, ...] = ()
    no_more: Mapping[str, Packed] = field(default_factory=dict)
    late: tuple[Packed, ...] = ()

    @property
    def deliveries(self) -> int:
        """How many jobs it may make."""
        said = (*self.announced, *self.passed_on, *self.also, *self.no_more.values(), *self.late)
        return sum(len(one.inboxes) for one in said)


def in_parts(ready: Iterable[Ready]) -> Iterator[list[Ready]]:
    """What may be kept in one transaction each, in order: a case makes a job or two for each server that follows a hub."""
    part: list[Ready] = []
    for one in ready:
        if part and sum(other.deliveries for other in (*part, one)) > MADE_AT_ONCE:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


async def make_ready(node: Node, brought: Sequence[Brought]) -> list[Ready]:
    """Write and sign, with no transaction open, what a hub says of these cases, as far as can be told before they are kept."""
    settings, now = node.settings, node.clock.now()
    if not settings.is_hub:
        return [Ready(one.draft) for one in brought]
    by = [[actor.id for actor in announcing.announcers(settings, facets(one.draft.case))] for one in brought]
    async with node.database.read() as session:
        changed_at = await last_changes(session, [one.draft.id for one in brought])
        standing = await announcing.standing(session, changed_at)
        unsaid = await _unsaid(
            session, [one for one in brought if changed_at.get(one.draft.id) == one.draft.newest]
        )
        whose = {PUBLIC}.union(*by, *standing.values())
        inboxes = await inboxes_of_followers(session, whose)
    ready: list[Ready] = []
    for one, ours in zip(brought, by, strict=True):
        url, last = one.draft.id, changed_at.get(one.draft.id)
        if last is not None and one.draft.newest <= last:
            told = sorted(standing.get(url, {})) if one in unsaid else []
            late = _said_by(node, one, told, inboxes=inboxes, now=now) if told else ()
            ready.append(Ready(one.draft, late=late))
            continue
        changed_at[url] = one.draft.newest
        before = standing.setdefault(url, {})
        if not one.is_of_a_member:
            ours = [actor for actor in ours if actor in before]
        wanting = [actor for actor in ours if actor not in before]
        left = {actor: name for actor, name in before.items() if actor not in ours}
        new = announcing.announcements(settings, url, by=wanting, inboxes=inboxes, now=now)
        # Who has it from them hears of the correction before it leaves their part.
        passed_on = _said_by(node, one, [*ours, *left], inboxes=inboxes, now=now)
        announced = tuple(pack(node.keyring, parcel, now=now) for parcel in new)
        no_more = {
            name: pack(
                node.keyring,
                announcing.taking_back(settings, name, actor, url, inboxes[actor], now=now),
                now=now,
            )
            for actor, name in left.items()
        }
        standing[url] = {actor: name for actor, name in before.items() if actor in ours}
        standing[url] |= {packed.row["actor"]: packed.id for packed in announced}
        if last is None:
            ready.append(Ready(one.draft, announced, passed_on))
        else:
            ready.append(Ready(one.draft, passed_on=passed_on, also=announced, no_more=no_more))
        # Others have their turn between one case and the next.
        await asyncio.sleep(0)
    return ready


def _said_by(
    node: Node, one: Brought, actors: Sequence[str], *, inboxes: Mapping[str, list[str]], now: datetime
) -> tuple[Packed, ...]:
    """What its publisher said of a case, to be passed on by these actors of ours; nothing where there is nothing to pass on."""
    if one.said is None:
        return ()
    parcels = announcing.passed_on(
        node.settings, one.said, about=one.draft.id, by=actors, inboxes=inboxes, now=now
    )
    return tuple(pack(node.keyring, parcel, now=now) for parcel in parcels)


async def _unsaid(session: AsyncSession, brought: Sequence[Brought]) -> list[Brought]:
    """Those that are here as they are brought, and of which nobody was told in their publisher's words: somebody without these was quicker.

    What was passed on holds the case as it is kept, to the byte.
    """
    said = {one.draft.id: one for one in brought if one.said is not None}
    if not said:
        return []
    here = select(Entry.id, Entry.sha256).where(among(Entry.id, said), Entry.state.in_(SHOWN))
    same = {url for url, sha256 in await session.execute(here) if said[url].draft.sha256 == sha256}
    told = select(Sent.object_id, Sent.body).where(among(Sent.object_id, same), Sent.wraps.is_not(None))
    same -= {url for url, body in await session.execute(told) if said[url].draft.document in body}
    return [said[url] for url in same]


async def take_in(session: AsyncSession, ready: Iterable[Ready], *, now: datetime) -> None:
    """Keep cases of organisations we follow, and announce those that are new: in as few statements as one.

    Several versions of one case are kept in the order in which they came. Of a host that was blocked since it was asked nothing is kept.
    """
    told: list[Packed] = []
    taken_back: list[str] = []
    rest = list(ready)
    shut = await blocked(session, {one.draft.host for one in rest})
    rest = [one for one in rest if one.draft.host not in shut]
    while rest:
        first: dict[str, Ready] = {}
        later = [one for one in rest if first.setdefault(one.draft.id, one) is not one]
        changed = await put_entries(session, [one.draft for one in first.values()], now=now)
        await let_go_all(session, first)
        for one in first.values():
            # Withdrawn since it was asked, it is not to be told.
            if one.late and (await session.get_one(Entry, one.draft.id)).state in SHOWN:
                told += one.late
        for url, is_new in changed.items():
            one = first[url]
            if is_new:
                told += [*one.announced, *one.passed_on]
            else:
                told += [*one.also, *one.passed_on, *one.no_more.values()]
                taken_back += one.no_more
        rest = later
    await send_all(session, told, now=now)
    if taken_back:
        hidden = update(Sent).where(among(Sent.id, taken_back)).values(is_public=False)
        await session.execute(hidden.execution_options(synchronize_session=False))


async def take_back(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    url: str,
    by: str,
    tombstone: dict[str, Any],
    now: datetime,
) -> Entry | None:
    """A publisher withdrew a case: keep the dated tombstone, and take our announcements back."""
    entry = await withdraw_entry(session, url, actor=by, tombstone=write(tombstone), now=now)
    if entry is None or not settings.is_hub:
        return entry
    found = await session.scalars(select(Sent).where(Sent.object_id == url, Sent.type == "Announce"))
    announced = [sent for sent in found if sent.wraps is None and sent.is_public]
    # What was passed on holds the text of what is withdrawn: nobody reads it here any more.
    await erase_sent(session, url)
    inboxes = await _who_was_told(session, [url], {sent.actor for sent in announced})
    told: list[Packed] = []
    for sent in announced:
        sent.is_public = False
        undo = announcing.taking_back(settings, sent.id, sent.actor, url, inboxes[sent.actor], now=now)
        told.append(pack(keyring, undo, now=now))
    await send_all(session, told, now=now)
    return entry


async def pass_on_withdrawal(
    session: AsyncSession, settings: Settings, keyring: Keyring, said: Activity, *, now: datetime
) -> None:
    """Say in its publisher's own words what was withdrawn, once for all that they name, to whoever was told of any of it.

    Also where it was found to be withdrawn before they said so. What was passed on already is not again.

    said  the public Delete, with its own proof.
    """
    withdrawn = select(Entry.id).where(
        among(Entry.id, said.object_ids), Entry.actor == said.actor, Entry.state == WITHDRAWN
    )
    gone = set(await session.scalars(withdrawn))
    if not gone:
        return
    found = await session.execute(
        select(Sent.object_id, Sent.actor, Sent.type, Sent.wraps, Sent.body != b"").where(
            among(Sent.object_id, gone)
        )
    )
    sent = found.all()
    # What told of a case is erased by now: what is left is what told of its withdrawal.
    wrapped = {(url, wraps) for url, _, _, wraps, is_left in sent if wraps is not None and is_left}
    news = [url for url in said.object_ids if url in gone - {url for url, _ in wrapped}]
    if not news or said.id in {wraps for _, wraps in wrapped}:
        return
    actors = {actor for url, actor, kind, _, _ in sent if kind == "Announce" and url in news}
    inboxes = await _who_was_told(session, news, actors)
    told = announcing.passed_on(settings, said, about=news[0], by=sorted(actors), inboxes=inboxes, now=now)
    await send_all(session, [pack(keyring, parcel, now=now) for parcel in told], now=now)


async def _who_was_told(
    session: AsyncSession, urls: Iterable[str], actors: Collection[str]
) -> dict[str, list[str]]:
    """Where each of these actors of ours, and the public collection, is heard; and where they were, of these cases.

    Who follows no more since has them all the same.
    """
    inboxes = await inboxes_of_followers(session, {PUBLIC, *actors})
    for actor, went in (await went_to(session, *urls)).items():
        inboxes[actor] = sorted({*inboxes.get(actor, ()), *await still_told(session, went)})
    return inboxes
