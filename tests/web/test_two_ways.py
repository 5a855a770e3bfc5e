"""Whatever is asked on one connection, and however it is cut into pieces: with the short way of postings and without it all is the same.

Without a network, so that each piece is read when the test says so: a connection is what asyncio would hand the protocol.
"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from federation import cavage
from federation.digests import BodyDigest
from node.inbox.keeping import Received
from node.inbox.receive import Inbox
from node.outbox import Job
from node.peers.actors import remember_actor
from node.roles import role_of
from node.runtime import Node
from tests.rig.clock import FrozenClock
from tests.rig.keys import rsa_key
from vocab.actors import Actor, PublicKey
from web.doorstep import Site
from web.fediverse.inbox import InboxDoor
from web.patience import PatientProtocol, Room
from web.serve import make_server

SAM = "https://stranger.example/users/sam"
TYPE = "application/activity+json"
KEY = rsa_key("stranger")
# Instead of hundreds of kilobytes.
MOST_BYTES, MAX_BODY_BYTES = 2_000, 4_000


# ---- what is asked ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One request, signed, and what was done to it afterwards.

    number     of the activity; twice the same is a repeat.
    size       of the body; 0: as long as it is.
    headers    instead of those that were signed, or behind them; one without a value is left out.
    framing    how the body comes: by its "length", that with many "zeros" or "twice", "chunked", with "trailers", or "none" at all.
    is_broken  no parser goes on behind it.
    """

    number: int = 1
    line: str = "POST /inbox HTTP/1.1"
    signed_path: str = "/inbox"
    size: int = 0
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    framing: str = "length"
    spelled: str = "lower"
    is_broken: bool = False

    @property
    def bytes(self) -> bytes:
        """As it comes."""
        activity = {
            "id": f"{SAM}/likes/{self.number}",
            "type": "Like",
            "actor": SAM,
            "object": "https://a.example/",
        }
        content = json.dumps(activity).encode() if self.body is None else self.body
        content = content[:-1] + b" " * (self.size - len(content)) + content[-1:]
        fields = dict(signature_of(self.signed_path, content))
        if self.framing == "length":
            fields["content-length"] = str(len(content))
        elif self.framing == "zeros":
            fields["content-length"] = f"{len(content):05000}"
        elif self.framing in ("chunked", "trailers"):
            fields["transfer-encoding"] = "chunked"
        fields |= self.headers
        lines = "".join(
            f"{_spelled(name, self.spelled)}{value}\r\n" for name, value in fields.items() if value
        )
        if self.framing == "twice":
            lines += f"Content-Length: {len(content)}\r\n" * 2
        head = f"{self.line}\r\n{lines}\r\n".encode()
        if self.framing == "none":
            return head
        if self.framing in ("length", "zeros", "twice"):
            return head + content
        half = len(content) // 2
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:half], content[half:]) if part
        )
        trailers = (
            b"x-forwarded-for: 203.0.113.9\r\nx: POST /inbox\r\n" if self.framing == "trailers" else b""
        )
        return head + chunks + b"0\r\n" + trailers + b"\r\n"


def _spelled(name: str, how: str) -> str:
    return {"lower": f"{name}: ", "odd": f"{name.title()}: \t ", "tight": f"{name.upper()}:"}[how]


@cache
def signature_of(path: str, content: bytes) -> tuple[tuple[str, str], ...]:
    """The headers of a signed request."""
    signed = cavage.sign(
        "POST",
        f"https://a.example{path}",
        signer=KEY.signer(f"{SAM}#main-key"),
        now=FrozenClock().now(),
        digest=BodyDigest.of(content),
        content_type=TYPE.encode(),
    )
    return tuple((name.decode(), value.decode()) for name, value in signed)


NUMBERS = st.integers(1, 3)
PATHS = ("/inbox", "/actors/cases/inbox", "/inbox?a=b", "/actors/nobody/inbox", "/%69nbox", "//inbox")
LATER = (
    ("connection", "close"),
    ("connection", "keep-alive"),
    ("connection", "upgrade"),
    ("expect", "100-continue"),
    ("x-forwarded-for", "203.0.113.9"),
)
SPOILT = (
    ("digest", "SHA-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="),
    ("date", "Sat, 21 Nov 2026 11:59:59 GMT"),
    ("signature", ""),
    ("host", "b.example"),
    ("content-type", "text/plain"),
    ("content-type", ""),
    ("content-encoding", "gzip"),
    ("content-encoding", "identity"),
    ("upgrade", "h2c"),
)
HEADERS = st.lists(st.sampled_from(LATER), max_size=1).map(tuple)
POSTINGS = st.one_of(
    st.builds(Asked, NUMBERS, headers=HEADERS, spelled=st.sampled_from(("lower", "odd", "tight"))),
    st.builds(
        lambda number, spoilt, later, framing: Asked(
            number,
            headers=(spoilt, later),
            framing=framing,
            is_broken=(spoilt[0], later[1]) == ("upgrade", "upgrade"),
        ),
        NUMBERS,
        st.sampled_from(SPOILT),
        st.sampled_from(LATER),
        st.sampled_from(("length", "chunked")),
    ),
    st.builds(
        lambda number, path, version, headers: Asked(
            number, f"POST {path} HTTP/{version}", path.partition("//a.example")[2] or path, headers=headers
        ),
        NUMBERS,
        st.sampled_from((*PATHS, "http://a.example/inbox", "https://a.example/inbox")),
        st.sampled_from(("1.0", "1.1")),
        HEADERS,
    ),
    st.builds(
        Asked,
        NUMBERS,
        headers=HEADERS,
        size=st.sampled_from([limit + more for limit in (MOST_BYTES, MAX_BODY_BYTES) for more in (-1, 0, 1)]),
        framing=st.sampled_from(("length", "chunked")),
    ),
    st.builds(Asked, NUMBERS, headers=HEADERS, framing=st.sampled_from(("chunked", "trailers", "zeros"))),
    st.builds(Asked, body=st.sampled_from((b"", b"{}", b'{"id": 1', b"[]", b"\xff\xfe")), headers=HEADERS),
)
OTHERS = st.builds(
    lambda method, path: Asked(line=f"{method} {path} HTTP/1.1", framing="none"),
    st.sampled_from(("GET", "HEAD", "OPTIONS", "PUT", "POST")),
    st.sampled_from(("/inbox", "/healthz", "/nothing", "/.well-known/nodeinfo")),
)
BROKEN = st.one_of(
    st.builds(
        Asked,
        line=st.sampled_from(
            (
                "post /inbox HTTP/1.1",
                "POST /inbox",
                "POST /inbox HTTP/1.1 ",
                "POST /inbox HTTP/3.7",
                "POST  HTTP/1.1",
                "",
            )
        ),
        is_broken=st.just(True),
    ),
    st.builds(
        Asked,
        headers=st.sampled_from(
            (
                (("content-length ", "5"),),
                (("transfer-encoding", "chunked"),),
                (("content-length", "+5"),),
                (("content-length", "5, 5"),),
                (("x", "a\r\n b"),),
                (("x", "a" * 40_000),),
            )
        ),
        is_broken=st.just(True),
    ),
    st.builds(Asked, framing=st.just("twice"), is_broken=st.just(True)),
)


@dataclass(frozen=True)
class Visit:
    """All that somebody asks on one connection, and how it comes.

    cuts      where what comes at once is cut, as parts of its length.
    ends      which requests are the last of what comes at once.
    waits     after which requests, beside, the client waits for its answers.
    is_quick  what was written is taken at once; else nothing of it until there is nothing more to ask, or nobody listens any more.
    leaves    behind all that, nothing more is sent.
    """

    asked: list[Asked]
    cuts: list[float]
    ends: list[bool]
    waits: list[bool]
    is_quick: bool
    leaves: bool

    @property
    def pieces(self) -> list[tuple[bytes, bool]]:
        """What comes at once, and whether the client then waits."""
        found: list[tuple[bytes, bool]] = []
        together = b""
        everything = [asked.bytes for asked in self.asked]
        for number, whole in enumerate(everything):
            together += whole
            waits = self.waits[number]
            if waits or self.ends[number] or number == len(everything) - 1:
                places = sorted({round(cut * len(together)) for cut in self.cuts} | {0, len(together)})
                parts = [together[start:end] for start, end in pairwise(places)]
                found += [(part, False) for part in parts[:-1]] + [(parts[-1], waits)]
                together = b""
        return found


VISITS = st.lists(st.one_of(POSTINGS, POSTINGS, OTHERS, BROKEN), min_size=1, max_size=5).flatmap(
    lambda asked: st.builds(
        Visit,
        st.just(asked),
        st.one_of(st.just([]), st.lists(st.floats(0, 1), max_size=3)),
        st.lists(st.booleans(), min_size=len(asked), max_size=len(asked)),
        st.lists(st.booleans(), min_size=len(asked), max_size=len(asked)),
        st.booleans(),
        st.booleans(),
    )
)


# ---- who is asked ----------------------------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """One connection, as a protocol has it."""

    def __init__(self, protocol: PatientProtocol, *, is_quick: bool) -> None:
        super().__init__()
        self.said = b""
        self.hears = True
        self._is_closing = False
        self._protocol = protocol
        self._is_quick = is_quick
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        if self._is_closing:
            return
        self.said += bytes(data)
        if not self._is_quick:
            self._protocol.pause_writing()

    def take(self) -> None:
        """Read what was written."""
        self._is_quick = True
        self._protocol.resume_writing()

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def can_write_eof(self) -> bool:
        return True

    # Who hears that nothing more is said ends, too.
    write_eof = close

    def pause_reading(self) -> None:
        self.hears = False

    def resume_reading(self) -> None:
        self.hears = True


@dataclass
class House:
    """One node, asked by one client at a time."""

    node: Node = field(repr=False)
    site: Site = field(repr=False)
    config: uvicorn.Config = field(repr=False)

    async def hear(self, visit: Visit, *, short_way: bool) -> tuple[bytes, list[tuple[str, bytes]]]:
        """All that is answered but for whether to go on, and all that is kept. Who was heard before is heard as if for the first time."""
        handled = role_of(self.node.settings).activities
        inbox = Inbox(self.node, handled=handled)
        self.site.door = InboxDoor(inbox, self.node.settings)
        protocol = PatientProtocol(self.config, Room(), {})
        if not short_way:
            protocol._door = None
        wire = Wire(protocol, is_quick=visit.is_quick)
        async with asyncio.timeout(20):
            for piece, waits in visit.pieces:
                while not (wire.hears or wire.is_closing()):
                    wire.take()
                    await asyncio.sleep(0)
                if not wire.is_closing():
                    protocol.data_received(piece)
                if waits:
                    await _until_answered(protocol, wire)
            if visit.leaves and not wire.is_closing() and not protocol.eof_received():
                wire.close()
            await _until_answered(protocol, wire)
            wire.close()
            while protocol.parser or protocol.tasks or inbox._node.errands or inbox._keeper._committers:
                await asyncio.sleep(0)
        async with self.node.database.begin() as session:
            kept = (await session.execute(select(Received.activity_id, Received.body))).all()
            await session.execute(delete(Received))
            await session.execute(delete(Job))
        passing = rb"HTTP/1.1 100 Continue\r\n\r\n" + (rb"|connection: close\r\n" if visit.leaves else b"")
        return re.sub(passing, b"", wire.said), sorted((row[0], row[1] or b"") for row in kept)


async def _until_answered(protocol: PatientProtocol, wire: Wire) -> None:
    wire.take()
    while not wire.is_closing() and any(not one.response_complete for one in protocol._unanswered):
        await asyncio.sleep(0)


@pytest.fixture
async def house(node: Node, monkeypatch: pytest.MonkeyPatch) -> House:
    """A node that knows Sam's key."""
    monkeypatch.setattr("web.doorstep.MOST_BYTES", MOST_BYTES)
    monkeypatch.setattr("web.fediverse.inbox.MAX_BODY_BYTES", MAX_BODY_BYTES)
    key = PublicKey(f"{SAM}#main-key", SAM, "rsa", spki_pem=KEY.public.pem)
    sam = Actor(SAM, "Person", "sam", f"{SAM}/inbox", keys=(key,))
    async with node.database.begin() as session:
        await remember_actor(session, sam, now=node.clock.now())
    config = make_server(node).config
    assert isinstance(config.app, Site)
    return House(node, config.app, config)


@given(visit=VISITS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_short_way_answers_and_keeps_as_the_long_one(house: House, visit: Visit) -> None:
    short = await house.hear(visit, short_way=True)
    long = await house.hear(visit, short_way=False)

    assert short == long
