"""Remote actors we know, and their keys. Everything here was fetched from the actor's own address and may be fetched again."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ForeignKey, Insert, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import outbox
from node.database import Row
from node.outbox import LEASE
from node.statements import Bulk
from vocab.actors import Actor
from vocab.errors import NotAnAddress
from vocab.terms import SRT

FRESH = timedelta(days=1)
# No server is waited for as long as that, so what is dated later was said by a clock that was wrong, and counts for nothing.
LONGEST_ANSWER = timedelta(minutes=1)
# The job that follows when an actor says otherwise than before whether its words are searched; its payload names the `actor`.
HEED = "heed-searching"

# Of a handle before its host: Mastodon takes thirty.
LONGEST_NAME = 250
# `press@victim.example` for a name would make a handle that begins with another's.
_NOT_IN_A_NAME = re.compile(r"[^\w.~-]")


class RemoteActor(Row):
    """An actor of another server, as its own server last described it.

    indexable   agrees that its words are searched here (FEP-5feb); absent means no.
    is_network  says that its software speaks our vocabulary (FEP-844e): a node or a hub of this network.
    states      codes of the States in which it says it works, with a space between them.
    looked_at   when it was last asked for in vain since `fetched_at`; missing_since: when its server first said that it is not there.
    """

    __tablename__ = "remote_actors"

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    host: Mapped[str] = mapped_column(String(300), index=True)
    type: Mapped[str] = mapped_column(String(60))
    handle: Mapped[str] = mapped_column(String(600), index=True)
    name: Mapped[str] = mapped_column(String(2048))
    url: Mapped[str] = mapped_column(String(2000))
    inbox: Mapped[str] = mapped_column(String(2000))
    shared_inbox: Mapped[str | None] = mapped_column(String(2000))
    followers: Mapped[str | None] = mapped_column(String(2000))
    outbox: Mapped[str | None] = mapped_column(String(2000))
    fetched_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
    moved_to: Mapped[str | None] = mapped_column(String(2000))
    moved_at: Mapped[datetime | None]
    indexable: Mapped[bool] = mapped_column(default=False)
    is_network: Mapped[bool] = mapped_column(default=False)
    states: Mapped[str] = mapped_column(String(300), default="")
    looked_at: Mapped[datetime | None]
    missing_since: Mapped[datetime | None]

    @property
    def delivery_inbox(self) -> str:
        """Where one POST reaches this actor, and others of its server with it."""
        return self.shared_inbox or self.inbox


class RemoteKey(Row):
    """A public key that a remote actor's own document lists. `material` is PEM (RSA) or Multibase (Ed25519).

    expires_at  from then on it makes nothing valid; what it proved before still holds.
    """

    __tablename__ = "remote_keys"

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("remote_actors.id", ondelete="CASCADE"), index=True)
    algorithm: Mapped[str] = mapped_column(String(20))
    material: Mapped[str] = mapped_column(String(4000))
    fetched_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    added: Insert = insert(RemoteActor).on_conflict_do_nothing(index_elements=[RemoteActor.id])
    return added


# In the order of the table, which is the order of the statement.
_ADD = Bulk(
    _add,
    (
        "id",
        "host",
        "type",
        "handle",
        "name",
        "url",
        "inbox",
        "fetched_at",
        "indexable",
        "is_network",
        "states",
    ),
)


def host_of(url: str) -> str:
    """Host and port of an address, lower-case: what policies and lanes go by. Raises NotAnAddress."""
    # Addresses are many and hosts are few: what stands before the path is remembered.
    end = url.find("/", len("https://"))
    return _host_of(url if end < 0 else url[:end])


@lru_cache(maxsize=16_384)
def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError as error:
        raise NotAnAddress("no host can be read from it") from error


def is_at_home(url: str, actor: str) -> bool:
    """Whether an address has the scheme, host and port of the actor that it is said to be of (FEP-fe34). Raises NotAnAddress."""
    return host_of(url) == host_of(actor) and url.partition(":")[0].lower() == actor.partition(":")[0].lower()


async def remember_actor(session: AsyncSession, actor: Actor, *, now: datetime) -> RemoteActor:
    """Keep what an actor's document says; keys it lists no more are forgotten, not those that could not be had just now.

    Whether it agrees to be searched is heeded in what is here already once that changes, and when all that was read before has been kept.
    now  when the document was begun to be asked for: what another process asked for later, and has kept already, is not replaced. A key
         that its owner has renewed because it was stolen would come back.
    Trusted: that the document was fetched from `actor.id`, and that each key is the actor's own.
    """
    host = host_of(actor.id)
    # Several keys of one actor may be asked for at once, by several processes: whoever comes second waits here, and finds what
    # the first has kept.
    row = await session.get(RemoteActor, actor.id, with_for_update=True)
    if row is not None and now < row.fetched_at <= now + LONGEST_ANSWER:
        return row
    if row is not None and row.indexable != actor.indexable:
        await outbox.enqueue(
            session, HEED, {"actor": actor.id}, lane=f"chore:{HEED}:{host}", not_before=now + LEASE, now=now
        )
    if row is None:
        named = {"id": actor.id, "host": host, "type": actor.type, "handle": "", "name": "", "url": actor.id}
        said = {"indexable": False, "is_network": False, "states": ""}
        await _ADD.run(session, [named | said | {"inbox": actor.inbox, "fetched_at": now}])
        row = await session.get_one(RemoteActor, actor.id, with_for_update=True)
    row.host = host
    row.type = actor.type
    row.handle = f"{_NOT_IN_A_NAME.sub('', actor.preferred_username)[:LONGEST_NAME]}@{host}"
    row.name = actor.name or actor.preferred_username
    row.url = actor.url or actor.id
    row.inbox = actor.inbox
    row.shared_inbox = actor.shared_inbox
    row.followers = actor.followers
    row.outbox = actor.outbox
    row.indexable = actor.indexable
    row.is_network = any(feature == SRT for feature, _ in actor.implements)
    row.states = " ".join(actor.states)
    row.fetched_at = now
    row.gone_at = row.looked_at = row.missing_since = None
    await session.flush()
    listed = {key.id: key for key in actor.keys if key.owner == actor.id}
    kept = [*listed, *actor.linked_keys]
    await session.execute(delete(RemoteKey).where(RemoteKey.owner == actor.id, RemoteKey.id.not_in(kept)))
    for key in listed.values():
        known = await session.get(RemoteKey, key.id)
        if known is None:
            known = RemoteKey(id=key.id, owner=actor.id)
            session.add(known)
        if known.owner != actor.id:
            # A key id that another actor holds is never taken over (attack: same key id in two actors).
            continue
        known.algorithm = key.algorithm
        known.material = key.spki_pem or key.multibase or ""
        known.fetched_at = now
        known.expires_at = key.expires
    await session.flush()
    return row


async def known_key(session: AsyncSession, key_id: str) -> RemoteKey | None:
    """A key we hold already; named by its actor's own id, the only RSA key of that actor."""
    exact = await session.get(RemoteKey, key_id)
    if exact is not None:
        return exact
    of_an_actor = select(RemoteKey).where(RemoteKey.owner == key_id, RemoteKey.algorithm == "rsa").limit(2)
    found = (await session.scalars(of_an_actor)).all()
    return found[0] if len(found) == 1 else None


async def keys_of(session: AsyncSession, owner: str) -> list[RemoteKey]:
    """Every key an actor lists."""
    return list(await session.scalars(select(RemoteKey).where(RemoteKey.owner == owner)))


async def forget_actor(session: AsyncSession, actor_id: str, *, now: datetime) -> None:
    """The actor is gone: keep that it was, drop its keys."""
    row = await session.get(RemoteActor, actor_id)
    if row is not None:
        row.gone_at = now
    await session.execute(delete(RemoteKey).where(RemoteKey.owner == actor_id))
