"""What objects, wraps and vaults have in common: padded canonical JSON inside an age file with one hybrid recipient."""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping

from node.sealing.age import open_sealed, seal
from node.sealing.errors import MalformedContent
from vocab.canonical import canonical
from vocab.errors import NotCanonical

STEP_BYTES = 4096
"""Objects grow in these steps, so that their length tells little."""

Document = dict[str, object]


def seal_json(document: Document, recipient: str) -> bytes:
    """Return the document sealed to one recipient."""
    return seal(_padded(canonical(document)), recipient)


def open_json(sealed: bytes, identity: str) -> Document:
    """Return what `seal_json` sealed. Raises MalformedContent, and what `age.open_sealed` raises."""
    plaintext = open_sealed(sealed, identity)
    try:
        document = json.loads(plaintext)
        # Only the canonical spelling is taken: it leaves no room for repeated members or hidden text.
        is_canonical = isinstance(document, dict) and _padded(canonical(document)) == plaintext
    except (ValueError, RecursionError, NotCanonical) as error:
        raise MalformedContent("not JSON") from error
    if not is_canonical:
        raise MalformedContent("not a canonical, padded JSON object")
    return document  # type: ignore[no-any-return]  # a dict, as just tested


def require_members(document: Mapping[str, object], names: Iterable[str]) -> None:
    """Raise MalformedContent unless the document has exactly these members."""
    if set(document) != set(names):
        raise MalformedContent("members are missing or unknown")


def text_of(document: Mapping[str, object], name: str) -> str:
    """Return a member that must be a text. Raises MalformedContent."""
    value = document.get(name)
    if not isinstance(value, str):
        raise MalformedContent(f"{name} is not a text")
    return value


def to_base64(data: bytes) -> str:
    """Return the text under which bytes travel in JSON."""
    return base64.b64encode(data).decode("ascii")


def from_base64(value: object) -> bytes:
    """Return the bytes of a base64 text. Raises MalformedContent."""
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedContent("not base64") from error


def padded_size(size: int) -> int:
    """Return the length a file is filled up to: Padmé (Nikitin et al., PETS 2019), at most 12 % more, 4 KiB at least."""
    if size <= STEP_BYTES:
        return STEP_BYTES
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def pad_file(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield a file of `size` bytes and then zeros up to its padded size. Raises MalformedContent for another size."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        yield chunk
    if seen != size:
        raise MalformedContent("the file is not as long as was said")
    yield bytes(padded_size(size) - size)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // STEP_BYTES) * STEP_BYTES)
