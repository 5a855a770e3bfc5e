"""What we say to others: activities with a proof, kept as the exact bytes that are sent, one delivery per folded inbox."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Insert, String, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.proofs import attach
from node import outbox
from node.database import Row
from node.ids import random_id
from node.keyring import Keyring
from node.lanes import dead_in, lanes_of_dead, revive
from node.peers.actors import host_of
from node.settings import Settings
from node.statements import Bulk, Question, Source, among
from vocab.activities import Activity
from vocab.jsonld import parse, write
from vocab.terms import PUBLIC

# The job that erases answers to single servers, once a day, and when: nothing waits longer than that for a server.
FORGET_ANSWERS = "forget-answers"
ANSWERS_KEPT = timedelta(days=36)
# Why a delivery to a host that is shut out is not made. When the host is let in again, what was for everybody is sent after all.
WITHHELD = "the host is blocked"
HOSTS_AT_ONCE = 100
FOR_ONE_SERVER = ("Accept", "Reject", "Flag")
MAX_ID = 600


class Sent(Row):
    """An activity of ours: the signed bytes, never serialised again.

    object_id  what it is about.
    body       empty when what it told of was withdrawn; without a proof what is only read, see `as_read`.
    wraps      the activity of somebody else that it passes on (FEP-1b12), or is (forwarded, FEP-ae0c); None for what we say ourselves.
    """

    __tablename__ = "sent"

    id: Mapped[str] = mapped_column(String(600), primary_key=True)
    actor: Mapped[str] = mapped_column(String(600), index=True)
    type: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(2000), index=True)
    wraps: Mapped[str | None] = mapped_column(String(2000))
    body: Mapped[bytes]
    is_public: Mapped[bool]
    sent_at: Mapped[datetime] = mapped_column(index=True)


# What holds the text of its object: our own words of it, and a member's, however they spelled them, as a hub passed them on.
_TOLD = or_(Sent.type.in_(("Create", "Update")), Sent.wraps.is_not(None))


class SentTo(Row):
    """To which inboxes an activity of ours went out, one a line. Apart from `Sent`, which each delivery reads."""

    __tablename__ = "sent_to"

    activity: Mapped[str] = mapped_column(ForeignKey("sent.id", ondelete="CASCADE"), primary_key=True)
    inboxes: Mapped[str]


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share their methods but no base class that says so.
    added: Insert = insert(Sent)
    return added


def _tell(insert: Any) -> Insert:
    told: Insert = insert(SentTo)
    return told


_ADD = Bulk(_add, ("id", "actor", "type", "object_id", "wraps", "body", "is_public", "sent_at"))
_TELL = Bulk(_tell, ("activity", "inboxes"))


def new_activity_id(settings: Settings) -> str:
    """An address under which the activity can be fetched."""
    return f"{settings.origin}/activities/{random_id()}"


@dataclass(frozen=True, slots=True)
class Parcel:
    """An activity that is to be sent, and where to.

    activity  as built by vocab.activities; `object` is an id or a mapping with one.
    inboxes   already folded to shared inboxes; doubles are sent once.
    about     what an activity is about that its object, an activity of somebody else, is passed on for.
    """

    activity: dict[str, Any]
    inboxes: Collection[str]
    is_public: bool = False
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody else's proven activity that is to be passed on as it is, under its own id. A repeat adds nothing.

    said   as it was read, with its proof, which is all that speaks for it: others may spell its members otherwise than we do.
    by     the actor of ours that signs each delivery, and nothing else.
    about  the case it tells of: when that is withdrawn, the words are erased here like our own.
    """

    said: Activity
    inboxes: Collection[str]
    by: str
    about: str


@dataclass(frozen=True, slots=True)
class Packed:
    """An activity that is ready to be sent: its row, with the bytes that are sent, and where to."""

    row: dict[str, Any]
    inboxes: tuple[str, ...]

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def is_of_others(self) -> bool:
        """Whether it is somebody else's, as they said it."""
        return bool(self.row["wraps"] == self.id)


async def send(
    session: AsyncSession,
    keyring: Keyring,
    activity: dict[str, Any],
    *,
    inboxes: Collection[str],
    now: datetime,
    is_public: bool = False,
) -> Sent:
    """Sign an activity, keep it, and enqueue one delivery per inbox, all in the caller's transaction."""
    await send_all(session, [pack(keyring, Parcel(activity, inboxes, is_public), now=now)], now=now)
    return await session.get_one(Sent, str(activity["id"]))


async def send_all(session: AsyncSession, packed: Iterable[Packed], *, now: datetime) -> None:
    """Send several in as few statements as one, and lock all the lanes that they go into in one order."""
    wanted = {one.id: one for one in packed if len(one.id) <= MAX_ID}
    if others := [name for name, one in wanted.items() if one.is_of_others]:
        for known in await session.scalars(select(Sent.id).where(among(Sent.id, others))):
            del wanted[known]
    told: list[dict[str, str]] = []
    orders: list[outbox.Order] = []
    for name, one in wanted.items():
        if one.inboxes and one.row["is_public"]:
            told.append({"activity": name, "inboxes": "\n".join(one.inboxes)})
        orders += [_order(name, one.row["actor"], inbox) for inbox in one.inboxes]
    await _ADD.run(session, [one.row for one in wanted.values()])
    await _TELL.run(session, told)
    if orders:
        await outbox.enqueue_many(session, orders, now=now)


async def send_also(session: AsyncSession, sent: Sent, inbox: str, *, now: datetime) -> None:
    """Send an activity of ours that is on its way already to one inbox more; where it went, it does not go again."""
    # Two who add to the list wait for each other.
    await session.refresh(sent, with_for_update=True)
    told = await session.get(SentTo, sent.id, populate_existing=True)
    inboxes = told.inboxes.split("\n") if told is not None else []
    if inbox in inboxes:
        return
    listed = "\n".join(sorted([*inboxes, inbox]))
    if told is None:
        session.add(SentTo(activity=sent.id, inboxes=listed))
    else:
        told.inboxes = listed
    await session.flush()
    await outbox.enqueue_many(session, [_order(sent.id, sent.actor, inbox)], now=now)


def pack(keyring: Keyring, parcel: Parcel | Passed, *, now: datetime) -> Packed:
    """Write what is sent, and sign it where it is ours: what takes longest of sending, and needs no transaction."""
    match parcel:
        case Parcel():
            row = _signed(keyring, parcel, now=now)
        case Passed(said=said):
            row = {
                "id": said.id,
                "actor": parcel.by,
                "type": said.type,
                "object_id": parcel.about,
                "wraps": said.id,
                "body": write(said.raw),
                "is_public": True,
                "sent_at": now,
            }
    return Packed(row, tuple(sorted(set(parcel.inboxes))))


def _order(activity_id: str, actor: str, inbox: str) -> outbox.Order:
    return outbox.Order(
        kind="deliver",
        payload={"activity": activity_id, "actor": actor, "inbox": inbox},
        lane=lane_to(host_of(inbox)),
        key=delivery_key(activity_id, inbox),
    )


def _signed(keyring: Keyring, parcel: Parcel, *, now: datetime) -> dict[str, Any]:
    activity, actor = parcel.activity, str(parcel.activity["actor"])
    # A hub announces a case by many actors, whom often nobody follows: what is only read is signed when it is.
    is_sent = bool(parcel.inboxes) or activity["type"] != "Announce"
    object_ = activity.get("object")
    if isinstance(object_, list):
        object_ = object_[0]
    object_id = str(object_.get("id") if isinstance(object_, dict) else object_)
    return {
        "id": str(activity["id"]),
        "actor": actor,
        "type": str(activity["type"]),
        "object_id": parcel.about or object_id,
        "wraps": object_id if parcel.about else None,
        "body": write(attach(activity, keyring.signer(actor, "ed25519"), now=now) if is_sent else activity),
        "is_public": parcel.is_public,
        "sent_at": now,
    }


def lane_to(host: str) -> str:
    """Where what goes to a host stands in line."""
    return f"to:{host}"


def delivery_key(activity_id: str, inbox: str) -> str:
    """The key of the job that delivers this there."""
    key = f"deliver:{activity_id}:{inbox}"
    # Two long addresses may begin alike: what stands for them must not.
    return key if len(key) <= 300 else f"{key[:235]}:{hashlib.sha256(key.encode()).hexdigest()}"


async def erase_sent(session: AsyncSession, object_id: str) -> None:
    """What told of an object that is withdrawn now holds its text: it is shown and sent to nobody any more, and gone.

    Whoever has not got it by now gets what follows it: a withdrawal that first brings what it withdraws would protect nobody.
    """
    told = update(Sent).where(Sent.object_id == object_id, _TOLD)
    erased = told.values(is_public=False, body=b"")
    await session.execute(erased.execution_options(synchronize_session="fetch"))


async def went_to(session: AsyncSession, *object_ids: str) -> dict[str, set[str]]:
    """To which inboxes what told of an object went out, by the actor who said it; what was passed on as it is, by the public collection."""
    found = await session.execute(
        select(Sent.id, Sent.actor, Sent.wraps, SentTo.inboxes)
        .join(SentTo, SentTo.activity == Sent.id)
        .where(among(Sent.object_id, object_ids), or_(_TOLD, Sent.type == "Announce"))
    )
    went: dict[str, set[str]] = {}
    for name, actor, wraps, inboxes in found:
        went.setdefault(PUBLIC if wraps == name else actor, set()).update(inboxes.split("\n"))
    return went


async def begin_forgetting(session: AsyncSession, *, now: datetime) -> None:
    """Look tomorrow for answers that may be erased; twice on one day is once."""
    await outbox.enqueue_tomorrow(session, FORGET_ANSWERS, now=now)


async def forget_answers(session: AsyncSession, *, now: datetime) -> None:
    """Erase what was only ever for one server, which has it or was given up: anybody may ask us for any number of answers, and what
    the desk reported to somebody's server names them.
    """
    old = delete(Sent).where(
        Sent.sent_at < now - ANSWERS_KEPT, Sent.type.in_(FOR_ONE_SERVER), Sent.is_public.is_(False)
    )
    await session.execute(old.execution_options(synchronize_session=False))


async def withheld_from(session: AsyncSession) -> set[str]:
    """The hosts to which something is not delivered because they were blocked when its turn came."""
    lanes = await lanes_of_dead(session, "deliver", WITHHELD)
    return {lane.removeprefix(lane_to("")) for lane in lanes}


async def send_withheld(session: AsyncSession, hosts: Collection[str], *, now: datetime) -> None:
    """Send these hosts after all what is for everybody and was withheld: a withdrawal may be among it, or a correction.

    Not what was said to somebody there alone: who follows whom may have changed with the block.
    """
    lanes = sorted(map(lane_to, hosts))
    # A list that is followed no more lets thousands of hosts in, for each of which years may be withheld.
    for start in range(0, len(lanes), HOSTS_AT_ONCE):
        dead = await dead_in(session, lanes[start : start + HOSTS_AT_ONCE], WITHHELD)
        names = {str(job.payload["activity"]) for job in dead}
        found = await session.scalars(select(Sent.id).where(among(Sent.id, names), Sent.is_public.is_(True)))
        public = set(found)
        await revive(session, [job for job in dead if job.payload["activity"] in public], now=now)


def as_read(sent: Sent, keyring: Keyring) -> bytes:
    """The signed bytes of an activity of ours, the same each time: signed now where it was never sent to anybody."""
    if sent.type != "Announce" or "proof" in (document := parse(sent.body)):
        return sent.body
    return write(attach(document, keyring.signer(sent.actor, "ed25519"), now=sent.sent_at))


async def sent_activity(session: AsyncSession, activity_id: str) -> Sent | None:
    """An activity of ours by its address."""
    return await session.get(Sent, activity_id)


_SENT = Sent.__table__.c
# Built once, as what is asked for every batch that goes out.
_BODIES = Question(select(_SENT.id, _SENT.body, _SENT.is_public).where(among(_SENT.id, "names")))


async def bodies_of(source: Source, ids: Collection[str]) -> dict[str, tuple[bytes, bool]]:
    """The bytes of activities of ours by their addresses, and whether all may know of them; those that are not there are left out."""
    return {name: (body, is_public) for name, body, is_public in await _BODIES.ask(source, names=ids)}


async def sent_by(
    session: AsyncSession, actor: str, *, after: tuple[datetime, str] | None = None, limit: int = 20
) -> list[Sent]:
    """Public activities of an actor, newest first; without what it passed on, which its own Announce stands for.

    after  moment and id of the last one that the reader has seen.
    """
    wanted = select(Sent).where(Sent.actor == actor, Sent.is_public.is_(True), Sent.wraps.is_(None))
    if after is not None:
        moment, last = after
        wanted = wanted.where(or_(Sent.sent_at < moment, and_(Sent.sent_at == moment, Sent.id < last)))
    return list(await session.scalars(wanted.order_by(Sent.sent_at.desc(), Sent.id.desc()).limit(limit)))


async def last_told(session: AsyncSession, objects: Collection[str]) -> set[str]:
    """The activities of ours that show these objects as they are: of each the last Create or Update."""
    told = select(Sent.object_id, Sent.id).where(among(Sent.object_id, objects), Sent.is_public.is_(True))
    told = told.where(Sent.type.in_(("Create", "Update")), Sent.wraps.is_(None))
    found = await session.execute(told.order_by(Sent.sent_at, Sent.id))
    return set({row[0]: row[1] for row in found}.values())


async def count_sent(session: AsyncSession, actor: str) -> int:
    """How many public activities of its own an actor has sent."""
    counted = (
        select(func.count())
        .select_from(Sent)
        .where(Sent.actor == actor, Sent.is_public.is_(True), Sent.wraps.is_(None))
    )
    return await session.scalar(counted) or 0
