"""An outbox is read: page by page, each case as its page shows it where that is promised to be so now, and else at its own address."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError

from federation.errors import FetchError, NotThere, Unreachable
from node.database import is_unstorable
from node.effects.cases import members_among, read_shown
from node.effects.forwarded import gone
from node.effects.handlers import on_delete
from node.effects.proving import RefusedActivity, is_followed, prove_activity
from node.effects.taking import fetch_case, may_be_behind
from node.entries.entries import RESTING, Entry, last_changes
from node.hub.aggregate import Brought, in_parts, make_ready, take_in
from node.peers.actors import host_of
from node.peers.directory import find_document
from node.peers.hosts import Standing, limited, standings
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity, read_activity
from vocab.errors import NotAnAddress, VocabError
from vocab.properties import Properties, simplified

log = logging.getLogger(__name__)

MAX_PAGES = 2000
# Of these, one after the other, that name no case. What somebody withdrew, said again or passed on may fill many.
MAX_EMPTY_PAGES = 200
MAX_CASES = 1000
# An outbox that names case after case that is not there only wants to keep us busy.
MAX_MISSES = 50
# A server that says so often that it cannot is left in peace for a while.
MAX_REFUSALS = 5
# So long a reading may take, of a server however slow: less than a worker holds the lane of one job.
AT_MOST = timedelta(minutes=50)
# On SQLite nobody else writes while so many are kept.
KEPT_AT_ONCE = 64


@dataclass(slots=True)
class Walk:
    """One reading of an outbox, or of cases that are shown here.

    actor        whose outbox it is; none where cases are only asked about that are shown here.
    is_group     others' cases that it announces are taken, from their own homes.
    is_repeated  it was read before, as far as that went.
    pages        those that were asked for: none is asked for twice.
    named        the cases that the outbox named; withdrawals: what it named that was deleted, and where that is said.
    asked        for how many cases; misses: of these, how many were not there, one after the other.
    behind       what a group announced that is here, and is to be asked for once all else has been.
    strays       how often, one after the other, what a group announced was no case; silent: how often each home could not give one.
    refusals     how often, one after the other, the server could not give one just now; passing: the last of these failures.
    """

    node: Node
    host: str
    actor: str | None = None
    is_group: bool = False
    is_repeated: bool = False
    pages: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    withdrawals: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    misses: int = 0
    behind: list[str] = field(default_factory=list)
    strays: int = 0
    silent: Counter[str] = field(default_factory=Counter)
    refusals: int = 0
    passing: Unreachable | None = None
    begun_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.begun_at = self.node.clock.now()

    @property
    def is_over(self) -> bool:
        """Whether enough was asked for, or for long enough, or too much of it in vain."""
        return self.asked >= MAX_CASES or self.misses >= MAX_MISSES or self.is_late

    @property
    def is_late(self) -> bool:
        """Whether it was read for as long as a reading may take."""
        return self.node.clock.now() - self.begun_at >= AT_MOST

    async def through(self, outbox: str) -> None:
        """Take what is shown or named on each page. Raises FetchError where a page cannot be had."""
        self.pages.add(outbox)
        page: Properties | None = simplified(await find_document(self.node, outbox))
        if page is not None and not _items(page):
            page = await self._page(page, "first")
        empty = 0
        for number in range(MAX_PAGES):
            if page is None:
                return
            if self.is_over or empty >= MAX_EMPTY_PAGES:
                reason = f"{self.asked} asked for, {number} pages"
                log.info("backfill.ended", extra={"host": self.host, "reason": reason})
                return
            if self.actor is not None and not await is_followed(self.node, self.actor):
                # No more, since it was begun.
                return
            before = len(self.named)
            await self._read(page)
            empty = empty + 1 if len(self.named) == before else 0
            page = await self._page(page, "next")

    async def _page(self, page: Properties, key: str) -> Properties | None:
        """The page that is linked there, or embedded with what it names; None for one of another host, or read before.

        Raises FetchError.
        """
        inside = properties.embedded(page, key)
        if inside is not None and _items(simplified(inside)):
            return simplified(inside)
        at = properties.iri(page, key)
        if at is None or at in self.pages or not self._is_at_home(at):
            return None
        self.pages.add(at)
        return simplified(await find_document(self.node, at))

    async def _read(self, page: Properties) -> None:
        """Take what a page shows and names. Raises Unreachable when the server cannot give one after the other."""
        if properties.own_term(page, "upToDate") is True:
            await self._take_shown(page)
        for item in _items(page):
            said = await self._said(item)
            for url in self._cases(said):
                if url not in self.named and not self.is_over:
                    self.named.add(url)
                    await self.take(url)
            for url in self._announced(said):
                if url not in self.named and not self.is_over:
                    self.named.add(url)
                    await self._take_announced(url, announced_at=properties.instant(said, "published"))

    async def _take_shown(self, page: Properties) -> None:
        """Keep together what stands whole on a page that is up to date; what is not plain there is asked for like any other.

        Its publisher's server says that it is so now, as it would at the address of each; the publisher's proof holds for it here as there.
        """
        shown: dict[str, Activity] = {}
        for one in _shown(page):
            url = one.object_id
            if url is not None and url not in self.named and self._is_at_home(url):
                shown.setdefault(url, one)
        some = list(shown)
        for start in range(0, len(some), KEPT_AT_ONCE):
            await self._keep({url: shown[url] for url in some[start : start + KEPT_AT_ONCE]})

    async def _keep(self, shown: Mapping[str, Activity]) -> None:
        node, now = self.node, self.node.clock.now()
        async with node.database.read() as session:
            standing = await standings(session, node.settings, [self.host])
            members = await members_among(session, node.settings, [self.actor] if self.actor else [])
            known = await last_changes(session, shown)
        if standing[self.host] is not Standing.OPEN:
            return
        # What is no newer than what is here stands, and changes nothing.
        stands = {url for url, one in shown.items() if url in known and not _is_newer(one, known[url])}
        brought: dict[str, Brought] = {}
        for url, one in shown.items():
            if url in stands:
                continue
            with suppress(VocabError):
                if (case := read_shown(one, members, now=now)) is not None:
                    brought[url] = case
            # Others have their turn between one case and the next.
            await asyncio.sleep(0)
        ready = await make_ready(node, list(brought.values()))
        try:
            for part in in_parts(ready):
                async with node.database.begin() as session:
                    await take_in(session, part, now=now)
        except DBAPIError as error:
            if not is_unstorable(error):
                raise
            # Each by itself: then it is found out which.
            brought = {}
        self.named |= stands | brought.keys()
        await node.bell.ring()

    async def _said(self, item: object) -> Properties:
        """An activity that is named or embedded; some say only where it is. Raises Unreachable when the server cannot give one after the other."""
        if isinstance(item, str):
            item = await self._activity(item)
        with suppress(VocabError):
            return simplified(item) if isinstance(item, dict) else {}
        return {}

    def _cases(self, said: Properties) -> list[str]:
        """Addresses of the objects that a Create names, on the actor's own host."""
        if "Delete" in properties.types(said) and (own_id := properties.iri(said, "id")):
            self.withdrawals |= dict.fromkeys(properties.iris(said, "object"), own_id)
        if "Create" not in properties.types(said):
            return []
        return [url for url in properties.iris(said, "object") if self._is_at_home(url)]

    def _announced(self, said: Properties) -> list[str]:
        """What a group announces by its address, wherever that is."""
        if not self.is_group or self.strays >= MAX_MISSES or "Announce" not in properties.types(said):
            return []
        return [url for url in properties.strings(said, "object") if properties.is_http(url)]

    async def _take_announced(self, url: str, *, announced_at: datetime | None) -> None:
        """Take a case that a group announced from its own home, as when it is announced now. What is here has time."""
        if not await self._is_here(url):
            await self._ask_its_home(url)
        elif await may_be_behind(self.node, url, by=self.actor or "", announced_at=announced_at):
            self.behind.append(url)

    async def ask_behind(self) -> None:
        """Ask for what is here, and may rest for no reason any more, or be older than what was announced.

        First for what rests, however much that is: nobody else wakes it.
        """
        at_rest = {url for url in self.behind if await self._rests(url)}
        for url in (one for one in self.behind if one in at_rest):
            if not self.is_late:
                await self._ask_its_home(url)
        for url in (one for one in self.behind if one not in at_rest):
            if not self.is_over:
                await self._ask_its_home(url)

    async def _ask_its_home(self, url: str) -> None:
        host = host_of(url)
        if self.silent[host] >= MAX_REFUSALS or host == self.node.settings.authority:
            return
        self.asked += 1
        try:
            await self._fetch(url)
        except Unreachable as error:
            # Its home, and not the group's, which names others: that is asked for when all is read once more.
            self.passing = error
            self.silent[host] += 1
        except (FetchError, RefusedActivity, VocabError) as error:
            # Of somebody who is shut out here it may be a case all the same.
            self.strays += not isinstance(error, RefusedActivity)
            log.info("backfill.skipped", extra={"host": host, "reason": str(error)})
        else:
            self.strays = 0

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
        except DBAPIError as error:
            if not is_unstorable(error):
                raise
            log.info("backfill.skipped", extra={"host": self.host, "reason": "not stored"})
        else:
            self.misses = self.refusals = 0

    async def _look_at(self, url: str) -> None:
        """Take what the address of a case shows now; where that is gone for good, so is the case here."""
        if (self.actor is None and await self._rests(url)) or await self._is_limited():
            # What rests waits to be let in anew, or for a group to have announced it; and who is limited adds nothing, and may withdraw.
            # Refused is what still stands: it was asked for, and not in vain.
            with suppress(RefusedActivity):
                await self._heed(url)
            return
        try:
            await self._fetch(url)
        except RefusedActivity:
            # It was asked about, and is there.
            if self.actor is not None:
                raise

    async def _fetch(self, url: str) -> None:
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
        found = await gone(self.node, Activity(id=url, type="Delete", actor=known.actor, object_ids=(url,)))
        await on_delete(self.node, await self._as_said(found) or found)
        return True

    async def _as_said(self, found: Activity) -> Activity | None:
        """The withdrawal as its publisher said it, for a hub to pass on; None where it cannot be had."""
        at = self.withdrawals.get(found.object_id or "")
        if at is None or not self._is_at_home(at):
            return None
        with suppress(FetchError, RefusedActivity, VocabError):
            said = read_activity(await find_document(self.node, at))
            if (said.id, said.type, said.actor) != (at, "Delete", found.actor):
                return None
            if said.object_ids == found.object_ids:
                return said
            if found.object_id in said.object_ids:
                # One of several: whether the others are gone nobody has asked, but who published them says so.
                await prove_activity(self.node, said)
                return said
        return None

    def _is_at_home(self, url: str) -> bool:
        try:
            return host_of(url) == self.host
        except NotAnAddress:
            return False

    async def _is_limited(self) -> bool:
        async with self.node.database.read() as session:
            return bool(await limited(session, [self.host]))

    async def _rests(self, url: str) -> bool:
        async with self.node.database.read() as session:
            entry = await session.get(Entry, url)
        return entry is not None and entry.state == RESTING

    async def _is_here(self, url: str) -> bool:
        async with self.node.database.read() as session:
            return await session.get(Entry, url) is not None


def _items(page: Properties) -> list[object]:
    """What a collection or a page of one names, in order: addresses, and what is embedded."""
    items = page.get("orderedItems", page.get("items"))
    return items if isinstance(items, list) else [] if items is None else [items]


def _shown(page: Properties) -> Iterator[Activity]:
    """The Creates and Updates that stand on a page with their objects, as far as they can be read."""
    for item in _items(page):
        if isinstance(item, dict):
            with suppress(VocabError):
                activity = read_activity(item)
                if activity.type in ("Create", "Update") and activity.object is not None:
                    yield activity


def _is_newer(shown: Activity, known: datetime) -> bool:
    """Whether a case says that it was changed since then; nothing is proven of that yet."""
    plain: Properties = {}
    with suppress(VocabError):
        plain = simplified(shown.object or {})
    changed = properties.instant(plain, "updated") or properties.instant(plain, "published")
    return changed is None or changed > known
