"""The wire: what is never connected to, what is never read to its end, and what is kept warm."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from federation.connections import Answer
from federation.errors import FetchError, Forbidden, Oversized, Unreachable
from federation.transport import Limits, Transport
from tests.federation.peer import Peer, a_peer, an_answer, resolving

QUICK = Limits(deadline=0.3, connect=0.2)


async def get(wire: Transport, url: str, **more: Any) -> Answer:
    return await wire.exchange("GET", url, **more)


# ---- the guard -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://public.example/",
        "https://public.example:25/",
        "https://public.example:6379/",
        "https://localhost/",
        "https://a.localhost/",
        "https://node.local/",
        "https://metadata.google.internal/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fec0::1]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
    ],
)
async def test_what_is_not_a_public_web_server_is_never_connected_to(url: str) -> None:
    resolve, _ = resolving("8.8.8.8")

    # Sockets are off in this test: a connection would fail it in another way.
    async with Transport(resolve=resolve) as wire:
        with pytest.raises(Forbidden):
            await get(wire, url)


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["93.184.216.34", "::1"],
        ["fd00::1"],
        ["::ffff:10.0.0.1"],
    ],
)
async def test_a_name_that_leads_inward_by_any_of_its_addresses_is_refused(found: list[str]) -> None:
    resolve, asked = resolving(*found)

    async with Transport(resolve=resolve) as wire:
        with pytest.raises(Forbidden, match="not connected to"):
            await get(wire, "https://rebound.example/")
    assert asked == ["rebound.example"]


@pytest.mark.parametrize("found", [[], ["not an address"]])
async def test_a_name_without_an_address_is_unreachable(found: list[str]) -> None:
    resolve, _ = resolving(*found)

    async with Transport(resolve=resolve) as wire:
        with pytest.raises(Unreachable, match="no address"):
            await get(wire, "https://nowhere.example/")


async def test_a_name_that_cannot_be_resolved_is_unreachable() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with Transport(resolve=resolve) as wire:
        with pytest.raises(Unreachable) as caught:
            await get(wire, "https://nowhere.example/")
    assert caught.value.url == "https://nowhere.example/"


@pytest.mark.parametrize(
    "url", ["http://93.184.216.34/", "http://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "http://0.0.0.0/"]
)
async def test_in_development_nothing_but_this_machine_is_connected_to(url: str) -> None:
    async with Transport(allow_loopback=True) as wire:
        with pytest.raises(Forbidden):
            await get(wire, url)


@pytest.mark.sockets
async def test_a_name_is_resolved_once_and_the_checked_address_connected_to() -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254"]])

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(answers)

    async with (
        a_peer(an_answer(200, b"first")) as peer,
        Transport(allow_loopback=True, resolve=resolve) as wire,
    ):
        url = f"http://rebinding.example:{peer.port}/"
        assert (await get(wire, url)).body == b"first"
        assert b"host: rebinding.example:" in peer.requests[0]
        # Warm: the name is not asked again. Cold: it is, and what it says now is refused.
        assert (await get(wire, url)).body == b"first"
        await wire.aclose()
        with pytest.raises(Forbidden):
            await get(wire, url)


@pytest.mark.sockets
async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with a_peer(an_answer(200, b"here")) as peer:
        resolve, _ = resolving("::1", "127.0.0.1")
        async with Transport(allow_loopback=True, resolve=resolve) as wire:
            assert (await get(wire, f"http://two.example:{peer.port}/")).body == b"here"


@pytest.mark.sockets
async def test_nobody_listening_is_unreachable() -> None:
    async with a_peer(b"") as peer:
        port = peer.port
    async with Transport(allow_loopback=True) as wire:
        with pytest.raises(Unreachable):
            await get(wire, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("header", [(b"x", b"a\r\nb: c"), (b"x\r\ny", b"a"), (b"x", b"a\n"), (b"x", b"\r")])
async def test_a_header_with_a_line_break_is_never_sent(header: tuple[bytes, bytes]) -> None:
    async with Transport(allow_loopback=True) as wire:
        with pytest.raises(ValueError, match="line break"):
            await get(wire, "http://127.0.0.1:1/", headers=[header])


# ---- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (an_answer(200, b"x" * 2000), Oversized),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"7d0\r\n"
            + b"x" * 2000
            + b"\r\n0\r\n\r\n",
            Oversized,
        ),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"x" * 2000, Oversized),
        (b"HTTP/1.1 200 OK\r\n" + b"x-many: 1\r\n" * 200 + b"\r\n", Oversized),
        (b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 40_000 + b"\r\n\r\n", Oversized),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + an_answer(200, b"x"), Oversized),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Unreachable),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            Unreachable,
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", Unreachable),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", FetchError),
    ],
    ids=[
        "long",
        "long chunks",
        "long until close",
        "many headers",
        "long header",
        "many interim answers",
        "ssh",
        "two lengths",
        "no length",
        "upgrade",
    ],
)
async def test_an_answer_beyond_the_limits_or_the_protocol_is_given_up(
    answer: bytes, error: type[FetchError]
) -> None:
    async with a_peer(answer, closes_after=True) as peer, Transport(allow_loopback=True) as wire:
        with pytest.raises(error):
            await get(wire, peer.url(), max_body_bytes=1000)


@pytest.mark.sockets
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ],
)
async def test_an_answer_cut_short_is_unreachable(answer: bytes) -> None:
    async with a_peer(answer, closes_after=True) as peer, Transport(allow_loopback=True) as wire:
        with pytest.raises(Unreachable):
            await get(wire, peer.url())


@pytest.mark.sockets
async def test_an_answer_that_never_comes_is_waited_for_until_the_deadline_and_no_longer() -> None:
    async with a_peer(an_answer(), delay=5) as peer, Transport(allow_loopback=True, limits=QUICK) as wire:
        with pytest.raises(Unreachable, match=r"0\.3 seconds"):
            await get(wire, peer.url())


@pytest.mark.sockets
async def test_each_request_has_a_deadline_of_its_own() -> None:
    async with (
        a_peer(an_answer(), delay=5) as silent,
        a_peer(an_answer(), delay=0.2) as slow,
        Transport(allow_loopback=True, limits=QUICK) as wire,
    ):
        first = asyncio.create_task(get(wire, silent.url()))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(get(wire, slow.url()))
        with pytest.raises(Unreachable, match="seconds"):
            await first

        # Half of its time was over when the first one's ended.
        assert (await second).status == 200
        with pytest.raises(Unreachable, match="seconds"):
            await get(wire, silent.url())


@pytest.mark.sockets
async def test_who_is_cancelled_from_outside_stays_cancelled() -> None:
    async with a_peer(an_answer(), delay=5) as peer, Transport(allow_loopback=True, limits=QUICK) as wire:
        waiting = asyncio.create_task(get(wire, peer.url()))
        await asyncio.sleep(0.05)
        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting


@pytest.mark.sockets
async def test_drops_of_an_answer_do_not_move_the_deadline() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Transport(allow_loopback=True, limits=QUICK) as wire:
        with pytest.raises(Unreachable, match="seconds"):
            await get(wire, f"http://127.0.0.1:{port}/")


@pytest.mark.sockets
async def test_when_only_the_status_counts_a_long_body_is_cut_off() -> None:
    async with a_peer(an_answer(202, b"x" * 5000)) as peer, Transport(allow_loopback=True) as wire:
        answer = await wire.exchange("POST", peer.url(), body=b"{}", max_body_bytes=100, needs_body=False)

    assert answer.status == 202


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (an_answer(200, b"with a length"), b"with a length"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nin\r\n7\r\n pieces\r\n0\r\n\r\n",
            b"in pieces",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + an_answer(200, b"after a while"), b"after a while"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_every_form_of_an_answer_is_read(answer: bytes, body: bytes) -> None:
    async with a_peer(answer, closes_after=True) as peer, Transport(allow_loopback=True) as wire:
        got = await get(wire, peer.url())

    assert got.body == body
    assert got.status in (200, 204)


@pytest.mark.sockets
async def test_headers_are_given_in_lower_case_and_order() -> None:
    async with (
        a_peer(an_answer(200, b"", b"X-One: 1", b"x-two:  2 ", b"X-ONE: 3")) as peer,
        Transport(allow_loopback=True) as wire,
    ):
        answer = await get(wire, peer.url())

    assert answer.header("X-One") == "1"
    assert answer.header("x-two") == "2"
    assert answer.header("absent") is None
    assert [value for name, value in answer.headers if name == b"x-one"] == [b"1", b"3"]


@pytest.mark.sockets
async def test_a_request_says_who_we_are_and_asks_for_no_encoding() -> None:
    async with a_peer(an_answer()) as peer, Transport(allow_loopback=True, user_agent="tests") as wire:
        await wire.exchange("POST", peer.url("/inbox?a=b"), headers=[(b"x", b"y")], body=b"{}")

    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /inbox?a=b HTTP/1.1",
        b"x: y",
        f"host: 127.0.0.1:{peer.port}".encode(),
        b"user-agent: tests",
        b"accept-encoding: identity",
        b"content-length: 2",
    ]
    assert body == b"{}"


# ---- the pool --------------------------------------------------------------------------------------------------------


@pytest.mark.sockets
async def test_a_connection_is_used_again() -> None:
    async with a_peer(an_answer()) as peer, Transport(allow_loopback=True) as wire:
        for _ in range(5):
            await get(wire, peer.url())

    assert (peer.connections, len(peer.requests)) == (1, 5)


@pytest.mark.sockets
async def test_a_warm_connection_that_the_server_has_closed_is_replaced_unnoticed() -> None:
    async with a_peer(an_answer(), closes_after=True) as peer, Transport(allow_loopback=True) as wire:
        for _ in range(3):
            assert (await get(wire, peer.url())).status == 200

    assert peer.connections == 3


@pytest.mark.sockets
async def test_a_connection_that_says_more_than_was_asked_is_not_used_again() -> None:
    async with (
        a_peer(an_answer(200, b"one") + an_answer(200, b"smuggled"), an_answer(200, b"two")) as peer,
        Transport(allow_loopback=True) as wire,
    ):
        assert (await get(wire, peer.url())).body == b"one"
        assert (await get(wire, peer.url())).body == b"two"

    assert peer.connections == 2


@pytest.mark.sockets
async def test_a_server_that_wants_to_close_is_let() -> None:
    async with (
        a_peer(an_answer(200, b"", b"connection: close")) as peer,
        Transport(allow_loopback=True) as wire,
    ):
        await get(wire, peer.url())
        await get(wire, peer.url())

    assert peer.connections == 2


@pytest.mark.sockets
async def test_one_server_gets_only_so_many_connections_at_once() -> None:
    limits = Limits(per_host=2)
    async with a_peer(an_answer(), delay=0.02) as peer, Transport(allow_loopback=True, limits=limits) as wire:
        await asyncio.gather(*(get(wire, peer.url()) for _ in range(10)))

    assert (peer.connections, len(peer.requests)) == (2, 10)


async def test_names_of_one_site_do_not_hold_the_connections_of_all() -> None:
    asked: list[str] = []
    going = asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        if host.endswith(".evil.example"):
            await going.wait()
        raise OSError("no such name")

    async def tried(wire: Transport, host: str) -> str:
        with pytest.raises(Unreachable) as caught:
            await get(wire, f"https://{host}/")
        return str(caught.value)

    async with Transport(resolve=resolve, limits=Limits(at_once=4, per_site=2, deadline=1)) as wire:
        slow = [asyncio.create_task(tried(wire, f"n{number}.evil.example")) for number in range(6)]
        await asyncio.sleep(0)

        assert await tried(wire, "member.example") == "member.example has no address"
        assert len(asked) == 3

        going.set()
        assert all("has no address" in said for said in await asyncio.gather(*slow))
        assert len(asked) == 7
        assert not any((wire._hosts, wire._sites, wire._all, wire._warm))


@pytest.mark.sockets
async def test_only_so_many_connections_are_kept_idle_and_not_for_ever() -> None:
    limits = Limits(idle=1, idle_seconds=0.05)
    async with (
        a_peer(an_answer()) as one,
        a_peer(an_answer()) as two,
        Transport(allow_loopback=True, limits=limits) as wire,
    ):
        await get(wire, one.url())
        await get(wire, two.url())
        assert len(wire._open) <= 2
        await asyncio.sleep(0)
        assert len(wire._idle) == 1
        await asyncio.sleep(0.15)
        assert not wire._idle
        assert not wire._open
        assert not any((wire._hosts, wire._warm))
        await get(wire, two.url())
    assert two.connections == 2


@pytest.mark.sockets
async def test_who_gives_up_leaves_no_connection_behind() -> None:
    async with a_peer(an_answer(), delay=5) as peer, Transport(allow_loopback=True) as wire:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await get(wire, peer.url())
        await asyncio.sleep(0.01)
        assert not wire._open
        assert not any((wire._hosts, wire._warm))


# ---- under httpx -----------------------------------------------------------------------------------------------------


@pytest.mark.sockets
async def test_the_client_of_httpx_speaks_over_it() -> None:
    async with (
        a_peer(an_answer(200, b'{"a":1}'), an_answer(302, b"", b"location: http://10.0.0.1/")) as peer,
        httpx.AsyncClient(transport=Transport(allow_loopback=True)) as http,
    ):
        assert (await http.post(peer.url(), json={"b": 2})).json() == {"a": 1}
        assert (await http.get(peer.url())).status_code == 302

    assert peer.requests[0].endswith(b'{"b":2}')


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (an_answer(200, b"\x1f\x8b", b"content-encoding: gzip"), httpx.DecodingError),
        (an_answer(200, b"x" * 1_100_000), httpx.ReadError),
        (b"", httpx.ConnectError),
    ],
)
async def test_what_goes_wrong_is_told_in_the_words_of_httpx(answer: bytes, error: type[Exception]) -> None:
    async with (
        a_peer(answer, closes_after=True) as peer,
        httpx.AsyncClient(transport=Transport(allow_loopback=True)) as http,
    ):
        with pytest.raises(error):
            await http.get(peer.url())
        with pytest.raises(httpx.UnsupportedProtocol):
            await http.get("http://10.0.0.1/")


# ---- TLS -------------------------------------------------------------------------------------------------------------


def a_certificate(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate for a name, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


@pytest.mark.sockets
async def test_a_name_must_be_the_certificates_whatever_address_it_has(tmp_path: Path) -> None:
    certificate, key = a_certificate("node.example")
    (tmp_path / "chain.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    peer = Peer([an_answer(200, b"over TLS")])
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    resolve, _ = resolving("127.0.0.1")
    trusting = ssl.create_default_context(cadata=certificate.decode())

    async with Transport(allow_loopback=True, resolve=resolve, tls=trusting) as wire:
        assert (await get(wire, f"https://node.example:{port}/")).body == b"over TLS"
        assert (await get(wire, f"https://node.example:{port}/")).body == b"over TLS"
        with pytest.raises(Unreachable, match="SSLCertVerificationError"):
            await get(wire, f"https://other.example:{port}/")
    async with Transport(allow_loopback=True, resolve=resolve) as wire:
        with pytest.raises(Unreachable, match="SSLCertVerificationError"):
            await get(wire, f"https://node.example:{port}/")
    server.close()

    assert asked == ["node.example", "other.example", "node.example"]


@pytest.mark.sockets
async def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async with a_peer(an_answer()) as peer, Transport(allow_loopback=True, limits=QUICK) as wire:
        with pytest.raises(Unreachable):
            await get(wire, f"https://127.0.0.1:{peer.port}/")


@pytest.mark.sockets
async def test_an_answer_to_a_head_request_has_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n"
    async with a_peer(head) as peer, Transport(allow_loopback=True) as wire:
        answer = await wire.exchange("HEAD", peer.url(), max_body_bytes=10)

    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.sockets
async def test_a_warm_connection_that_breaks_in_the_middle_of_an_answer_is_not_asked_twice() -> None:
    broken = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nshort"
    async with a_peer(an_answer(), broken) as peer, Transport(allow_loopback=True) as wire:
        await get(wire, peer.url())
        peer.closes_after = True
        with pytest.raises(Unreachable):
            await get(wire, peer.url())

    assert len(peer.requests) == 2


@pytest.mark.sockets
async def test_closing_ends_what_is_under_way() -> None:
    async with a_peer(an_answer(), delay=5) as peer:
        wire = Transport(allow_loopback=True)
        waiting = asyncio.create_task(get(wire, peer.url()))
        while not peer.requests:
            await asyncio.sleep(0.01)
        await wire.aclose()
        with pytest.raises(Unreachable):
            await waiting


@pytest.mark.sockets
async def test_the_systems_resolver_knows_this_machine() -> None:
    async with a_peer(an_answer(200, b"here")) as peer, Transport(allow_loopback=True) as wire:
        assert (await get(wire, f"http://localhost:{peer.port}/")).body == b"here"


@pytest.mark.sockets
async def test_a_server_that_speaks_unasked_on_a_warm_connection_is_hung_up_on() -> None:
    asked = 0

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            await reader.readuntil(b"\r\n\r\n")
            asked += 1
            writer.write(an_answer(200, b"%d" % asked))
            await asyncio.sleep(0.02)
            writer.write(an_answer(200, b"meant for the next"))
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(chatty, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, Transport(allow_loopback=True) as wire:
        assert (await get(wire, url)).body == b"1"
        await asyncio.sleep(0.05)
        assert (await get(wire, url)).body == b"2"


@pytest.mark.sockets
async def test_each_idle_connection_has_its_own_time() -> None:
    limits = Limits(idle_seconds=0.2)
    async with (
        a_peer(an_answer()) as one,
        a_peer(an_answer()) as two,
        Transport(allow_loopback=True, limits=limits) as wire,
    ):
        await get(wire, one.url())
        await asyncio.sleep(0.12)
        await get(wire, two.url())
        await asyncio.sleep(0.12)
        assert len(wire._idle) == 1
        await get(wire, two.url())
    assert two.connections == 1
