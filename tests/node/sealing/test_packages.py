"""Packages, and files sealed while they flow: cut, wrong and foreign ones are refused; whole ones read back."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.sealing.age import SealWriter, open_sealed, require_hybrid_only, seal, seal_stream
from node.sealing.attachments import PART_BYTES, open_file
from node.sealing.envelope import padded_size
from node.sealing.errors import MalformedContent, MalformedHeader, NotHybrid
from node.sealing.header import Stanza, write_header
from node.sealing.packages import MAGIC, PackageStart, write_package
from node.sealing.pouring import Pouring
from node.sealing.recipients import generate_identity, recipient_of, wrap

IDENTITY = generate_identity()
RECIPIENT = recipient_of(IDENTITY)


@pytest.mark.parametrize(
    "start",
    [
        b"age-encryption.org/v1\n",
        b"%PDF-1.7",
        MAGIC[:-1] + b"2",
        MAGIC + b"x\n",
        MAGIC + b"\n",
        MAGIC + b"-1\n",
        MAGIC + b"+1\n",
        MAGIC + b"0\n",
        MAGIC + b"01\n1",
        MAGIC + b"9999999\n",
        MAGIC + b"10000000",
        MAGIC + "١\n".encode(),
    ],
)
def test_what_is_no_package_is_refused_at_its_first_bytes(start: bytes) -> None:
    with pytest.raises(MalformedContent):
        PackageStart().feed(start)


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=100), st.integers(1, 40))
def test_a_package_reads_back_however_it_is_cut(body: bytes, files: bytes, step: int) -> None:
    whole = b"".join(write_package(body, [files]))
    start = PackageStart()

    for at in range(0, len(whole), step):
        start.feed(whole[at : at + step])

    assert (start.body, start.rest) == (body, files)


def test_a_package_that_ends_early_has_no_body() -> None:
    start = PackageStart()
    start.feed(b"".join(write_package(b"a body", []))[:-1])

    assert start.body is None


@pytest.mark.parametrize("size", [0, 1, 4096, 65_535, 65_536, 65_537, 131_072, 200_001])
def test_a_file_poured_in_pieces_opens_as_the_file_it_was(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    pouring = Pouring("a.bin", "application/octet-stream", RECIPIENT)

    sealed = b"".join(pouring.write(content[at : at + 7001]) for at in range(0, size, 7001)) + pouring.close()

    assert content == open_file([sealed], IDENTITY, pouring.attachment)
    assert len(open_sealed(sealed, IDENTITY)) == padded_size(size)
    assert pouring.wire == {
        "upload": pouring.upload,
        "parts": -(-len(sealed) // PART_BYTES),
        "size": len(sealed),
        "sha256": hashlib.sha256(sealed).hexdigest(),
    }


@given(st.lists(st.binary(max_size=70_000), max_size=4))
def test_pushed_and_pulled_files_have_the_same_length_and_open_alike(pieces: list[bytes]) -> None:
    writer = SealWriter(RECIPIENT)

    pushed = writer.start() + b"".join(map(writer.write, pieces)) + writer.close()

    assert open_sealed(pushed, IDENTITY) == b"".join(pieces)
    assert len(pushed) == len(b"".join(seal_stream(pieces, RECIPIENT)))


def test_a_file_for_several_counts_them_and_refuses_every_other_kind() -> None:
    key = bytes(16)
    two = write_header([wrap(key, RECIPIENT), wrap(key, RECIPIENT)], key)
    mixed = write_header([wrap(key, RECIPIENT), Stanza("X25519", ("A" * 43,), bytes(32))], key)

    assert require_hybrid_only(two) == 2
    assert require_hybrid_only(seal(b"", RECIPIENT)) == 1
    with pytest.raises(NotHybrid):
        require_hybrid_only(mixed)
    with pytest.raises(MalformedHeader):
        require_hybrid_only(two[:-10])
