"""Cases that come in to a hub: what each costs until it is an entry and announced, on SQLite and on PostgreSQL.

Two hundred members on hosts of their own, whom the hub follows; each case is one of the samples in the shape in which nodes send it:
a proof on the case, a proof on the Create, and a draft-cavage RSA signature on the request. And members who are new, with two hundred
cases each, which the hub reads from the pages of their outboxes. The hub is one process with its worker inside, pinned to a processor.
Nobody follows it: what it announces is signed and kept, and delivered to nobody. No peer does this.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import func, select

from federation.cavage import sign
from federation.digests import BodyDigest
from federation.keys import Signer
from federation.proofs import attach
from node.entries.entries import Entry
from node.outbox import Job
from node.peers.actors import remember_actor
from node.peers.follows import Follow, read_back
from node.peers.sending import Sent, new_activity_id
from node.runtime import Node
from tests.bench import limits
from tests.bench.figures import Bench, Figure, measured
from tests.bench.loopback import answer, listening, pace, pin, processor_seconds, replay
from tests.bench.senders import KEYS, TYPE
from tests.rig.databases import POSTGRESQL, SQLITE, fresh_database
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.processes import Served, served
from tests.rig.procfs import family
from tests.rig.publications import a_case, behind
from tests.rig.servers import Servers
from vocab import activities
from vocab.actors import Actor, PublicKey
from vocab.cases import write_case
from vocab.jsonld import write
from vocab.terms import COLLECTION_CONTEXT, PUBLIC, SRT
from web.fediverse.actors import PAGE

MEMBERS = 200
CASES, ROUNDS = 2000, 3
NEW_MEMBERS, CASES_BEFORE = 20, 200
FIRST_SYNC = 1_000_000
# 5,000 members that say something once a minute.
STEADY_RATE, STEADY_SECONDS = 83, 15
# From that number on, members are others than those that are met before.
OTHERS = 1_000
DRAIN_SECONDS = 180
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation that the hub follows, and whose actor and keys it knows. Of some the outbox is served."""

    actor: str
    rsa: Signer
    ed25519: Signer

    @classmethod
    def numbered(cls, number: int, *, port: int = 9) -> "Member":
        actor = f"http://127.0.{1 + number // 200}.{1 + number % 200}:{port}/actors/cases"
        prover = ed25519_key(actor).signer(f"{actor}#ed25519-key")
        return cls(actor, rsa_key(KEYS[number % len(KEYS)]).signer(f"{actor}#main-key"), prover)

    def described(self) -> Actor:
        return Actor(
            id=self.actor,
            type="Organization",
            preferred_username="cases",
            name="A member (fictional)",
            inbox=f"{self.actor}/inbox",
            outbox=f"{self.actor}/outbox",
            followers=f"{self.actor}/followers",
            keys=(
                PublicKey(self.rsa.key_id, self.actor, "rsa", spki_pem=self.rsa.public.pem),
                PublicKey(
                    self.ed25519.key_id, self.actor, "ed25519", multibase=self.ed25519.public.multibase
                ),
            ),
            indexable=True,
            implements=((SRT, ""),),
        )

    def says(self, number: int, *, now: datetime) -> dict[str, object]:
        """The Create of one case."""
        origin = self.actor.partition("/actors/")[0]
        url, to, cc = f"{origin}/cases/{number}", [PUBLIC], [f"{self.actor}/followers"]
        case = write_case(
            a_case(number),
            id=url,
            actor=self.actor,
            published=now,
            to=to,
            cc=cc,
            context=f"{url}/context",
            replies=f"{url}/replies",
            history=f"{url}/history",
        )
        create = activities.create(
            f"{origin}/activities/{number}",
            self.actor,
            attach(case, self.ed25519, now=now),
            to=to,
            cc=cc,
            published=now,
        )
        return attach(create, self.ed25519, now=now)

    def delivery(self, inbox: str, number: int) -> bytes:
        """A whole HTTP request with one case."""
        now = datetime.now(UTC).replace(microsecond=0)
        body = write(self.says(number, now=now))
        digest = BodyDigest.of(body)
        headers = sign("POST", inbox, signer=self.rsa, now=now, digest=digest, content_type=TYPE)
        lines = [b"%s: %s" % header for header in headers]
        lines.append(b"content-length: %d" % len(body))
        return b"POST /inbox HTTP/1.1\r\n%s\r\n\r\n%s" % (b"\r\n".join(lines), body)

    def outbox(self, numbers: range) -> dict[bytes, bytes]:
        """What its server answers when its outbox is read, by address, in pages as a node has them."""
        now = datetime.now(UTC).replace(microsecond=0)
        at, pages = f"{self.actor}/outbox", range(0, len(numbers), PAGE)
        said: dict[str, dict[str, object]] = {
            at: {"id": at, "type": "OrderedCollection", "first": f"{at}?page=0"}
        }
        for start in pages:
            page = f"{at}?page={start}"
            said[page] = {
                "id": page,
                "type": "OrderedCollectionPage",
                "srt:upToDate": True,
                "orderedItems": [self.says(number, now=now) for number in numbers[start : start + PAGE]],
            }
            if start + PAGE < len(numbers):
                said[page]["next"] = f"{at}?page={start + PAGE}"
        return {
            url.encode(): answer(200, write({"@context": COLLECTION_CONTEXT, **one}))
            for url, one in said.items()
        }


@dataclass
class _Hub:
    """A hub under test, with what was found out of it."""

    served: Served
    database: int | None
    sent: int = 0
    rates: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    of_database: list[float] = field(default_factory=list)
    steady: float = 0.0
    synced: tuple[float, float] = (0.0, 0.0)

    def seconds(self) -> tuple[float, float]:
        """Processor time so far: its own, and that of the database's processes."""
        assert self.served.process is not None
        mine = processor_seconds(self.served.process.pid)
        if self.database is None:
            return mine, 0.0
        # Connections come and go: the time of those that ended is with who started them.
        _, *children = family(self.database)
        ended = processor_seconds(self.database, with_ended=True)
        return mine, ended + sum(processor_seconds(pid) for pid in children)


async def run(bench: Bench) -> list[Figure]:
    members = [Member.numbered(number) for number in range(bench.amount(MEMBERS))]
    servers = Servers.prepare()
    with ExitStack() as stack:
        stack.callback(servers.stop)
        async with fresh_database(POSTGRESQL, bench.directory, servers) as url:
            small = stack.enter_context(served(bench.directory / "hub-small", role="hub"))
            large = stack.enter_context(served(bench.directory / "hub-large", role="hub", database_url=url))
            postmaster = int((servers.home / "postgresql" / "pid").read_text())
            hubs = {SQLITE: _Hub(small, None), POSTGRESQL: _Hub(large, postmaster)}
            for one in (small, large):
                assert one.process is not None
                pin(one.process.pid)
            for hub in hubs.values():
                async with behind(hub.served) as opened:
                    await _admit(opened, members)
                # Each member is met once, so that its key is in memory.
                await _take(hub, members, len(members))
            for number in range(ROUNDS):
                for kind, hub in hubs.items():
                    bench.say(f"{kind}, round {number + 1} of {ROUNDS}")
                    await _measure(hub, members, bench.amount(CASES))
            for kind, hub in hubs.items():
                bench.say(f"{kind}, {STEADY_RATE} a second")
                await _pace(hub, bench.amount(STEADY_RATE * STEADY_SECONDS))
            await _sync(bench, list(hubs.values()))
            for hub in hubs.values():
                await _require_all(hub)
            small.stop()
            large.stop()
    body = members[0].delivery(f"{small.origin}/inbox", 0).partition(b"\r\n\r\n")[2]
    return [figure for kind, hub in hubs.items() for figure in _figures(kind, hub, body)]


async def _admit(node: Node, members: Sequence[Member], *, reads: bool = False) -> None:
    """Have the hub follow them, without a word to anybody. reads: it has to read what they published before."""
    now = node.clock.now()
    async with node.database.begin() as session:
        for member in members:
            await remember_actor(session, member.described(), now=now)
            follow = Follow(activity_id=new_activity_id(node.settings), state="accepted")
            follow.follower, follow.followed = node.settings.main_actor, member.actor
            follow.activity, follow.changed_at = {}, now
            session.add(follow)
            if reads:
                await read_back(session, member.actor, now=now)


async def _sync(bench: Bench, hubs: Sequence[_Hub]) -> None:
    """Have each hub admit the same members, with all that they published before."""
    bench.say("new members")
    documents: dict[bytes, bytes] = {}
    none = answer(404)
    async with listening(lambda url, host: documents.get(b"http://" + host + url, none)) as port:
        members = [
            Member.numbered(MEMBERS + number, port=port) for number in range(bench.amount(NEW_MEMBERS))
        ]
        first = max(hub.sent for hub in hubs)
        for number, member in enumerate(members):
            start = first + number * CASES_BEFORE
            documents |= member.outbox(range(start, start + CASES_BEFORE))
        count = len(members) * CASES_BEFORE
        for hub in hubs:
            own, others = hub.seconds()
            async with behind(hub.served) as opened:
                await _admit(opened, members, reads=True)
            await _drained(hub, "backfill")
            mine, theirs = hub.seconds()
            hub.sent += count
            hub.synced = ((mine - own) / count, (theirs - others) / count)


def _figures(kind: str, hub: _Hub, body: bytes) -> list[Figure]:
    # The proof of the case and that of its Create; and of what is delivered, the request's signature.
    proven = 2 * limits.verification(ed25519_key("a"), body) + limits.parsing(body)
    delivered = proven + limits.verification(rsa_key("a"), body) + limits.digest(body)
    of_database = (statistics.median(hub.of_database), hub.synced[1])
    beside, beside_sync = (
        "" if hub.database is None else f" PostgreSQL's own processes took {one * 1000:.2f} ms more."
        for one in of_database
    )
    is_goal = kind == POSTGRESQL
    return [
        measured(f"hub-cases-{kind}", "cases/s", hub.rates, note="Until each is an entry and announced."),
        measured(
            f"hub-case-{kind}",
            "ms",
            [one * 1000 for one in hub.own],
            limit=1000 * delivered,
            more_is_better=False,
            note=f"Processor time of the hub for each case, the delivery's own checks included.{beside} The limit is the verification "
            "of its three signatures, one SHA-256 and one parse.",
        ),
        Figure(
            f"hub-first-sync-{kind}",
            hub.synced[0] * 1000,
            "ms",
            limit=1000 * proven,
            goal=300_000 / FIRST_SYNC if is_goal else None,
            more_is_better=False,
            note=f"Processor time of the hub for each of {CASES_BEFORE} cases that each of {NEW_MEMBERS} new members had published before: "
            f"{hub.synced[0] * FIRST_SYNC / 60:.0f} minutes of one core for a million.{beside_sync}",
        ),
        Figure(
            f"hub-steady-{kind}",
            hub.steady * 100,
            "% of a core",
            limit=100 * STEADY_RATE * delivered,
            goal=3 if is_goal else None,
            more_is_better=False,
            note=f"Measured while {STEADY_RATE} cases a second came in, one by one, each from another member.",
        ),
    ]


async def _measure(hub: _Hub, members: list[Member], count: int) -> None:
    own, others = hub.seconds()
    started = time.perf_counter()
    took = await _take(hub, members, count)
    mine, theirs = hub.seconds()
    hub.rates.append(count / (time.perf_counter() - started - took))
    hub.own.append((mine - own) / count)
    hub.of_database.append((theirs - others) / count)


async def _take(hub: _Hub, members: list[Member], count: int) -> float:
    """Have it take in that many cases; returns what it took to sign them."""
    started = time.perf_counter()
    requests = _deliveries(hub, members, count)
    signed = time.perf_counter() - started
    load = await replay(hub.served.port, requests)
    if set(load.statuses) != {202}:
        raise RuntimeError(f"expected 202 for every case, got {dict(load.statuses)}")
    await _drained(hub)
    return signed


async def _pace(hub: _Hub, count: int) -> None:
    """Each says something once, and was not heard from for a while: its key is not in memory."""
    members = [Member.numbered(OTHERS + number) for number in range(count)]
    async with behind(hub.served) as opened:
        await _admit(opened, members)
    requests = _deliveries(hub, members, count)
    own, _ = hub.seconds()
    await pace(hub.served.port, requests, per_second=STEADY_RATE)
    await _drained(hub)
    mine, _ = hub.seconds()
    # Of the time in which they came in: whoever does not keep up has no better share for it.
    hub.steady = (mine - own) / (count / STEADY_RATE)


def _deliveries(hub: _Hub, members: list[Member], count: int) -> list[bytes]:
    numbers = range(hub.sent, hub.sent + count)
    hub.sent += count
    inbox = f"{hub.served.origin}/inbox"
    return [members[number % len(members)].delivery(inbox, number) for number in numbers]


async def _drained(hub: _Hub, kind: str = "process") -> None:
    async with behind(hub.served) as opened:
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            async with opened.database.read() as session:
                if await session.scalar(select(Job.seq).where(Job.kind == kind).limit(1)) is None:
                    return
            await asyncio.sleep(LOOK_SECONDS)
    raise RuntimeError("the jobs of the hub did not come to an end")


async def _require_all(hub: _Hub) -> None:
    """Raise unless every case is there and was announced: as its address, and as what its publisher said is told to nobody."""
    async with behind(hub.served) as opened, opened.database.read() as session:
        entries = await session.scalar(select(func.count()).select_from(Entry))
        announced = await session.scalar(select(func.count(Sent.object_id.distinct())))
    if (entries, announced) != (hub.sent, hub.sent):
        raise RuntimeError(f"{hub.sent} cases sent, {entries} are there, {announced} announced")
