"""age streams: how fast an attachment is sealed and opened, and how little a waiting event loop notices."""

import asyncio
import time
from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from node.sealing.age import open_sealed_stream, seal_stream
from node.sealing.recipients import generate_identity, recipient_of
from tests.bench.figures import Bench, Figure, measured, percentile

MEGABYTES = 100
CHUNK = 65_536
ROUNDS = 3


async def run(bench: Bench) -> list[Figure]:
    identity = generate_identity()
    recipient = recipient_of(identity)
    size = bench.amount(MEGABYTES) * 1_000_000
    chunk = bytes(CHUNK)
    sealing, opening, lags = [], [], []
    for number in range(ROUNDS):
        bench.say(f"round {number + 1} of {ROUNDS}: {size // 1_000_000} MB")
        started = time.perf_counter()
        sealed = list(seal_stream(_repeated(chunk, size), recipient))
        sealing.append(size / 1e6 / (time.perf_counter() - started))
        started = time.perf_counter()
        _drain(open_sealed_stream(iter(sealed), identity))
        opening.append(size / 1e6 / (time.perf_counter() - started))
        lags += await _lags_during(lambda: _drain(seal_stream(_repeated(chunk, size), recipient)))
    limit = _primitive_rate(chunk, size)
    return [
        measured(
            "sealing",
            "MB/s",
            sealing,
            limit=limit,
            goal=300,
            note="The limit is ChaCha20-Poly1305 over the same chunks.",
        ),
        measured("opening", "MB/s", opening, limit=limit, goal=300),
        Figure(
            "sealing-lag",
            percentile(lags, 0.99) * 1000,
            "ms",
            goal=20,
            more_is_better=False,
            note="How late an event loop wakes, 99th percentile, while a thread seals.",
        ),
    ]


def _repeated(chunk: bytes, size: int) -> Iterator[bytes]:
    for _ in range(size // len(chunk)):
        yield chunk


def _drain(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass


def _primitive_rate(chunk: bytes, size: int) -> float:
    cipher = ChaCha20Poly1305(bytes(32))
    started = time.perf_counter()
    for number in range(size // len(chunk)):
        cipher.encrypt(number.to_bytes(12, "big"), chunk, None)
    return size / 1e6 / (time.perf_counter() - started)


async def _lags_during(work: object) -> list[float]:
    assert callable(work)
    running = asyncio.create_task(asyncio.to_thread(work))
    lags = []
    while not running.done():
        due = time.perf_counter() + 0.005
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - due)
    await running
    return lags
