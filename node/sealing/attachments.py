"""Attachments: a file padded and sealed once to its dialogue, cut into parts for the way, opened only when whole.

The name, the type, the true size and the hash of the file stand inside the submission; the server sees none of them.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from node.sealing.age import open_sealed_stream, seal_stream
from node.sealing.envelope import Document, pad_file, padded_size, require_members, text_of
from node.sealing.errors import MalformedContent

PART_BYTES = 4 * 1024 * 1024
MEMBERS = ("upload", "name", "media_type", "size", "sha256")


@dataclass(frozen=True)
class File:
    """A file to send."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Part:
    """One piece of a sealed file: the body of PUT /api/v1/uploads/{upload}/{number}."""

    upload: str
    number: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Attachment:
    """A file as the submission names it; `sha256` and `size` are of the file itself."""

    upload: str
    name: str
    media_type: str
    size: int
    sha256: str

    def to_json(self) -> Document:
        """Return it as it stands in a submission."""
        return {name: getattr(self, name) for name in MEMBERS}


@dataclass(frozen=True)
class SealedUpload:
    """A sealed file: what the submission says of it, what the server is told, and its parts."""

    attachment: Attachment
    wire: Document
    parts: tuple[Part, ...]


def seal_file(file: File, recipient: str) -> SealedUpload:
    """Seal a file under a random name. Raises InvalidRecipient."""
    upload, size = secrets.token_hex(16), len(file.content)
    sealed = b"".join(seal_stream(pad_file([file.content], size), recipient))
    parts = tuple(
        Part(upload, number, sealed[at : at + PART_BYTES])
        for number, at in enumerate(range(0, len(sealed), PART_BYTES))
    )
    sha256 = hashlib.sha256(file.content).hexdigest()
    wire: Document = {
        "upload": upload,
        "parts": len(parts),
        "size": len(sealed),
        "sha256": hashlib.sha256(sealed).hexdigest(),
    }
    return SealedUpload(Attachment(upload, file.name, file.media_type, size, sha256), wire, parts)


def open_file(sealed: Iterable[bytes], identity: str, attachment: Attachment) -> bytes:
    """Return the file, only when it is whole and is the one its submission names.

    Raises MalformedContent, and what `age.open_sealed` raises.
    """
    content = b"".join(_open(sealed, identity, attachment))
    if hashlib.sha256(content).hexdigest() != attachment.sha256:
        raise MalformedContent("another file than the one that was named")
    return content


def read_attachment(value: object) -> Attachment:
    """Return what a submission says of a file. Raises MalformedContent."""
    if not isinstance(value, Mapping):
        raise MalformedContent("an attachment")
    require_members(value, MEMBERS)
    size = value["size"]
    if type(size) is not int or size < 0:
        raise MalformedContent("the size of an attachment")
    upload, name, media_type, sha256 = (
        text_of(value, key) for key in ("upload", "name", "media_type", "sha256")
    )
    return Attachment(upload, name, media_type, size, sha256)


def _open(sealed: Iterable[bytes], identity: str, attachment: Attachment) -> Iterator[bytes]:
    seen = 0
    for chunk in open_sealed_stream(sealed, identity):
        yield chunk[: max(0, attachment.size - seen)]
        seen += len(chunk)
    if seen != padded_size(attachment.size):
        raise MalformedContent("another length than the one that was named")
