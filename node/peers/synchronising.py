"""Followers synchronisation, FEP-8fcf: two servers find out that they remember a follow differently, and mend it.

Out, a header on public deliveries with a digest of who follows us from there; the list itself is given only to that very server.
In, such a header from an actor we follow, or who thinks so; a list that does not bear its own digest out changes nothing.
"""

import hashlib
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Insert, String, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.errors import FederationError
from node import outbox
from node.database import Row, UtcDateTime
from node.outbox import Done, Outcome, Turn
from node.peers import witness
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_document
from node.peers.follows import Follow, between, follow, follows, read_back
from node.peers.ours import local_actor_at
from node.peers.sending import new_activity_id, send
from node.runtime import Node
from node.settings import Settings
from node.statements import Bulk, Question, Source, among
from vocab import activities
from vocab.errors import VocabError
from vocab.objects import read_page

log = logging.getLogger(__name__)

HEADER = b"collection-synchronization"
PATH = "followers_synchronization"
MAX_PAGES = 10
# Who follows us is compared with a server now and then, not at every delivery.
EVERY = timedelta(days=1)
# A follow that changed just now may not have been known when the header was written.
SETTLED_AFTER = timedelta(hours=1)
# Whoever forgot a follow that is older was perhaps restored from a backup, and is asked anew; younger, it was just asked.
ASKED_ANEW_AFTER = timedelta(days=1)
_PAIR = re.compile(r'\s*([A-Za-z]+)="([^"\\]{1,2000})"\s*(?:,|$)')

Header = tuple[tuple[bytes, bytes], ...]


class Told(Row):
    """When a host was last told who of its people follow one of our actors; older than EVERY says as little as none.

    pair  the host and our actor, in one, so that any number of pairs is one list in a question.
    """

    __tablename__ = "told_of_followers"

    pair: Mapped[str] = mapped_column(String(900), primary_key=True)
    told_at: Mapped[datetime]


def _tell(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    told = insert(Told)
    renewed: Insert = told.on_conflict_do_update(
        index_elements=[Told.pair], set_={"told_at": told.excluded.told_at}
    )
    return renewed


_TELL = Bulk(_tell, ("pair", "told_at"))
_TOLD, _FOLLOWS, _ACTORS = Told.__table__.c, Follow.__table__.c, RemoteActor.__table__.c
# Built once: they are asked for every batch that goes out.
_LATELY = Question(
    select(_TOLD.pair).where(
        among(_TOLD.pair, "pairs"), _TOLD.told_at > bindparam("since", type_=UtcDateTime())
    )
)
_FROM = Question(
    select(_FOLLOWS.followed, _FOLLOWS.follower)
    .select_from(Follow.__table__.join(RemoteActor.__table__, _ACTORS.id == _FOLLOWS.follower))
    .where(among(_FOLLOWS.followed, "actors"), _FOLLOWS.state == "accepted", among(_ACTORS.host, "hosts"))
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the header says."""

    collection_id: str
    url: str
    digest: str


def digest_of(ids: Iterable[str]) -> str:
    """The XOR of the SHA-256 of each id, in hexadecimal; all zeros for none."""
    total = 0
    for one in ids:
        total ^= int.from_bytes(hashlib.sha256(one.encode()).digest())
    return f"{total:064x}"


def read_offer(field: bytes) -> Offer | None:
    """The header, or None when it is not as it should be."""
    said: dict[str, str] = {}
    text, at = field.decode("latin-1"), 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None or pair[1] in said:
            return None
        said[pair[1]] = pair[2]
        at = pair.end()
    try:
        offer = Offer(said["collectionId"], said["url"], said["digest"])
    except KeyError:
        return None
    return offer if re.fullmatch(r"[0-9a-f]{64}", offer.digest) else None


def origin_of(url: str) -> str:
    """Scheme and host: what two ids must share to be of one server. Empty for what is no address: a stranger's list may name anything."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"


async def followers_from(session: AsyncSession, actor_id: str, origin: str) -> list[str]:
    """Who follows an actor of ours from that server."""
    found = await session.scalars(
        select(Follow.follower)
        .join(RemoteActor, RemoteActor.id == Follow.follower)
        .where(Follow.followed == actor_id, Follow.state == "accepted", RemoteActor.host == host_of(origin))
        .order_by(Follow.follower)
    )
    return [one for one in found if origin_of(one) == origin]


async def offers(
    source: Source, deliveries: Collection[tuple[str, str]], *, now: datetime
) -> Mapping[tuple[str, str], Header]:
    """The header for those deliveries whose host was not told of that actor's followers for a while: two questions for all of them.

    deliveries  each an actor of ours and the inbox that something of theirs goes to.
    """
    if not deliveries:
        return {}
    pairs = {one: _pair(*one) for one in deliveries}
    lately = {row[0] for row in await _LATELY.ask(source, pairs=set(pairs.values()), since=now - EVERY)}
    due = [one for one, pair in pairs.items() if pair not in lately]
    if not due:
        return {}
    ids: dict[tuple[str, str], list[str]] = {(actor_id, origin_of(inbox)): [] for actor_id, inbox in due}
    actors, hosts = {actor_id for actor_id, _ in due}, {host_of(inbox) for _, inbox in due}
    for actor_id, follower in await _FROM.ask(source, actors=actors, hosts=hosts):
        if (server := (actor_id, origin_of(follower))) in ids:
            ids[server].append(follower)
    headers = {server: _header(server[0], found) for server, found in ids.items()}
    return {(actor_id, inbox): headers[actor_id, origin_of(inbox)] for actor_id, inbox in due}


async def remember_told(
    session: AsyncSession, deliveries: Iterable[tuple[str, str]], *, now: datetime
) -> None:
    """The hosts of these inboxes took deliveries that said who of their people follow these actors of ours; each an actor and an inbox."""
    pairs = sorted({_pair(*one) for one in deliveries})
    await _TELL.run(session, [{"pair": pair, "told_at": now} for pair in pairs])


async def forget_told(session: AsyncSession, *, limit: int, now: datetime) -> int:
    """Forget when hosts were told, where that is so long ago that they are told anew; returns how many."""
    old = select(Told.pair).where(Told.told_at < now - 2 * EVERY).limit(limit)
    forgotten = delete(Told).where(Told.pair.in_(old.scalar_subquery())).returning(Told.pair)
    return len((await session.scalars(forgotten.execution_options(synchronize_session=False))).all())


def _pair(actor_id: str, inbox: str) -> str:
    return f"{host_of(inbox)} {actor_id}"


def _header(actor_id: str, ids: Iterable[str]) -> Header:
    value = f'collectionId="{actor_id}/followers", url="{actor_id}/{PATH}", digest="{digest_of(ids)}"'
    return ((HEADER, value.encode("ascii")),)


async def compare(
    session: AsyncSession, settings: Settings, actor_id: str, field: bytes, *, now: datetime
) -> None:
    """Look whether an actor counts those of ours who follow it as we do; if not, enqueue asking for the list.

    field  the header, covered by the actor's own signature.
    """
    said = read_offer(field)
    known = await session.get(RemoteActor, actor_id)
    if said is None or known is None or said.collection_id != known.followers:
        return
    if origin_of(said.url) != origin_of(actor_id):
        # A list on a third server, or ours, would make us ask whom the sender likes.
        log.info("synchronise.refused", extra={"host": known.host})
        return
    ours = await _ours_following(session, settings, actor_id)
    if digest_of(row.follower for row in ours) == said.digest:
        return
    await _ask(session, actor_id, said.url, digest=said.digest, now=now)


async def ask_who_follows(session: AsyncSession, actor_id: str, *, now: datetime) -> None:
    """Ask an actor of this network, of whom nothing was heard, for its list: who was restored from a backup sends nothing to whom it forgot."""
    await _ask(session, actor_id, f"{actor_id}/{PATH}", now=now)


async def _ask(session: AsyncSession, actor_id: str, url: str, *, digest: str = "", now: datetime) -> None:
    await outbox.enqueue(
        session,
        "synchronise",
        {"actor": actor_id, "url": url} | ({"digest": digest} if digest else {}),
        lane=f"chore:synchronise:{host_of(actor_id)}",
        key=f"synchronise:{now:%Y-%m-%dT%H}:{actor_id}"[:300],
        now=now,
    )


async def synchronise(node: Node, job: Turn) -> Outcome:
    """Read who of ours follows an actor, as its server has it: what it forgot we end, and ask anew, what we forgot we take back.

    Who does not want a follow any more says so in a Reject. Asked anew, they say it again. Who names us, and was asked, has agreed:
    their answer came while nobody here took it.
    """
    actor_id, url, digest = (str(job.payload.get(name, "")) for name in ("actor", "url", "digest"))
    async with node.database.read() as session:
        is_followed = await follows(session, node.settings.main_actor, actor_id)
    try:
        listed = await _read_list(node, url, for_stranger=not is_followed)
    except (FederationError, VocabError) as error:
        log.info("synchronise.failed", extra={"host": host_of(actor_id), "reason": str(error)})
        return Done()
    here = {one for one in listed if origin_of(one) == node.settings.origin}
    if here != listed or (digest and digest_of(here) != digest):
        log.info("synchronise.refused", extra={"host": host_of(actor_id)})
        return Done()
    now = node.clock.now()
    async with node.database.begin() as session:
        them = await session.get(RemoteActor, actor_id)
        if them is None:
            return Done()
        for row in await _ours_following(session, node.settings, actor_id):
            stood_for = now - row.changed_at
            if row.follower in here or stood_for < SETTLED_AFTER:
                continue
            row.move("rejected", now)
            ours = local_actor_at(node.settings, row.follower)
            if ours is not None and stood_for >= ASKED_ANEW_AFTER:
                log.info("synchronise.forgotten", extra={"host": them.host})
                await follow(session, node.settings, node.keyring, us=ours, them=them, now=now)
        # Nobody else of ours ever follows: who names all actors of a hub would have an Undo made of each, every hour.
        us = node.settings.main_actor
        kept = await between(session, us, actor_id)
        if us in here and (kept is None or kept.state in {"rejected", "undone"}):
            forgotten = kept.activity_id if kept else new_activity_id(node.settings)
            undo = activities.undo(
                new_activity_id(node.settings), us, activities.follow(forgotten, us, actor_id)
            )
            await send(session, node.keyring, undo, inboxes=[them.inbox], now=now)
        elif us in here and kept is not None and _is_waiting(kept, now=now):
            kept.move("accepted", now)
            await read_back(session, actor_id, now=now)
            await witness.watch(session, actor_id, now=now)
    await node.bell.ring()
    return Done()


def _is_waiting(asked: Follow, *, now: datetime) -> bool:
    """Whether its answer would have come by now."""
    return asked.state == "requested" and now - asked.changed_at >= SETTLED_AFTER


async def _ours_following(session: AsyncSession, settings: Settings, actor_id: str) -> list[Follow]:
    rows = await session.scalars(
        select(Follow)
        .where(Follow.followed == actor_id, Follow.state == "accepted")
        .order_by(Follow.follower)
    )
    return [row for row in rows if local_actor_at(settings, row.follower) is not None]


async def _read_list(node: Node, url: str, *, for_stranger: bool) -> set[str]:
    page = read_page(await find_document(node, url, for_stranger=for_stranger))
    found, seen = set(page.items), {url}
    for _ in range(MAX_PAGES):
        following = page.first or page.next
        if following is None or following in seen or origin_of(following) != origin_of(url):
            break
        seen.add(following)
        page = read_page(await find_document(node, following, for_stranger=for_stranger))
        found |= set(page.items)
    return found
