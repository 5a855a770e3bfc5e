"""Who follows whom. The lifecycle of a Follow (ActivityPub §7.5 to §7.7), in both directions, in one table."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, UniqueConstraint, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from federation.sites import site_of
from node import outbox
from node.database import Row
from node.errors import NotAllowed, WrongState
from node.keyring import Keyring
from node.peers.actors import RemoteActor, host_of
from node.peers.ours import LocalActor
from node.peers.sending import new_activity_id, send
from node.settings import Settings
from node.statements import among
from vocab import activities
from vocab.terms import PUBLIC

log = logging.getLogger(__name__)

# Of one site, that one activity goes to because they follow. Anybody can follow under as many names as they like, and each inbox
# costs a delivery; a server that names a shared inbox for all of its people is one.
MOST_INBOXES = 200

STANDING = frozenset({"requested", "accepted"})
MOVES = {
    "requested": {"accepted", "rejected", "undone"},
    "accepted": {"rejected", "undone"},
    "rejected": {"requested"},
    "undone": {"requested"},
}


class Follow(Row):
    """One actor follows another; one of the two is ours, or the public collection that a hub relays.

    activity  the Follow as we sent it, or what names somebody else's: what is embedded when it is answered or undone.
    asked_as  of one of ours the ids it was sent under since it last ended, for some servers answer the first of several, and some
              the last; empty where nobody knows.
    """

    __tablename__ = "follows"

    id: Mapped[int] = mapped_column(primary_key=True)
    activity_id: Mapped[str] = mapped_column(String(2000), index=True)
    follower: Mapped[str] = mapped_column(String(2000))
    followed: Mapped[str] = mapped_column(String(2000), index=True)
    state: Mapped[str] = mapped_column(String(20))
    activity: Mapped[dict[str, Any]]
    asked_as: Mapped[list[str]] = mapped_column(default=list)
    changed_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("follower", "followed"),)

    @property
    def stands(self) -> bool:
        """Whether it is accepted, or waits for its answer."""
        return self.state in STANDING

    def move(self, to: str, now: datetime) -> None:
        """Change state. Raises WrongState."""
        if to not in MOVES[self.state]:
            raise WrongState(f"a Follow that is {self.state} cannot become {to}")
        self.state = to
        self.changed_at = now

    def renew(self, activity: dict[str, Any], now: datetime) -> None:
        """Ask again, under the id of a new Follow; one that is accepted stays accepted."""
        self.activity_id, self.activity, self.changed_at = str(activity["id"]), activity, now
        if self.state in {"rejected", "undone"}:
            self.state = "requested"


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of somebody's Follow."""

    state: str


async def follow(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    us: LocalActor,
    them: RemoteActor,
    now: datetime,
) -> Follow:
    """Ask to follow a remote actor; asking again sends a new Follow, and reads again what one who has accepted published.

    Raises NotAllowed where the server's mode is closed.
    """
    if settings.federation == "closed":
        raise NotAllowed(
            "TRACKER_FEDERATION is closed",
            public="This server is closed: it follows nobody and is followed by nobody.",
        )
    asked_as = new_activity_id(settings)
    activity = activities.follow(asked_as, us.id, them.id)
    row = await between(session, us.id, them.id)
    if row is None:
        row = Follow(activity_id=asked_as, follower=us.id, followed=them.id, state="requested")
        row.activity, row.asked_as, row.changed_at = activity, [asked_as], now
        session.add(row)
    else:
        if not row.stands:
            row.asked_as = [asked_as]
        elif row.asked_as:
            row.asked_as = [*row.asked_as, asked_as]
        row.renew(activity, now)
        if row.state == "accepted":
            await read_back(session, them.id, now=now)
    await send(session, keyring, activity, inboxes=[them.inbox], now=now)
    return row


async def unfollow(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    us: LocalActor,
    them: RemoteActor,
    now: datetime,
) -> bool:
    """Take a Follow of ours back; False when there is none."""
    row = await between(session, us.id, them.id)
    if row is None or not row.stands:
        return False
    row.move("undone", now)
    undo = activities.undo(new_activity_id(settings), us.id, row.activity)
    await send(session, keyring, undo, inboxes=[them.inbox], now=now)
    return True


async def receive_follow(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    us: LocalActor,
    them: RemoteActor,
    activity: dict[str, Any],
    welcome: bool,
    now: datetime,
    followed: str | None = None,
) -> Answered:
    """Somebody wants to follow an actor of ours: accepted when their host is welcome, else refused, and answered either way.

    The answer embeds what names the Follow: some servers do not know it by its id alone.

    followed  what is followed, where it is not `us`, who answers: the public collection, of a relay.
    """
    followed = followed or us.id
    activity = activities.essence(activity)
    row = await between(session, them.id, followed)
    if row is None:
        row = Follow(activity_id=str(activity["id"]), follower=them.id, followed=followed, state="requested")
        row.activity, row.changed_at = activity, now
        session.add(row)
    else:
        row.renew(activity, now)
    build = activities.accept if welcome else activities.reject
    wanted = "accepted" if welcome else "rejected"
    if row.state != wanted:
        row.move(wanted, now)
    answer = build(new_activity_id(settings), us.id, activity)
    await send(session, keyring, answer, inboxes=[them.inbox], now=now)
    return Answered(row.state)


async def receive_undo(session: AsyncSession, *, follower: str, followed: str, now: datetime) -> bool:
    """A follower leaves; False when there was none."""
    row = await between(session, follower, followed)
    if row is None or not row.stands:
        return False
    row.move("undone", now)
    return True


async def receive_answer(
    session: AsyncSession,
    *,
    by: str,
    follow_id: str | None,
    follower: str | None,
    followed: str | None,
    accepted: bool,
    now: datetime,
) -> bool | None:
    """An Accept or Reject of a Follow that we sent: whether that is news; None when it answers nothing of ours.

    by                  the answering actor: must be the one we asked.
    follower, followed  whom the Follow names, where it is embedded: as we said it, or it is another.
    """
    if followed not in (None, by):
        return None
    row = await _asked_under(session, by, follow_id) if follow_id else None
    if row is None and follower is not None:
        row = await between(session, follower, by)
    if row is None or follower not in (None, row.follower):
        return None
    to = "accepted" if accepted else "rejected"
    if follow_id and _is_of_another(follow_id, row, to):
        return None
    if row.state == to:
        return False
    if to not in MOVES[row.state]:
        return None
    row.move(to, now)
    return True


async def _asked_under(session: AsyncSession, followed: str, follow_id: str) -> Follow | None:
    """The Follow of theirs that was asked for under that id, first or since."""
    found = await session.scalars(select(Follow).where(Follow.followed == followed))
    return next((row for row in found if follow_id == row.activity_id or follow_id in row.asked_as), None)


def _is_of_another(follow_id: str, row: Follow, to: str) -> bool:
    """Whether that answer is about a Follow that we sent before this one, and comes late.

    Who asks twice may be answered once; but what was asked since a Follow ended is answered by nothing that was said of that one.
    And as long as the last one waits, a refusal of another leaves it waiting: what answers it would be no answer any more.

    follow_id  which some servers replace by one of their own: that tells nothing.
    """
    if follow_id == row.activity_id or follow_id.rpartition("/")[0] != row.activity_id.rpartition("/")[0]:
        return False
    if row.asked_as and follow_id not in row.asked_as:
        return True
    return to == "rejected" and row.state == "requested"


async def receive_block(session: AsyncSession, *, by: str, us: str, now: datetime) -> None:
    """A remote actor blocks one of ours: whatever stands between the two ends, in silence."""
    theirs, ours = await between(session, by, us), await between(session, us, by)
    if theirs is not None and theirs.stands:
        theirs.move("undone", now)
    if ours is not None and ours.stands:
        ours.move("rejected", now)
    await receive_undo(session, follower=by, followed=PUBLIC, now=now)


async def receive_farewell(session: AsyncSession, by: str, *, now: datetime) -> None:
    """A remote actor is gone: it follows nobody and is followed by nobody any more."""
    found = select(Follow).where(
        (Follow.follower == by) | (Follow.followed == by), Follow.state.in_(STANDING)
    )
    for row in list(await session.scalars(found)):
        row.move("undone" if row.follower == by else "rejected", now)


async def followed_by_activity(session: AsyncSession, activity_id: str, *, follower: str) -> str | None:
    """Whom they follow by the Follow with that id."""
    return await session.scalar(
        select(Follow.followed).where(Follow.activity_id == activity_id, Follow.follower == follower)
    )


async def between(session: AsyncSession, follower: str, followed: str) -> Follow | None:
    """The Follow between these two, whatever its state."""
    return await session.scalar(
        select(Follow).where(Follow.follower == follower, Follow.followed == followed)
    )


async def follows(session: AsyncSession, follower: str, followed: str) -> bool:
    """True when an accepted Follow stands."""
    row = await between(session, follower, followed)
    return row is not None and row.state == "accepted"


async def is_followed(session: AsyncSession, actor: str) -> bool:
    """True when an actor of ours follows this one, who agreed."""
    found = select(Follow.id).where(Follow.followed == actor, Follow.state == "accepted")
    return await session.scalar(found.limit(1)) is not None


def admits(host: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an actor of this host says that it is of this network, and is followed by us and agreed to it."""
    other = aliased(RemoteActor)
    found = select(Follow.id).join(other, other.id == Follow.followed)
    return found.where(other.host == host, other.is_network.is_(True), Follow.state == "accepted").exists()


_FOLLOWS, _ACTORS = Follow.__table__.c, RemoteActor.__table__.c
_INBOX = func.coalesce(_ACTORS.shared_inbox, _ACTORS.inbox)
# Built once: it is asked for whatever is sent to followers.
_INBOXES = (
    select(_FOLLOWS.followed, func.max(_ACTORS.shared_inbox).is_(None), func.min(_FOLLOWS.id), _INBOX)
    .select_from(Follow.__table__.join(RemoteActor.__table__, _FOLLOWS.follower == _ACTORS.id))
    .where(among(_FOLLOWS.followed, "followed"), _FOLLOWS.state == "accepted", _ACTORS.gone_at.is_(None))
    .group_by(_FOLLOWS.followed, _INBOX)
    .order_by(_INBOX)
)


async def follower_inboxes(session: AsyncSession, followed: str) -> list[str]:
    """Where one POST each reaches every follower, shared inboxes folded; of one site MOST_INBOXES."""
    return (await inboxes_of_followers(session, [followed]))[followed]


async def inboxes_of_followers(session: AsyncSession, followed: Collection[str]) -> dict[str, list[str]]:
    """The same for several actors of ours, by actor."""
    await session.flush()
    found = await (await session.connection()).execute(_INBOXES, {"followed": followed})
    inboxes: dict[str, list[tuple[bool, int, str]]] = {actor: [] for actor in followed}
    for actor, is_single, since, address in found:
        inboxes[actor].append((is_single, since, address))
    return {actor: _few_of_each_site(those) for actor, those in inboxes.items()}


def _few_of_each_site(inboxes: Sequence[tuple[bool, int, str]]) -> list[str]:
    """The addresses, without what is too much of one site.

    Each of its hosts has a place before one has a second: who shares the name of a provider is not pushed out by a neighbour with
    many followers. Then shared inboxes count before others, and who follows for longer before who came since.

    inboxes  whether it is one person's alone, the first Follow behind it, and its address.
    """
    addresses = [address for *_, address in inboxes]
    if len(addresses) <= MOST_INBOXES:
        return addresses
    many = Counter(site_of(host_of(address)) for address in addresses)
    if max(many.values()) <= MOST_INBOXES:
        return addresses
    by_site: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    of_host: Counter[str] = Counter()
    for _, since, address in sorted(inboxes):
        host = host_of(address)
        if many[site_of(host)] > MOST_INBOXES:
            by_site[site_of(host)].append((of_host[host], since, address))
            of_host[host] += 1
    left_out: set[str] = set()
    for site, those in by_site.items():
        beyond = sorted(those)[MOST_INBOXES:]
        left_out.update(address for *_, address in beyond)
        log.warning("followers.too-many-inboxes", extra={"site": site, "left_out": len(beyond)})
    return [address for address in addresses if address not in left_out]


_ACCEPTED = Follow.__table__.join(RemoteActor.__table__, _ACTORS.id == _FOLLOWS.followed)


def _accepted(follower: str) -> tuple[ColumnElement[bool], ...]:
    return (_FOLLOWS.follower == follower, _FOLLOWS.state == "accepted", _ACTORS.gone_at.is_(None))


async def count_followers(session: AsyncSession, followed: str) -> int:
    """How many follow an actor of ours."""
    counted = (
        select(func.count())
        .select_from(Follow)
        .where(Follow.followed == followed, Follow.state == "accepted")
    )
    return await session.scalar(counted) or 0


async def count_following(session: AsyncSession, follower: str) -> int:
    """How many an actor of ours follows."""
    counted = (
        select(func.count())
        .select_from(Follow)
        .where(Follow.follower == follower, Follow.state == "accepted")
    )
    return await session.scalar(counted) or 0


async def followed_by(session: AsyncSession, follower: str) -> list[tuple[Follow, RemoteActor]]:
    """Whom an actor of ours follows or asked to follow."""
    rows = await session.execute(
        select(Follow, RemoteActor)
        .join(RemoteActor, RemoteActor.id == Follow.followed)
        .where(Follow.follower == follower)
        .order_by(RemoteActor.name)
    )
    return [(row[0], row[1]) for row in rows]


@dataclass(frozen=True, slots=True)
class Followed:
    """Somebody whom an actor of ours follows, who accepted and is there, as they last described themselves. since: when they accepted."""

    since: datetime
    id: str
    host: str
    type: str
    name: str
    url: str
    states: str
    is_network: bool


async def accepted_by(
    session: AsyncSession, follower: str, *, offset: int = 0, limit: int | None = None
) -> list[Followed]:
    """Who accepted a Follow of this actor of ours, by name; or a part of them. Values and no rows, for a hub follows thousands."""
    told = [getattr(_ACTORS, field.name) for field in fields(Followed)[1:]]
    found = select(_FOLLOWS.changed_at, *told).select_from(_ACCEPTED).where(*_accepted(follower))
    rows = await session.execute(found.order_by(_ACTORS.name, _ACTORS.id).offset(offset).limit(limit))
    return [Followed(*row) for row in rows]


async def count_accepted(session: AsyncSession, follower: str) -> int:
    """How many `accepted_by` tells of."""
    counted = select(func.count()).select_from(_ACCEPTED).where(*_accepted(follower))
    return await session.scalar(counted) or 0


async def read_back(session: AsyncSession, *actors: str, now: datetime) -> None:
    """Read from their outboxes what these have published that we do not have; once, however often it is asked for before it begins."""
    orders = [_reading("backfill", "actor", actor, host=host_of(actor)) for actor in actors]
    await outbox.enqueue_many(session, orders, now=now)


async def ask_about(session: AsyncSession, *hosts: str, after: str = "", now: datetime) -> None:
    """Ask what stands at these hosts of the cases that are shown here and whose publishers we do not follow: whoever is, is read back.

    after  of those cases whose ids come after this one.
    """
    orders = [_reading("ask-again", "host", host, host=host, after=after) for host in hosts]
    await outbox.enqueue_many(session, orders, now=now)


def _reading(kind: str, what: str, name: str, *, host: str, after: str = "") -> outbox.Order:
    payload = {what: name, "after": after} if after else {what: name}
    return outbox.Order(kind, payload, lane=f"chore:{kind}:{host}", key=f"{kind}:{name}{after}"[:300])
