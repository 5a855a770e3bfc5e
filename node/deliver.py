"""One delivery: load the signed bytes, post them to one inbox, say what came of it. Runs at least once; a peer that gets it twice sees one id."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from federation.delivery import Delivered, Gone, Later, Refused, backoff, post
from federation.digests import BodyDigest
from federation.requests import Dialect
from node.outbox import Dead, Done, Dropped, Outcome, Postponed, Turn
from node.peers.actors import host_of
from node.peers.habits import Habits, hosts_at, remember_habits
from node.peers.hosts import blocked
from node.peers.sending import WITHHELD, begin_forgetting, bodies_of, forget_answers
from node.peers.synchronising import Header, offers, remember_told
from node.runtime import Node
from node.statements import Source

log = logging.getLogger(__name__)

# A host that takes nothing for so long is set aside: asked once a day, and at once when we hear from it.
SET_ASIDE_AFTER = timedelta(days=5)
PROBE_EVERY = timedelta(days=1)
# After that what waits for it is given up; what is published later still tries it, once each.
GIVEN_UP_AFTER = timedelta(days=35)
_NOTHING = (b"", False)


@dataclass(frozen=True, slots=True)
class Addressee:
    """A host that is delivered to, read once for all its letters. dialect: what it understood last, as far as we know."""

    host: str
    about: Habits | None
    dialect: Dialect | None
    is_blocked: bool


class Lessons:
    """What deliveries teach of hosts: kept together, for thousands of hosts are met anew each day, and on SQLite one writes at a time.

    Whoever ends while something is being kept shares the next transaction.
    """

    def __init__(self, node: Node) -> None:
        """Hold the node; nothing was learnt yet."""
        self._node = node
        self._habits: list[Habits] = []
        self._told: list[tuple[str, str]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._keeping: asyncio.Task[None] | None = None

    async def keep(self, habits: Habits | None = None, told: tuple[str, str] | None = None) -> None:
        """Wait until it is kept, how a delivery went and whose followers it told of: an actor of ours and an inbox."""
        if habits is not None:
            self._habits.append(habits)
        if told is not None:
            self._told.append(told)
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append(kept)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_all())
        await kept

    async def _keep_all(self) -> None:
        while self._waiting:
            habits, told, waiting = self._habits, self._told, self._waiting
            self._habits, self._told, self._waiting = [], [], []
            error: Exception | None = None
            try:
                async with self._node.database.begin() as session:
                    await remember_habits(session, habits)
                    await remember_told(session, told, now=self._node.clock.now())
            except Exception as failure:  # each of the deliveries has failed
                error = failure
            for one in waiting:
                if not one.done():
                    one.set_result(None) if error is None else one.set_exception(error)
        self._keeping = None


class Letter(NamedTuple):
    """What one delivery needs: the signed bytes with their digest, and what is known of the host. There are thousands a second."""

    body: bytes
    digest: BodyDigest
    to: Addressee
    told: Header
    lessons: Lessons


async def prepare_letters(node: Node, jobs: Sequence[Turn]) -> dict[int, Letter]:
    """Read for many deliveries at once what each of them needs; a job whose activity is gone gets none, and an empty one when it is erased."""
    wanted = [
        (job, str(job.payload["inbox"]), str(job.payload["activity"]), str(job.payload["actor"]))
        for job in jobs
    ]
    async with node.database.hand() as hand:
        activities = await bodies_of(hand, {name for _, _, name, _ in wanted})
        addressees = await _addressees(hand, {host_of(inbox) for _, inbox, _, _ in wanted})
        public = {(actor, inbox) for _, inbox, name, actor in wanted if activities.get(name, _NOTHING)[1]}
        told = await offers(hand, public, now=node.clock.now())
    digests = {name: BodyDigest.of(body) for name, (body, _) in activities.items()}
    lessons = Lessons(node)
    letters: dict[int, Letter] = {}
    for job, inbox, name, actor in wanted:
        body, is_public = activities.get(name, _NOTHING)
        if name in activities:
            more = told.get((actor, inbox), ()) if is_public else ()
            letters[job.seq] = Letter(body, digests[name], addressees[host_of(inbox)], more, lessons)
    return letters


async def _addressees(source: Source, hosts: Collection[str]) -> dict[str, Addressee]:
    about = await hosts_at(source, hosts)
    shut = await blocked(source, hosts)
    found: dict[str, Addressee] = {}
    for host in hosts:
        known = about.get(host)
        dialect = Dialect(known.dialect) if known and known.dialect else None
        found[host] = Addressee(host, known, dialect, host in shut)
    return found


async def forget_old_answers(node: Node, job: Turn) -> Outcome:
    """Erase answers that nobody waits for any more, and look again tomorrow."""
    now = node.clock.now()
    async with node.database.begin() as session:
        await forget_answers(session, now=now)
        await begin_forgetting(session, now=now)
    return Done()


async def deliver(node: Node, job: Turn, letter: Letter | None) -> Outcome:
    """Deliver one activity to one inbox. The network is asked with no transaction open."""
    if letter is None:
        return Dead("the activity is not there any more")
    body, digest, to, told, lessons = letter
    if not body:
        # Withdrawn while it waited: what says so waits behind it.
        return Done()
    if to.is_blocked:
        return Dead(WITHHELD)
    inbox, actor = str(job.payload["inbox"]), str(job.payload["actor"])
    host, about, now = to.host, to.about, node.clock.now()
    outcome = await post(
        node.http,
        inbox,
        body,
        signer=node.keyring.signer(actor, "rsa"),
        ed25519=node.keyring.signer(actor, "ed25519"),
        now=now,
        dialect=to.dialect,
        digest=digest,
        more=told,
    )
    match outcome:
        case Delivered(_, dialect):
            is_news = about is None or dialect != to.dialect or about.failing_since is not None
            if is_news or told:
                await lessons.keep(
                    Habits(host, dialect, None) if is_news else None, (actor, inbox) if told else None
                )
            return Done()
        case Later(reason, when, _):
            since = about.failing_since if about else None
            if since is None:
                since = now
                await lessons.keep(Habits(host, None, since))
            if now - since >= GIVEN_UP_AFTER:
                log.warning("delivery.given-up", extra={"host": host, "reason": reason})
                return Dropped(reason)
            if now - since >= SET_ASIDE_AFTER:
                log.info("delivery.set-aside", extra={"host": host, "since": since.date().isoformat()})
                return Postponed(now + PROBE_EVERY, reason)
            log.info("delivery.later", extra={"host": host, "attempt": job.attempts + 1, "reason": reason})
            return Postponed(when or now + max(backoff(job.attempts + 1), timedelta(seconds=1)), reason)
        case Gone(reason):
            # That inbox and no other of its host: a withdrawal may wait for those.
            log.info("delivery.gone", extra={"host": host})
            return Dead(reason)
        case Refused(reason, _):
            log.warning("delivery.refused", extra={"host": host, "reason": reason})
            return Dead(reason)
