"""What was published while we did not listen: the outbox of whom we follow is read, and what is shown of others is asked for."""

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FetchError, NotThere, Unreachable
from node.entries.entries import RESTING, SHOWN, Entry, show_again
from node.hub.quarantine import waiting
from node.inbox.forwarded import gone
from node.inbox.handlers import on_delete
from node.inbox.keeping import FORGET
from node.inbox.process import TRIES, try_again_at
from node.inbox.proving import RefusedActivity, is_followed
from node.inbox.taking import fetch_case
from node.outbox import Done, Job, Outcome, Postponed, Turn
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_document
from node.peers.follows import Follow, ask_about, read_back
from node.peers.hosts import is_blocked
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity, read_activity
from vocab.errors import NotAnAddress, VocabError
from vocab.properties import Properties, simplified

log = logging.getLogger(__name__)

MAX_PAGES = 50
MAX_CASES = 1000
# An outbox that names case after case that is not there only wants to keep us busy.
MAX_MISSES = 50
# A server that says so often that it cannot is left in peace for a while.
MAX_REFUSALS = 5
# Five days less than what waits for a server is kept: it may have been failing before it was gone.
AWAY = timedelta(days=30)


async def backfill(node: Node, job: Turn) -> Outcome:
    """Walk the outbox of an actor, oldest known page last, and take in each case that is there. Safe to repeat.

    A case that is shown here and that the outbox does not name is asked about: its withdrawal may never have come, while its server was
    shut out or this one was away. At most MAX_CASES are asked for, and fewer when one after the other is not there. What its server
    could not give just now is tried again later, and then what is here already is not asked for once more. What rested of theirs is
    shown again afterwards.
    """
    if not await is_followed(node, str(job.payload["actor"])):
        # No more, since it was asked for.
        return Done()
    outcome = await _read_outbox(node, str(job.payload["actor"]), job)
    if isinstance(outcome, Done):
        async with node.database.begin() as session:
            actor = await session.get(RemoteActor, str(job.payload["actor"]))
            if actor is not None and not await is_blocked(session, actor.host):
                await show_again(session, actor.id)
    return outcome


async def _read_outbox(node: Node, actor_id: str, job: Turn) -> Done | Postponed:
    async with node.database.read() as session:
        actor = await session.scalar(select(RemoteActor).where(RemoteActor.id == actor_id))
        kept_out = [case.id for case in await waiting(session, actor=actor_id)]
        theirs = select(Entry.id).where(Entry.actor == actor_id, Entry.own.is_(False))
        shown = list(
            await session.scalars(
                theirs.where(Entry.state.in_((*SHOWN, RESTING))).order_by(Entry.published_at)
            )
        )
    if actor is None or actor.outbox is None or host_of(actor.outbox) != actor.host:
        return Done()
    walk = _Walk(node, actor.host, is_repeated=job.attempts > 0)
    try:
        for url in kept_out:
            await walk.take(url)
        await walk.through(actor.outbox)
        for url in shown:
            if url not in walk.named and not walk.is_over:
                await walk.take(url, again=True)
    except Unreachable as error:
        walk.passing = error
    except FetchError as error:
        log.info("backfill.ended", extra={"host": actor.host, "reason": str(error)})
    return _ended(node, job, walk)


async def ask_again(node: Node, job: Turn) -> Outcome:
    """Ask whether each case still stands that is shown here, at home on that host, and of nobody whom we follow. Safe to repeat.

    Its withdrawal may have come after the backup that this server was restored from, or while it was away. Nothing new is taken in.
    """
    host = str(job.payload["host"])
    async with node.database.read() as session:
        followed = select(Follow.followed).where(
            Follow.follower == node.settings.main_actor, Follow.state == "accepted"
        )
        theirs = select(Entry.id).where(Entry.host == host, Entry.own.is_(False))
        theirs = theirs.where(Entry.state.in_((*SHOWN, RESTING)))
        theirs = theirs.where(Entry.actor.not_in(followed)).order_by(Entry.published_at)
        shown = list(await session.scalars(theirs.limit(MAX_CASES)))
    walk = _Walk(node, host, is_repeated=job.attempts > 0, takes_nothing=True)
    try:
        for url in shown:
            if not walk.is_over:
                await walk.take(url, again=True)
    except Unreachable as error:
        walk.passing = error
    return _ended(node, job, walk)


async def read_all_back(session: AsyncSession, *, now: datetime) -> None:
    """Read whoever is followed anew, and ask whether what is shown of others still stands: what they said since is lost."""
    followed = select(Follow.followed).where(Follow.state == "accepted")
    for actor in list(await session.scalars(followed.join(RemoteActor, RemoteActor.id == Follow.followed))):
        await read_back(session, actor, now=now)
    shown = select(Entry.host).where(Entry.own.is_(False), Entry.state.in_((*SHOWN, RESTING)))
    for host in list(await session.scalars(shown.distinct())):
        await ask_about(session, host, now=now)


async def catch_up(session: AsyncSession, *, now: datetime) -> None:
    """Read all back when this server was away for so long that others may have given it up: what waited for it is not sent any more."""
    # Done every day: what is due for long tells since when nobody worked here.
    due = select(func.min(Job.not_before)).where(Job.kind == FORGET, Job.dead_at.is_(None))
    since = await session.scalar(due)
    if since is not None and now - since >= AWAY:
        log.info("backfill.was-away", extra={"since": since.date().isoformat()})
        await read_all_back(session, now=now)


def _ended(node: Node, job: Turn, walk: "_Walk") -> Done | Postponed:
    if walk.passing is None:
        return Done()
    if job.attempts >= TRIES:
        # Not dead: that would stand in the way of reading this outbox when it is followed anew.
        log.info("backfill.ended", extra={"host": walk.host, "reason": str(walk.passing)})
        return Done()
    return Postponed(try_again_at(walk.passing, job.attempts, now=node.clock.now()), str(walk.passing))


@dataclass(slots=True)
class _Walk:
    """One reading of an outbox, or of cases that are shown here.

    is_repeated  it was read before, as far as that went.
    takes_nothing  nothing is taken in; only what is gone for good counts.
    named        the cases that the outbox named; withdrawals: what it named that was deleted, and where that is said.
    asked        for how many cases; misses: of these, how many were not there, one after the other.
    refusals     how often, one after the other, the server could not give one just now; passing: the last of these failures.
    """

    node: Node
    host: str
    is_repeated: bool
    takes_nothing: bool = False
    named: set[str] = field(default_factory=set)
    withdrawals: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    misses: int = 0
    refusals: int = 0
    passing: Unreachable | None = None

    @property
    def is_over(self) -> bool:
        """Whether enough was asked for, or too much of it in vain."""
        return self.asked >= MAX_CASES or self.misses >= MAX_MISSES

    async def through(self, outbox: str) -> None:
        """Take what is named on each page. Raises FetchError where a page cannot be had."""
        page: Properties | None = simplified(await find_document(self.node, outbox))
        if page is not None and not _items(page):
            page = await self._page(page, "first")
        for _ in range(MAX_PAGES):
            if page is None:
                break
            for item in _items(page):
                for url in await self._cases(item):
                    if url in self.named:
                        continue
                    self.named.add(url)
                    if self.is_over:
                        log.info(
                            "backfill.ended", extra={"host": self.host, "reason": f"{self.asked} asked for"}
                        )
                        return
                    await self.take(url)
            page = await self._page(page, "next")

    async def _page(self, page: Properties, key: str) -> Properties | None:
        """The page that is linked there, or embedded with what it names; None for one of another host. Raises FetchError."""
        inside = properties.embedded(page, key)
        if inside is not None and _items(simplified(inside)):
            return simplified(inside)
        at = properties.iri(page, key)
        if at is None or not self._is_at_home(at):
            return None
        return simplified(await find_document(self.node, at))

    async def _cases(self, item: object) -> list[str]:
        """Addresses of the objects that a Create names, on the actor's own host; some say only where the Create is.

        Raises Unreachable when the server cannot give one after the other.
        """
        if isinstance(item, str):
            item = await self._activity(item)
        plain = simplified(item) if isinstance(item, dict) else {}
        if "Delete" in properties.types(plain) and (said := properties.iri(plain, "id")):
            self.withdrawals |= dict.fromkeys(properties.iris(plain, "object"), said)
        if "Create" not in properties.types(plain):
            return []
        return [url for url in properties.iris(plain, "object") if self._is_at_home(url)]

    async def _activity(self, url: str) -> Properties | None:
        if not self._is_at_home(url) or self.is_over:
            return None
        self.asked += 1
        self.misses += 1
        try:
            found = await find_document(self.node, url)
        except FetchError as error:
            self._missed(error)
            return None
        self.misses = self.refusals = 0
        return found

    def _missed(self, error: FetchError | RefusedActivity | VocabError) -> None:
        """Note what was not there. Raises Unreachable when the server could not give one after the other."""
        log.info("backfill.skipped", extra={"host": self.host, "reason": str(error)})
        if not isinstance(error, Unreachable):
            return
        # One address that fails for long must not hide what is named behind it.
        self.passing = error
        self.refusals += 1
        if self.refusals >= MAX_REFUSALS:
            raise error

    async def take(self, url: str, *, again: bool = False) -> None:
        """Take one case in, or back. Raises Unreachable when its server cannot give one after the other.

        again  also when it is here, and the outbox was read before.
        """
        if self.is_repeated and not again and await self._is_here(url):
            return
        self.asked += 1
        self.misses += 1
        try:
            await self._look_at(url)
        except (FetchError, RefusedActivity, VocabError) as error:
            self._missed(error)
        else:
            self.misses = self.refusals = 0

    async def _look_at(self, url: str) -> None:
        """Take what the address of a case shows now; where that is gone for good, so is the case here."""
        if self.takes_nothing:
            # Refused is what still stands: it was asked for, and not in vain.
            with suppress(RefusedActivity):
                await self._heed(url)
            return
        try:
            await fetch_case(self.node, url)
        except (NotThere, VocabError):
            if not await self._heed(url):
                raise

    async def _heed(self, url: str) -> bool:
        """Take a case back that is gone for good where it was at home; False when none of others is shown here.

        Raises RefusedActivity where it still stands, FetchError.
        """
        async with self.node.database.read() as session:
            known = await session.get(Entry, url)
        if known is None or known.own or known.withdrawn_at is not None:
            return False
        # It may show a Tombstone. What is found says it all, where no activity is named.
        found = await gone(self.node, Activity(id=url, type="Delete", actor=known.actor, object_id=url))
        await on_delete(self.node, await self._as_said(found) or found)
        return True

    async def _as_said(self, found: Activity) -> Activity | None:
        """The withdrawal as its publisher said it, for a hub to pass on; None where it cannot be had."""
        at = self.withdrawals.get(found.object_id or "")
        if at is None or not self._is_at_home(at):
            return None
        with suppress(FetchError, VocabError):
            said = read_activity(await find_document(self.node, at))
            if (said.id, said.type, said.actor, said.object_id) == (
                at,
                "Delete",
                found.actor,
                found.object_id,
            ):
                return said
        return None

    def _is_at_home(self, url: str) -> bool:
        try:
            return host_of(url) == self.host
        except NotAnAddress:
            return False

    async def _is_here(self, url: str) -> bool:
        async with self.node.database.read() as session:
            return await session.get(Entry, url) is not None


def _items(page: Properties) -> list[object]:
    """What a collection or a page of one names, in order: addresses, and what is embedded."""
    items = page.get("orderedItems", page.get("items"))
    return items if isinstance(items, list) else [] if items is None else [items]
