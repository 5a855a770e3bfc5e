"""An alert sealed into one file on somebody's own machine: what `tracker seal` does. Nothing is sent.

Files are read and sealed as they flow. What is laid aside on the disk in between is ciphertext.
"""

import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import BinaryIO

from node.errors import Invalid
from node.intake.answers import Answers
from node.intake.uploads import MAX_FILES
from node.sealing.alerts import compose_around, new_keys
from node.sealing.attachments import Attachment
from node.sealing.envelope import Document
from node.sealing.manifest import VerifiedManifest
from node.sealing.objects import Compartment
from node.sealing.packages import write_package
from node.sealing.pouring import Pouring

READ_BYTES = 1024 * 1024
PRIVATE = 0o600


def pack(
    manifest: VerifiedManifest,
    answers: Answers,
    files: Sequence[Path],
    receipt: str,
    *,
    day: date,
    language: str,
    out: Path,
    form: str | None = None,
) -> int:
    """Write the package of an alert to `out`, which must not be there yet; returns its size in bytes. `form`: hash of what was asked.

    Raises Invalid (too many files, a file that is not one), FileExistsError, OSError, ManifestOtherNode.
    """
    if len(files) > MAX_FILES:
        raise Invalid(f"an alert carries at most {MAX_FILES} files")
    for file in files:
        if not file.is_file():
            raise Invalid(f"{file} is not a file")
    aside = out.with_name(out.name + ".part")
    keys = new_keys()
    with _create(out) as package:
        try:
            with _create(aside) as sealed:
                attachments = [
                    _seal(file, keys[Compartment.DIALOGUE].recipient, sealed.write) for file in files
                ]
            composed = compose_around(
                manifest,
                manifest.manifest.node,
                answers.answers,
                answers.identity,
                attachments,
                receipt,
                day,
                keys=keys,
                language=language,
                form=form,
            )
            for piece in write_package(composed.body, _pieces(aside)):
                package.write(piece)
            return package.tell()
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        finally:
            aside.unlink(missing_ok=True)


def _seal(file: Path, recipient: str, write: Callable[[bytes], object]) -> tuple[Attachment, Document]:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    pouring = Pouring(file.name, media_type, recipient)
    for piece in _pieces(file):
        write(pouring.write(piece))
    write(pouring.close())
    return pouring.attachment, pouring.wire


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(READ_BYTES):
            yield piece


def _create(file: Path) -> BinaryIO:
    # For nobody else on this machine to read, and never over something that is there.
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb")
