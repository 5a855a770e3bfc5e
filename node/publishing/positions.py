"""What we say publicly of other organisations' cases: dissent, a request for correction, an endorsement. Two people stand behind each.

It is published here, under our own key, and sent to our followers and to the publisher of the case, who decides whether to
show it beside the case. On our copy of the case it stands in any case.
"""

from datetime import datetime

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.proofs import attach
from node import audit
from node.database import Row
from node.entries.entries import Entry
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.ids import random_id
from node.keyring import Keyring
from node.peers.actors import RemoteActor
from node.peers.deliveries import still_told
from node.peers.follows import follower_inboxes
from node.peers.sending import erase_sent, new_activity_id, send, went_to
from node.settings import Settings
from vocab import activities, objects
from vocab.cases import read_case
from vocab.jsonld import parse, write
from vocab.positions import LABELS, write_position
from vocab.terms import PUBLIC

MAX_TEXT = 5_000
MOVES = {"draft": {"live", "dropped"}, "live": {"withdrawn"}, "withdrawn": set[str](), "dropped": set[str]()}


class Position(Row):
    """A position of ours on a case of another organisation.

    case_sha256  of the version that was read.
    document     the signed Note; a Tombstone when withdrawn; None while it is a draft.
    """

    __tablename__ = "positions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(String(600), unique=True)
    case_url: Mapped[str] = mapped_column(String(2000), index=True)
    case_sha256: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(30))
    language: Mapped[str] = mapped_column(String(35))
    text: Mapped[str]
    state: Mapped[str] = mapped_column(String(20))
    document: Mapped[bytes | None]
    drafted_by: Mapped[str] = mapped_column(String(40))
    approved_by: Mapped[str | None] = mapped_column(String(40))
    drafted_at: Mapped[datetime]
    published_at: Mapped[datetime | None]

    def move(self, to: str) -> None:
        """Change state. Raises WrongState."""
        if to not in MOVES[self.state]:
            raise WrongState(f"a position that is {self.state} cannot be {to}")
        self.state = to


async def draft_position(
    session: AsyncSession,
    settings: Settings,
    *,
    case_url: str,
    kind: str,
    language: str,
    text: str,
    by: str,
    now: datetime,
) -> Position:
    """Write down what is to be said of a case that we know. Raises NotFound, Invalid."""
    case = await _case(session, case_url)
    if kind not in LABELS:
        raise Invalid("unknown position", problems={"kind": "Choose one of the listed positions."})
    if language not in settings.languages:
        raise Invalid("unknown language", problems={"language": "Choose one of this site's languages."})
    words = text.strip()
    if not words or len(words) > MAX_TEXT:
        raise Invalid("no text, or too long", problems={"text": f"Write up to {MAX_TEXT} characters."})
    own_id = random_id()
    row = Position(
        id=own_id,
        url=f"{settings.origin}/positions/{own_id}",
        case_url=case.id,
        case_sha256=case.sha256,
        kind=kind,
        language=language,
        text=words,
        state="draft",
        drafted_by=by,
        drafted_at=now,
    )
    session.add(row)
    await audit.record(session, actor=by, action="position.drafted", subject=own_id, now=now)
    return row


async def publish_position(
    session: AsyncSession, settings: Settings, keyring: Keyring, id: str, *, by: str, now: datetime
) -> Position:
    """A second person agrees: sign it, keep it, tell our followers and whose case it is.

    Raises NotFound, NotAllowed, and WrongState when the case says something else by now.
    """
    row = await _position(session, id)
    if by == row.drafted_by:
        raise NotAllowed(
            "one person alone cannot publish", public="A second person has to approve what one has written."
        )
    case = await _case(session, row.case_url)
    if case.sha256 != row.case_sha256:
        raise WrongState("the case was changed since this was written; read it again")
    row.move("live")
    now = now.replace(microsecond=0)
    row.approved_by, row.published_at = by, now
    actor = settings.main_actor
    _, meta = read_case(parse(case.document))
    to, cc = (PUBLIC,), (f"{actor}/followers", case.actor)
    document = attach(
        write_position(
            row.kind,
            row.text,
            language=row.language,
            id=row.url,
            actor=actor,
            case=case.id,
            case_hash=case.sha256,
            title=case.case().title[case.language],
            publisher=case.actor,
            published=now,
            to=to,
            cc=cc,
            context=meta.context,
        ),
        keyring.signer(actor, "ed25519"),
        now=now,
    )
    row.document = write(document)
    activity = activities.create(new_activity_id(settings), actor, document, to=to, cc=cc, published=now)
    inboxes = await _inboxes(session, settings, case.actor)
    await send(session, keyring, activity, inboxes=inboxes, now=now, is_public=True)
    await audit.record(session, actor=by, action="position.published", subject=id, now=now)
    return row


async def end_position(
    session: AsyncSession, settings: Settings, keyring: Keyring, id: str, *, by: str, now: datetime
) -> Position:
    """Drop a draft, or withdraw what is public: a dated tombstone takes its place for good. Raises NotFound, WrongState."""
    row = await _position(session, id)
    if row.state == "draft":
        row.move("dropped")
        await audit.record(session, actor=by, action="position.dropped", subject=id, now=now)
        return row
    row.move("withdrawn")
    actor = settings.main_actor
    now = now.replace(microsecond=0)
    case = await session.get(Entry, row.case_url)
    to, cc = [PUBLIC], [f"{actor}/followers", *([case.actor] if case else [])]
    stone = attach(
        objects.tombstone(
            row.url,
            actor=actor,
            published=row.published_at or now,
            deleted=now,
            to=to,
            cc=cc,
            former_type="Note",
        ),
        keyring.signer(actor, "ed25519"),
        now=now,
    )
    row.text, row.document = "", write(stone)
    await erase_sent(session, row.url)
    activity = activities.delete(new_activity_id(settings), actor, stone, to=to, cc=cc, published=now)
    inboxes = await _inboxes(session, settings, case.actor if case else None)
    inboxes += await still_told(session, (await went_to(session, row.url)).get(actor, ()))
    await send(session, keyring, activity, inboxes=inboxes, now=now, is_public=True)
    await audit.record(session, actor=by, action="position.withdrawn", subject=id, now=now)
    return row


async def positions(session: AsyncSession, *, limit: int = 200) -> list[Position]:
    """Everything that was written, the latest first; without what was dropped."""
    found = select(Position).where(Position.state != "dropped").order_by(Position.drafted_at.desc())
    return list(await session.scalars(found.limit(limit)))


async def positions_on(session: AsyncSession, case_url: str) -> list[Position]:
    """What we say publicly of a case, in the order it was said."""
    found = select(Position).where(Position.case_url == case_url, Position.state == "live")
    return list(await session.scalars(found.order_by(Position.published_at, Position.id)))


async def position_at(session: AsyncSession, id: str) -> Position | None:
    """One that is public, or was."""
    row = await session.get(Position, id)
    return row if row is not None and row.document is not None else None


async def _case(session: AsyncSession, url: str) -> Entry:
    case = await session.get(Entry, url)
    if case is None or case.own or case.withdrawn_at is not None:
        raise NotFound("no such case of another organisation")
    return case


async def _position(session: AsyncSession, id: str) -> Position:
    row = await session.get(Position, id)
    if row is None:
        raise NotFound("no such position")
    return row


async def _inboxes(session: AsyncSession, settings: Settings, publisher: str | None) -> list[str]:
    inboxes = list(await follower_inboxes(session, settings.main_actor))
    them = await session.get(RemoteActor, publisher) if publisher else None
    return [*inboxes, *([them.delivery_inbox] if them is not None and them.gone_at is None else [])]
