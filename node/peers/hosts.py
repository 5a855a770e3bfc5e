"""Hosts: what people decided about them, what lists advise, and which signature dialect they understood last.

A decision holds for the host and all below it, unless one nearer to the host says otherwise. Decisions made here win over advice.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import idna
from sqlalchemy import (
    ForeignKey,
    Insert,
    String,
    delete,
    false,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation import addresses
from federation.errors import Forbidden
from node import outbox
from node.database import Row
from node.errors import Invalid
from node.peers.actors import FRESH, RemoteActor, RemoteKey
from node.peers.follows import STANDING, Follow, ask_about, read_back
from node.peers.modes import last_mode
from node.peers.sending import send_withheld, withheld_from
from node.settings import Settings
from node.statements import Bulk, Question, Source, among
from vocab.properties import legible

POLICIES = ("allow", "limit", "block")
DEFAULT_PORTS = ("443", "80")
AT_ONCE = 500
MAX_REASON = 1000
# The job by which what comes from hosts that are shut out is shown to nobody any more.
REST = "rest-cases"


class Host(Row):
    """A remote host. `policy`, `no_media` and `no_reports` are one decision of people; `dialect` is what its inbox answered to.

    no_media          none of its pictures and files is to be fetched or shown.
    no_reports        what it reports is not taken.
    failing_since     when it stopped taking what we send; None while it takes it.
    """

    __tablename__ = "hosts"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    policy: Mapped[str | None] = mapped_column(String(10))
    no_media: Mapped[bool] = mapped_column(default=False)
    no_reports: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None] = mapped_column(String(MAX_REASON))
    decided_at: Mapped[datetime | None]
    dialect: Mapped[str | None] = mapped_column(String(20))
    failing_since: Mapped[datetime | None]

    @property
    def is_decided(self) -> bool:
        """Whether people here decided anything about it."""
        return self.policy is not None or self.no_media or self.no_reports


def _decide(insert: Any) -> Insert:
    said = insert(Host)
    told = {name: said.excluded[name] for name in _DECISION}
    decided: Insert = said.on_conflict_do_update(index_elements=[Host.name], set_=told)
    return decided


_DECISION = ("policy", "no_media", "no_reports", "reason", "decided_at")
_DECIDE = Bulk(_decide, ("name", *_DECISION))


class Blocklist(Row):
    """A list of hosts, published and signed by somebody else, that this server follows."""

    __tablename__ = "blocklists"

    url: Mapped[str] = mapped_column(String(600), primary_key=True)
    actor: Mapped[str] = mapped_column(String(2000))
    read_at: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(String(300))


class HostAdvice(Row):
    """What a list that we follow says of a host; counts where nobody here decided."""

    __tablename__ = "host_advice"

    blocklist: Mapped[str] = mapped_column(ForeignKey("blocklists.url", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(300), primary_key=True, index=True)
    policy: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(MAX_REASON))


@dataclass(frozen=True, slots=True)
class Decision:
    """What people decide about a host and all below it; nothing at all lifts it.

    host  as `host_name` spells it.
    """

    host: str
    policy: str | None
    reason: str
    no_media: bool = False
    no_reports: bool = False


class Ourselves(Invalid):
    """A decision about this very server, or a name above it."""

    public = "This is this very server, or a name above it."


class Standing(StrEnum):
    """What a host may do here."""

    OPEN = "open"
    """Whatever anybody may."""
    LIMITED = "limited"
    """Follow and leave; it adds nothing here."""
    SHUT = "shut"
    """Nothing: it is not listened to and not asked."""


# From the strictest.
_RANK = {standing: rank for rank, standing in enumerate((Standing.SHUT, Standing.LIMITED, Standing.OPEN))}


def host_name(text: str) -> str:
    """The one spelling of a host that decisions go by, from a name, a URL or a handle.

    Lower case, IDNA as on the wire, no trailing dot, no default port, no leading `*.`. Raises Invalid.
    """
    bare = text.strip().rpartition("://")[2].partition("/")[0].rpartition("@")[2].removeprefix("*.")
    if bare.startswith("["):
        name, _, port = bare.partition("]")
        name, port = f"{name}]".lower(), port.removeprefix(":")
    else:
        name, _, port = bare.partition(":")
        name = name.rstrip(".").lower()
        if not name.isascii():
            try:
                name = idna.encode(name, uts46=True).decode("ascii")
            except idna.IDNAError as error:
                raise Invalid("not a host", public="This is not the name of a host.") from error
    try:
        # As whoever connects reads it: a name that cannot be had is no formula for a table either, and fits into its column.
        addresses.parse(f"https://{name}:{port}" if port else f"https://{name}")
    except Forbidden as error:
        raise Invalid("not a host", public="This is not the name of a host.") from error
    return f"{name}:{port}" if port and port not in DEFAULT_PORTS else name


def other_host(settings: Settings, text: str) -> str:
    """The same of another server than this: nobody cuts us off from ourselves. Raises Ourselves, Invalid."""
    name = host_name(text)
    if name in _lineage(settings.authority):
        raise Ourselves(f"{name} is this server, or above it")
    return name


async def standings(source: Source, settings: Settings, hosts: Collection[str]) -> dict[str, Standing]:
    """What each of these hosts may do here, by decision, by advice, and by the server's mode.

    open     everybody but who is blocked or limited.
    limited  those as with `members`; whoever else is not blocked may follow and leave.
    members  hosts that are allowed, and those of actors that we follow or asked to. Of whom we followed once, cases may be shown
             here yet: they may withdraw them, as one who is limited, and correct them.
    closed   nobody.
    """
    return await _standings(source, settings.federation, hosts)


async def _standings(source: Source, mode: str, hosts: Collection[str]) -> dict[str, Standing]:
    if mode == "closed":
        return dict.fromkeys(hosts, Standing.SHUT)
    decided = await _decisions(source, hosts)
    found: dict[str, Standing] = {}
    for host in hosts:
        match decided.get(host):
            case "block":
                found[host] = Standing.SHUT
            case "limit":
                found[host] = Standing.LIMITED
            case "allow":
                found[host] = Standing.OPEN
            case _ if mode == "open":
                found[host] = Standing.OPEN
    unknown = [host for host in hosts if host not in found]
    if unknown:
        stranger = Standing.LIMITED if mode == "limited" else Standing.SHUT
        found |= dict.fromkeys(unknown, stranger)
        follows = {(host, state) for host, state in await _FOLLOWED.ask(source, names=unknown)}
        found |= {host: Standing.LIMITED for host, _ in follows}
        found |= {host: Standing.OPEN for host, state in follows if state in STANDING}
    return found


async def blocked(source: Source, hosts: Collection[str]) -> set[str]:
    """Those of the hosts that are blocked, whatever the server's mode."""
    decided = await _decisions(source, hosts)
    return {host for host, policy in decided.items() if policy == "block"}


async def limited(source: Source, hosts: Collection[str]) -> set[str]:
    """Those of the hosts that are limited by a decision or a list, and not by the server's mode alone."""
    decided = await _decisions(source, hosts)
    return {host for host, policy in decided.items() if policy == "limit"}


async def is_blocked(session: AsyncSession, host: str) -> bool:
    """True when this host, or a domain above it, is blocked."""
    return bool(await blocked(session, [host]))


async def takes_reports_of(session: AsyncSession, host: str) -> bool:
    """Whether reports of this host are taken: the nearest decision about it or a domain above it says."""
    decided = await _nearest_row(session, host)
    return decided is None or not decided.no_reports


async def shows_media_of(session: AsyncSession, host: str) -> bool:
    """Whether pages of ours lead to pictures of this host: the nearest decision about it or a domain above it says."""
    decided = await _nearest_row(session, host)
    return decided is None or not decided.no_media


async def _nearest_row(session: AsyncSession, host: str) -> Host | None:
    line = _lineage(host)
    said = {row.name: row for row in await session.scalars(select(Host).where(Host.name.in_(line), DECIDED))}
    return next((said[name] for name in line if name in said), None)


async def decide(
    session: AsyncSession,
    host: str,
    policy: str | None,
    *,
    reason: str,
    now: datetime,
    no_media: bool = False,
    no_reports: bool = False,
) -> Host:
    """Decide about one host, as `decide_all`. Raises Invalid when it is no host."""
    name = host_name(host)
    decision = Decision(name, policy, reason, no_media=no_media, no_reports=no_reports)
    await decide_all(session, [decision], now=now)
    return await session.get_one(Host, name, populate_existing=True)


async def decide_all(session: AsyncSession, decisions: Collection[Decision], *, now: datetime) -> None:
    """Set what we hold against hosts, each another. A block forgets their keys and ends their follows.

    Who may say more by it than before is read for what came meanwhile. What follows from them is done once for all of them: a list
    names fifty thousand.
    """
    eases = any(one.policy != "block" for one in decisions)
    named = [one.host for one in decisions]
    before = await standing_of_known(session, named) if eases else {}
    rows = (
        {
            "name": one.host,
            "policy": one.policy,
            "no_media": one.no_media,
            "no_reports": one.no_reports,
            # As a file that it goes out in brings it back.
            "reason": legible(one.reason.strip(), MAX_REASON) or "",
            "decided_at": now,
        }
        for one in decisions
    )
    await session.flush()
    await _DECIDE.run(session, rows)
    if any(one.policy == "block" for one in decisions):
        await drop_blocked(session, now=now)
        await rest_cases(session, now=now)
    if eases:
        await listen_again(session, before, named, now=now)


async def rest_cases(session: AsyncSession, *, now: datetime) -> None:
    """Have nothing shown any more of hosts that are blocked by now; once for all that is decided at one moment.

    And once more later: whoever asked before it was decided may keep a case after it was looked for.
    """
    for due in (now, now + outbox.LEASE):
        key = f"{REST}/{due.isoformat()}"
        await outbox.enqueue(session, REST, {}, lane=f"chore:{REST}", key=key, not_before=due, now=now)


async def standing_of_known(session: AsyncSession, named: Collection[str] = ()) -> dict[str, Standing]:
    """What each host may do here of those we know somebody of, and of these, in the mode in which this server last began."""
    mode = await last_mode(session) or "open"
    return await _standings(session, mode, {*await _known(session), *named})


async def _known(session: AsyncSession) -> set[str]:
    return set(await session.scalars(select(RemoteActor.host).distinct()))


async def listen_again(
    session: AsyncSession, before: Mapping[str, Standing], named: Collection[str] = (), *, now: datetime
) -> None:
    """Read what those published meanwhile whose host may say more than it might: what they sent was refused, and is not sent again.

    Who is only limited yet may withdraw, also one whom the mode alone had shut out. Of whom we do not follow, what is here may have
    been corrected, or withdrawn: then it rests, and is not to be kept for that. Nor was what we say sent to who was blocked: what is for
    everybody goes there now.

    before, named  as `standing_of_known` had it, and was given.
    """
    after = await standing_of_known(session, named)
    eased = {host for host, standing in before.items() if _RANK[after.get(host, standing)] > _RANK[standing]}
    # Of others nothing is here that could be asked about: a list may name tens of thousands.
    theirs = sorted(eased & await _known(session))
    await ask_about(session, *theirs, now=now)
    followed = select(RemoteActor.id).join(Follow, Follow.followed == RemoteActor.id)
    # What a group announced of them was refused like what they said themselves.
    concerned = or_(among(RemoteActor.host, theirs), RemoteActor.type == "Group") if eased else false()
    followed = followed.where(concerned, Follow.state == "accepted").distinct()
    await read_back(session, *await session.scalars(followed.order_by(RemoteActor.id)), now=now)
    withheld = await withheld_from(session)
    await send_withheld(session, withheld - await blocked(session, withheld), now=now)


async def decisions(session: AsyncSession, *, offset: int = 0, limit: int | None = None) -> list[Host]:
    """Every decision that stands, by name; or a part of them."""
    found = select(Host).where(DECIDED).order_by(Host.name).offset(offset)
    return list(await session.scalars(found.limit(limit)))


async def decided_among(session: AsyncSession, hosts: Collection[str]) -> set[str]:
    """Those of the hosts about which something was decided here, by exactly these names."""
    return set(await session.scalars(select(Host.name).where(among(Host.name, hosts), DECIDED)))


async def drop_blocked(session: AsyncSession, *, now: datetime) -> None:
    """Forget the keys of hosts that people here have blocked, and end the follows to and from them.

    What a list advises ends nothing: it shuts a host out while it says so, and a list may be wrong for a day.
    """
    said = await session.execute(select(Host.name, Host.policy).where(Host.policy.is_not(None)))
    decided: dict[str, str] = {name: policy for name, policy in said if policy is not None}
    known = await session.scalars(select(RemoteActor.host).distinct())
    shut = [host for host in known if _nearest(_lineage(host), (decided,)) == "block"]
    for start in range(0, len(shut), AT_ONCE):
        theirs = RemoteActor.host.in_(shut[start : start + AT_ONCE])
        actors = select(RemoteActor.id).where(theirs)
        await session.execute(delete(RemoteKey).where(RemoteKey.owner.in_(actors)))
        # Whoever is let back in is asked who they are before anything of theirs is looked at: nothing holds without their keys.
        await session.execute(
            update(RemoteActor)
            .where(theirs, RemoteActor.fetched_at > now - FRESH)
            .values(fetched_at=now - FRESH)
            .execution_options(synchronize_session=False)
        )
        for side, state in ((Follow.follower, "rejected"), (Follow.followed, "undone")):
            # Nobody is told: whoever is blocked learns it from the answers alone.
            await session.execute(
                update(Follow)
                .where(side.in_(actors), Follow.state.in_(STANDING))
                .values(state=state, changed_at=now)
                .execution_options(synchronize_session=False)
            )


DECIDED = or_(Host.policy.is_not(None), Host.no_media, Host.no_reports)
_HOSTS, _ADVICE = Host.__table__.c, HostAdvice.__table__.c
# Built once, as what is asked for every batch that comes in or goes out.
_SAID = Question(
    union_all(
        select(literal_column("0").label("rank"), _HOSTS.name, _HOSTS.policy).where(
            among(_HOSTS.name, "names"), _HOSTS.policy.is_not(None)
        ),
        select(literal_column("1"), _ADVICE.name, _ADVICE.policy).where(among(_ADVICE.name, "names")),
    )
)
_FOLLOWED = Question(
    select(RemoteActor.host, Follow.state)
    .join(Follow, Follow.followed == RemoteActor.id)
    .where(among(RemoteActor.host, "names"))
)


async def _decisions(source: Source, hosts: Collection[str]) -> dict[str, str]:
    """Host → the policy that holds for it: the nearest decision made here, else the nearest advice, the strictest of several."""
    lines = {host: _lineage(host) for host in hosts}
    names = {name for line in lines.values() for name in line}
    if not names:
        return {}
    said: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for rank, name, policy in await _SAID.ask(source, names=names):
        said[rank][name] = max(said[rank].get(name, policy), policy, key=POLICIES.index)
    return {host: policy for host, line in lines.items() if (policy := _nearest(line, said)) is not None}


def _nearest(line: tuple[str, ...], said: tuple[Mapping[str, str], ...]) -> str | None:
    return next((words[name] for words in said for name in line if name in words), None)


@lru_cache(maxsize=16_384)
def _lineage(host: str) -> tuple[str, ...]:
    """The names under which something may be decided about a host, nearest first."""
    try:
        full = host_name(host)
    except Invalid:
        # Nothing can be decided about what is no host; whoever connects will refuse it.
        return (host,)
    if full.startswith("["):
        return (full, full.partition("]")[0] + "]")
    name = full.partition(":")[0]
    parts = name.split(".")
    return tuple(dict.fromkeys((full, *(".".join(parts[i:]) for i in range(len(parts))))))
