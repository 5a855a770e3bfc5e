"""Files with one hybrid recipient: every way to alter, cut or address them otherwise is refused."""

import itertools
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.sealing.age import (
    inspect,
    inspect_start,
    open_sealed,
    open_sealed_stream,
    open_stream,
    seal,
    seal_stream,
)
from node.sealing.errors import (
    HeaderAltered,
    InvalidIdentity,
    InvalidRecipient,
    MalformedHeader,
    NotForThisKey,
    NotHybrid,
    PayloadAltered,
    SealingError,
)
from node.sealing.header import Stanza, parse_header, write_header
from node.sealing.recipients import generate_identity, identity_from_seed, recipient_of, unwrapper, wrap
from node.sealing.stream import CHUNK_BYTES, TAG_BYTES, plaintext_size, sealed_size

IDENTITY = identity_from_seed(bytes(32))
RECIPIENT = recipient_of(IDENTITY)
CLASSICAL = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
EDGES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1)


def file_for(stanzas: list[Stanza], file_key: bytes) -> bytes:
    """A file with any stanzas, its payload left empty."""
    return write_header(stanzas, file_key) + bytes(16 + TAG_BYTES)


@pytest.mark.parametrize(
    "recipient", [CLASSICAL, RECIPIENT.upper(), RECIPIENT[:-1] + "x", "age1tagpq1qqqq", ""]
)
def test_nothing_is_sealed_to_a_recipient_that_is_not_hybrid(recipient: str) -> None:
    with pytest.raises(InvalidRecipient):
        seal(b"text", recipient)


def test_a_recipient_of_low_order_is_refused() -> None:
    from node.sealing import bech32

    _, key = bech32.decode(RECIPIENT)

    with pytest.raises(InvalidRecipient):
        seal(b"text", bech32.encode("age1pq", key[:-32] + bytes(32)))


@pytest.mark.parametrize("identity", ["AGE-SECRET-KEY-1QQQ", IDENTITY.lower(), "six words", ""])
def test_nothing_is_opened_with_an_identity_that_is_not_hybrid(identity: str) -> None:
    with pytest.raises(InvalidIdentity):
        open_sealed(seal(b"text", RECIPIENT), identity)


def test_a_file_that_a_second_recipient_opens_too_is_refused() -> None:
    file_key = secrets.token_bytes(16)
    ours, other = wrap(file_key, RECIPIENT), wrap(file_key, recipient_of(generate_identity()))
    classical = Stanza("X25519", ("A" * 43,), bytes(32))
    passphrase = Stanza("scrypt", ("A" * 22, "18"), bytes(32))
    for stanzas in (
        [ours, classical],
        [classical, ours],
        [ours, other],
        [ours, ours],
        [passphrase],
        [classical],
    ):
        mixed = file_for(stanzas, file_key)

        with pytest.raises(NotHybrid):
            open_sealed(mixed, IDENTITY)
        with pytest.raises(NotHybrid):
            inspect(mixed)


def test_a_file_for_somebody_else_is_refused() -> None:
    with pytest.raises(NotForThisKey):
        open_sealed(seal(b"text", recipient_of(generate_identity())), IDENTITY)


def test_a_stanza_of_another_file_is_refused() -> None:
    sealed, other = seal(b"text", RECIPIENT), seal(b"text", RECIPIENT)
    stanzas = list(parse_header(other).stanzas)
    header = parse_header(sealed)

    swapped = write_header(stanzas, bytes(16)) + sealed[header.size :]

    with pytest.raises(HeaderAltered):
        open_sealed(swapped, IDENTITY)


@pytest.mark.parametrize("size", EDGES)
def test_what_is_sealed_opens_again_at_every_edge_of_a_chunk(size: int) -> None:
    plaintext = secrets.token_bytes(size)

    sealed = seal(plaintext, RECIPIENT)

    assert open_sealed(sealed, IDENTITY) == plaintext
    assert inspect(sealed).plaintext_bytes == size
    assert inspect_start(sealed[:4096], total_bytes=len(sealed)) == inspect(sealed)


@pytest.mark.parametrize("size", EDGES)
def test_a_file_cut_short_at_any_edge_is_refused(size: int) -> None:
    sealed = seal(bytes(size), RECIPIENT)
    start = parse_header(sealed).size + 16
    edges = range(start, len(sealed), CHUNK_BYTES + TAG_BYTES)
    ends = {0, 30, start - 17, start - 16, start - 1, len(sealed) - 1}
    ends |= {edge + step for edge in edges for step in (-1, 0, 1) if edge + step < len(sealed)}
    for end in ends:
        with pytest.raises((MalformedHeader, PayloadAltered)):
            open_sealed(sealed[:end], IDENTITY)


def test_a_lengthened_or_reordered_file_is_refused() -> None:
    sealed = seal(bytes(3 * CHUNK_BYTES), RECIPIENT)
    start, step = parse_header(sealed).size + 16, CHUNK_BYTES + TAG_BYTES
    first, second, last = (sealed[start + n * step : start + (n + 1) * step] for n in range(3))
    for altered in (
        sealed + b"\0",
        sealed + last,
        sealed[:start] + second + first + last,
        sealed[:start] + first + last,
        sealed[:start] + first + first + second + last,
    ):
        with pytest.raises(PayloadAltered):
            open_sealed(altered, IDENTITY)


def test_any_flipped_bit_is_refused() -> None:
    sealed = seal(b"twelve words on a card", RECIPIENT)
    for at in itertools.chain(range(0, len(sealed), 7), range(len(sealed) - 40, len(sealed))):
        altered = bytearray(sealed)
        altered[at] ^= 1
        with pytest.raises(SealingError):
            open_sealed(bytes(altered), IDENTITY)


def test_a_stream_hands_on_chunk_by_chunk_and_needs_no_more_memory() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(100_000)

    plaintext = open_sealed_stream(seal_stream(endless(), RECIPIENT), IDENTITY)

    for _ in range(20):
        assert next(plaintext) == bytes(CHUNK_BYTES)
    assert taken < 20


@given(st.lists(st.binary(max_size=200_000), max_size=5), st.integers(1, 100_000))
@settings(max_examples=30)
def test_how_a_stream_is_cut_makes_no_difference(pieces: list[bytes], cut: int) -> None:
    sealed = b"".join(seal_stream(pieces, RECIPIENT))
    again = (sealed[at : at + cut] for at in range(0, len(sealed), cut))

    assert b"".join(open_sealed_stream(again, IDENTITY)) == b"".join(pieces)


@given(st.integers(0, 10**12))
def test_sizes_are_told_both_ways(size: int) -> None:
    assert plaintext_size(sealed_size(size)) == size


@given(st.integers(0, 10 * CHUNK_BYTES))
def test_a_length_that_no_plaintext_gives_is_refused(payload: int) -> None:
    try:
        assert sealed_size(plaintext_size(payload)) == payload
    except PayloadAltered:
        assert payload < TAG_BYTES or payload % (CHUNK_BYTES + TAG_BYTES) in range(1, TAG_BYTES + 1)


visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
stanza = st.builds(Stanza, visible, st.lists(visible, max_size=3).map(tuple), st.binary(max_size=200))


@given(st.lists(stanza, min_size=1, max_size=4), st.binary(min_size=16, max_size=16), st.binary(max_size=50))
def test_every_header_that_is_written_reads_the_same(
    stanzas: list[Stanza], file_key: bytes, payload: bytes
) -> None:
    written = write_header(stanzas, file_key)

    header = parse_header(written + payload)

    assert header.stanzas == tuple(stanzas)
    assert header.size == len(written)
    assert write_header(header.stanzas, file_key) == written


@given(st.lists(stanza, min_size=1, max_size=3), st.data())
def test_a_header_has_one_spelling(stanzas: list[Stanza], data: st.DataObject) -> None:
    """Whatever is changed, the parser either refuses it or reads something that is written exactly so."""
    written = bytearray(write_header(stanzas, bytes(16)))
    at = data.draw(st.integers(0, len(written) - 1))
    match data.draw(st.sampled_from(["change", "insert", "delete"])):
        case "change":
            written[at] = data.draw(st.integers(0, 255))
        case "insert":
            written[at:at] = data.draw(st.sampled_from([b"\r", b" ", b"\n", b"=", b"\0", b"A", b"-> "]))
        case _:
            del written[at]
    try:
        header = parse_header(bytes(written))
    except MalformedHeader:
        return
    again = write_header(header.stanzas, bytes(16))
    assert again[: len(header.authenticated)] == bytes(written[: len(header.authenticated)])


@given(st.binary(max_size=500))
def test_the_parser_meets_any_bytes_with_a_refusal(data: bytes) -> None:
    for start in (b"", b"age-encryption.org/v1\n", b"age-encryption.org/v1\n-> "):
        with pytest.raises(MalformedHeader):
            parse_header(start + data)


def test_a_header_without_a_stanza_or_a_nonce_is_refused() -> None:
    with pytest.raises(MalformedHeader):
        parse_header(write_header([], bytes(16)))
    sealed = seal(b"text", RECIPIENT)
    with pytest.raises(MalformedHeader):
        inspect(sealed[: parse_header(sealed).size + 15])


def test_a_file_key_of_another_length_is_refused() -> None:
    with pytest.raises(MalformedHeader):
        open_stream([seal(b"text", RECIPIENT)], lambda _: bytes(32))


def test_a_header_without_end_is_refused_early() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b"age-encryption.org/v1\n"
        while True:
            taken += 1
            yield b"-> stanza\n\n" * 1000

    with pytest.raises(MalformedHeader):
        open_stream(endless(), unwrapper(IDENTITY))
    assert taken < 10
    with pytest.raises(MalformedHeader):
        parse_header(b"age-encryption.org/v1\n-> " + b"a" * 100_000)
