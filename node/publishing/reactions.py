"""What others say about our cases: replies, likes, boosts and quotes. Kept for the desk, never shown on a case unasked."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Insert, String, case, delete, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.errors import Mismatch
from federation.sites import site_of
from node import audit
from node.database import Row
from node.errors import NotAllowed, NotFound
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_actor, find_document, find_handle
from node.runtime import Node
from node.statements import Bulk, among
from vocab.actors import read_actor
from vocab.canonical import canonical
from vocab.objects import read_object
from vocab.positions import read_position
from vocab.terms import PUBLIC

log = logging.getLogger(__name__)

MOST_SHOWN = 500
# Replies of one site that wait for the desk; more would bury those of others.
MOST_WAITING = 100
# Likes, boosts and quotes of one case that are kept of one site: each is somebody to tell of a correction.
MOST_OF_A_SITE = 1_000
# So many inboxes of one site are told, where it names no shared one: whoever has many actors has our servers knock no more often.
MOST_INBOXES = 20
COUNTED_ONCE = frozenset({"like", "boost"})
_COUNTED_ONCE = text("kind IN ('like', 'boost')")


class Reaction(Row):
    """A reply, like, boost or quote. A reply's text stays at its author's server until the desk shows it.

    What counts once, and how many may wait, the database itself holds to: what two workers do at the same moment, neither sees.

    content     what the desk has agreed to show: sanitised HTML as it was then. A later change by its author is not shown unasked.
    position    what a reply says it is: a dissent, a request for correction, an endorsement; None for any other.
    decided_at  when somebody of the desk showed or hid it; None while it waits for that.
    place       of a reply that waits: its site and a number, which no other has; None when it waits no more.
    site        of its author: what counts only so often is counted by it.
    """

    __tablename__ = "reactions"
    __table_args__ = (
        Index(
            "uq_reactions_case_url_actor_kind",
            "case_url",
            "actor",
            "kind",
            unique=True,
            sqlite_where=_COUNTED_ONCE,
            postgresql_where=_COUNTED_ONCE,
        ),
        Index(None, "case_url", "site"),
    )

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str] = mapped_column(String(2000), index=True)
    case_url: Mapped[str] = mapped_column(String(2000))
    received_at: Mapped[datetime]
    shown: Mapped[bool] = mapped_column(default=False)
    author: Mapped[str | None] = mapped_column(String(2048))
    content: Mapped[str | None]
    published_at: Mapped[datetime | None]
    position: Mapped[str | None] = mapped_column(String(30))
    decided_by: Mapped[str | None] = mapped_column(String(40))
    decided_at: Mapped[datetime | None]
    place: Mapped[str | None] = mapped_column(String(320), unique=True)
    site: Mapped[str] = mapped_column(String(300))


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    added: Insert = insert(Reaction).on_conflict_do_nothing()
    return added


# In the order of the table, which is the order of the statement.
_ADD = Bulk(_add, ("id", "kind", "actor", "case_url", "received_at", "shown", "position", "place", "site"))


@dataclass(frozen=True, slots=True)
class ReplyText:
    """What a reply says, as its author's server told it just now.

    content    HTML, sanitised.
    sha256     of all that would be shown: who agrees says to what, and its author may change their name in between.
    is_public  whether its author wrote it for everybody; what was written to some is shown to nobody else.
    """

    author: str
    handle: str
    url: str
    content: str
    published: datetime | None
    sha256: str
    position: str | None = None
    is_public: bool = False


async def keep_reaction(
    session: AsyncSession,
    *,
    id: str,
    kind: str,
    actor: str,
    case_url: str,
    position: str | None = None,
    now: datetime,
) -> bool:
    """Keep one reaction; the same one twice is one. False when too many replies of that site wait already, or of the rest are kept.

    Of an actor's likes of a case the last one counts, and of their boosts: its id is what they will take back.
    """
    row: dict[str, Any] = {"id": id, "kind": kind, "actor": actor, "case_url": case_url, "received_at": now}
    row |= {"shown": False, "position": position, "place": None, "site": site_of(host_of(actor))}
    # Whoever is second at the same moment adds nothing, and looks again once the first has committed.
    while await session.scalar(select(Reaction.id).where(Reaction.id == id)) is None:
        if kind == "reply":
            row["place"] = await _free_place(session, row["site"])
            if row["place"] is None:
                return False
        if kind in COUNTED_ONCE:
            same = (Reaction.actor == actor, Reaction.case_url == case_url, Reaction.kind == kind)
            await session.execute(delete(Reaction).where(*same))
        if kind != "reply" and await _of_site(session, case_url, row["site"]) >= MOST_OF_A_SITE:
            return False
        await _ADD.run(session, [row])
    return True


async def _of_site(session: AsyncSession, case_url: str, site: str) -> int:
    """How many of a case are kept of a site: a soft bound, for those that come at the same moment do not see each other."""
    known = select(func.count()).select_from(Reaction)
    return await session.scalar(known.where(Reaction.case_url == case_url, Reaction.site == site)) or 0


async def _free_place(session: AsyncSession, site: str) -> str | None:
    """The first place where one more reply of a site may wait; None when all are taken."""
    places = [f"{site} {number}" for number in range(1, MOST_WAITING + 1)]
    taken = set(await session.scalars(select(Reaction.place).where(among(Reaction.place, places))))
    return next((place for place in places if place not in taken), None)


async def drop_reaction(session: AsyncSession, *, id: str, actor: str) -> bool:
    """Its author took it back. False when there is none of theirs."""
    dropped = delete(Reaction).where(Reaction.id == id, Reaction.actor == actor).returning(Reaction.id)
    return (await session.scalars(dropped)).first() is not None


async def drop_reaction_to(session: AsyncSession, *, kind: str, case_url: str, actor: str) -> None:
    """Its author took back the like or boost of that case: some name it by another id than they gave it (Lemmy), or by none."""
    same = (Reaction.kind == kind, Reaction.case_url == case_url, Reaction.actor == actor)
    await session.execute(delete(Reaction).where(*same))


async def drop_reactions_of(session: AsyncSession, actor: str) -> None:
    """Whoever said it is gone, and wants what they said gone too."""
    await session.execute(delete(Reaction).where(Reaction.actor == actor))


async def inboxes_of_reactions(session: AsyncSession, case_url: str) -> list[str]:
    """Where one POST each reaches who answered, shared, quoted or liked a case: they want to know what becomes of it.

    Of one site so many at most, those who only liked it last: a server that takes a case down for one of its people does for all.
    """
    inbox = func.coalesce(RemoteActor.shared_inbox, RemoteActor.inbox)
    is_like = func.min(case((Reaction.kind == "like", 1), else_=0))
    nth = func.row_number().over(partition_by=Reaction.site, order_by=(is_like, inbox)).label("nth")
    found = (
        select(inbox.label("inbox"), nth)
        .join(Reaction, Reaction.actor == RemoteActor.id)
        .where(Reaction.case_url == case_url, RemoteActor.gone_at.is_(None))
        .group_by(inbox, Reaction.site)
        .subquery()
    )
    told = select(found.c.inbox).where(found.c.nth <= MOST_INBOXES).order_by(found.c.inbox)
    return list(await session.scalars(told))


async def replies(session: AsyncSession, state: str, *, limit: int = 200) -> list[Reaction]:
    """Replies that wait for the desk ("waiting", oldest first), are "shown", or "hidden"."""
    found = select(Reaction).where(Reaction.kind == "reply")
    match state:
        case "waiting":
            found = found.where(Reaction.decided_at.is_(None)).order_by(Reaction.received_at, Reaction.id)
        case "shown":
            found = found.where(Reaction.shown.is_(True)).order_by(Reaction.decided_at.desc(), Reaction.id)
        case _:
            found = found.where(Reaction.shown.is_(False), Reaction.decided_at.is_not(None))
            found = found.order_by(Reaction.decided_at.desc(), Reaction.id)
    return list(await session.scalars(found.limit(limit)))


async def shown_replies(session: AsyncSession, case_url: str) -> list[Reaction]:
    """The replies to a case that the desk has agreed to show, in the order they were written."""
    found = (
        select(Reaction)
        .where(Reaction.kind == "reply", Reaction.case_url == case_url, Reaction.shown.is_(True))
        .order_by(func.coalesce(Reaction.published_at, Reaction.received_at), Reaction.id)
    )
    return list(await session.scalars(found.limit(MOST_SHOWN)))


async def show_reply(session: AsyncSession, id: str, text: ReplyText, *, by: str, now: datetime) -> Reaction:
    """Somebody of the desk has read this very text and agrees to show it. Raises NotFound, NotAllowed.

    text  as it was read; it is kept, so that a later change by its author is not shown unasked.
    """
    if not text.is_public:
        raise NotAllowed(
            "a reply that is not for everybody",
            public="This reply was written to you, not for everybody. It cannot be shown.",
        )
    reply = await _reply(session, id)
    reply.shown, reply.decided_by, reply.decided_at, reply.place = True, by, now, None
    reply.author, reply.content, reply.published_at = text.author, text.content, text.published
    reply.position = text.position
    await _note(session, reply, "shown", by=by, now=now)
    return reply


async def hide_reply(session: AsyncSession, id: str, *, by: str, now: datetime) -> Reaction:
    """Somebody of the desk does not want it shown, or no longer. Raises NotFound."""
    reply = await _reply(session, id)
    reply.shown, reply.decided_by, reply.decided_at, reply.place = False, by, now, None
    reply.content = None
    await _note(session, reply, "hidden", by=by, now=now)
    return reply


async def reply_changed(session: AsyncSession, *, id: str, actor: str) -> bool:
    """Its author changed it: what was decided was decided about other words. It waits anew; where too many do, it is hidden.

    False when it is no reply of theirs.
    """
    known = await session.get(Reaction, id)
    if known is None or (known.actor, known.kind) != (actor, "reply"):
        return False
    changed = (
        update(Reaction)
        .where(Reaction.id == id, Reaction.actor == actor, Reaction.kind == "reply", Reaction.place.is_(None))
        .execution_options(synchronize_session=False)
    )
    await session.execute(changed.values(shown=False, content=None))
    while (place := await _free_place(session, site_of(host_of(actor)))) is not None:
        try:
            async with session.begin_nested():
                await session.execute(changed.values(decided_by=None, decided_at=None, place=place))
        except IntegrityError:
            # Another took that place at the same moment.
            continue
        break
    return True


async def read_reply(node: Node, id: str) -> ReplyText:
    """What a reply says now, asked of its author's server: its words sanitised. Raises NotFound, FetchError."""
    reply, document = await find_reply(node, id)
    author = await find_actor(node, reply.actor)
    item = read_object(document)
    content, position = item.content or "", read_position(document)
    return ReplyText(
        author=author.name,
        handle=await find_handle(node, author),
        url=await _page_of(node, reply, item.url),
        content=content,
        published=item.published,
        sha256=_read(author.name, content, item.published, position),
        position=position,
        is_public=PUBLIC in (*item.to, *item.cc),
    )


async def find_reply(node: Node, id: str) -> tuple[Reaction, dict[str, object]]:
    """A reply as it was noted, and as its author's server gives it now.

    Raises NotFound, FetchError: Mismatch where the server gives something else.
    """
    async with node.database.read() as session:
        reply = await _reply(session, id)
    document = await find_document(node, id)
    item = read_object(document)
    if item.id != id or reply.actor not in item.attributed_to or reply.case_url not in item.in_reply_to:
        raise Mismatch("not the reply that was announced", url=id)
    return reply, document


def _read(author: str, content: str, published: datetime | None, position: str | None) -> str:
    said = canonical([author, content, published.isoformat() if published else None, position])
    return hashlib.sha256(said).hexdigest()


async def _page_of(node: Node, reply: Reaction, page: str | None) -> str:
    """Where people read a reply: the page it names, if its author may be named there; else its own address."""
    if page is None or host_of(page) == host_of(reply.actor):
        return page or reply.id
    author = read_actor(await find_document(node, reply.actor))
    if author.id == reply.actor and author.may_be_named_at(page):
        return page
    log.info(
        "reply.page-of-another", extra={"reason": "not in attributionDomains", "host": host_of(reply.id)}
    )
    return reply.id


async def _reply(session: AsyncSession, id: str) -> Reaction:
    reply = await session.get(Reaction, id)
    if reply is None or reply.kind != "reply":
        raise NotFound("no such reply")
    return reply


async def _note(session: AsyncSession, reply: Reaction, what: str, *, by: str, now: datetime) -> None:
    subject = hashlib.sha256(reply.id.encode()).hexdigest()
    await audit.record(session, actor=by, action=f"reply.{what}", subject=subject, now=now)


async def count_of(session: AsyncSession, kind: str, case_url: str, *, by: str) -> int:
    """How many of a kind one actor has of a case."""
    counted = select(func.count()).select_from(Reaction)
    mine = (Reaction.kind == kind, Reaction.case_url == case_url, Reaction.actor == by)
    return await session.scalar(counted.where(*mine)) or 0


async def count_reactions(session: AsyncSession, case_url: str) -> dict[str, int]:
    """How many of each kind."""
    rows = await session.execute(
        select(Reaction.kind, func.count()).where(Reaction.case_url == case_url).group_by(Reaction.kind)
    )
    return {kind: n for kind, n in rows}
