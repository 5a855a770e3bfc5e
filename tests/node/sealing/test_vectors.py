"""The C2SP age vectors: what must open opens, and everything else is refused for the reason the vectors name."""

import hashlib
from collections.abc import Sequence

import pytest

from node.sealing.age import inspect, open_stream
from node.sealing.errors import (
    HeaderAltered,
    MalformedHeader,
    NotForThisKey,
    NotHybrid,
    PayloadAltered,
    SealingError,
)
from node.sealing.header import Stanza
from node.sealing.recipients import Unwrap, unwrapper
from tests.node.sealing.cctv import Vector, vectors
from tests.node.sealing.classical import scrypt, x25519

REFUSALS: dict[str, type[SealingError]] = {
    "header failure": MalformedHeader,
    "HMAC failure": HeaderAltered,
    "no match": NotForThisKey,
    "payload failure": PayloadAltered,
}

HANDS_ON_LESS = {
    "stream_no_final_full",
    "stream_no_final_two_chunks_full",
    "stream_trailing_garbage_long",
    "stream_trailing_garbage_short",
    "stream_two_final_chunks",
    "stream_two_final_chunks_full",
    "stream_two_final_chunks_second",
}
"""Altered files of whose sound chunks the vectors' author releases one more: ours waits to know which chunk is the last."""


def of_every_key(vector: Vector) -> Unwrap:
    keys = [unwrapper(key) if "-PQ-" in key else x25519(key) for key in vector.identities]
    keys += [scrypt(passphrase) for passphrase in vector.passphrases]

    def unwrap(stanzas: Sequence[Stanza]) -> bytes | None:
        found = [file_key for key in keys if (file_key := key(stanzas)) is not None]
        return found[0] if found else None

    return unwrap


def judge(vector: Vector, chunk_bytes: int) -> tuple[str, str | None]:
    """What our reader makes of a vector: its verdict, and the hash of what it had handed on by then."""
    chunks = (vector.file[at : at + chunk_bytes] for at in range(0, len(vector.file), chunk_bytes))
    released = hashlib.sha256()
    try:
        for piece in open_stream(chunks, of_every_key(vector)):
            released.update(piece)
    except PayloadAltered:
        return "payload failure", released.hexdigest()
    except SealingError as error:
        return next((name for name, kind in REFUSALS.items() if type(error) is kind), repr(error)), None
    return "success", released.hexdigest()


@pytest.mark.parametrize("chunk_bytes", [1 << 24, 1000])
def test_every_vector_of_the_specification_ends_as_it_says(chunk_bytes: int) -> None:
    expected = {vector.name: (vector.expect, vector.payload_sha256) for vector in vectors()}

    judged = {vector.name: judge(vector, chunk_bytes) for vector in vectors()}

    assert len(expected) == 110
    assert {name: verdict for name, (verdict, _) in expected.items()} == {
        name: verdict for name, (verdict, _) in judged.items()
    }
    handed_on_otherwise = {name for name in expected if expected[name] != judged[name]}
    assert handed_on_otherwise == HANDS_ON_LESS


def test_only_sound_files_for_one_hybrid_recipient_pass_the_inspection() -> None:
    passed = set()
    for vector in vectors():
        try:
            inspect(vector.file)
        except (MalformedHeader, NotHybrid, PayloadAltered):
            continue
        passed.add(vector.name)

    # Without the key a wrong tag or a wrong share cannot be told from a sound one.
    assert passed == {
        "hybrid",
        "hybrid_bad_tag",
        "hybrid_currupted_enc_mlkem",
        "hybrid_currupted_enc_x25519",
        "hybrid_no_match",
    }
