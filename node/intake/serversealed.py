"""An alert that the server seals itself, at once and in memory, for a source whose browser cannot.

For that moment the server holds what was written, and the receipt; afterwards it holds neither. Attachments pass through it
chunk by chunk. Nothing here logs, nothing is written that is not sealed, and the alert says for ever how it came.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import PurePosixPath

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.errors import Invalid, TooLarge
from node.intake.alerts import Alert, Mode
from node.intake.answers import MAX_TEXT_BYTES, Answers
from node.intake.parts import Parts
from node.intake.uploads import MAX_FILES
from node.runtime import Node
from node.sealing.alerts import Keys, compose_around, new_keys
from node.sealing.attachments import Attachment
from node.sealing.envelope import Document
from node.sealing.manifest import VerifiedManifest, verify_manifest
from node.sealing.objects import Compartment
from node.sealing.pouring import Pouring
from node.sealing.receipts import Receipt, new_receipt

MAX_NAME_CHARACTERS = 200
FEWEST_COUNTED = 5


@dataclass
class Sealing:
    """One alert while it arrives: texts in memory, files through the cipher into parts."""

    node: Node
    keys: Keys = field(default_factory=new_keys, repr=False)
    texts: dict[str, list[str]] = field(default_factory=dict, repr=False)
    _files: list[tuple[Attachment, Document]] = field(default_factory=list, repr=False)
    _text_bytes: int = 0
    _present: tuple[Pouring, Parts] | None = None

    def add_text(self, name: str, content: bytes) -> None:
        """Keep one field of the form. Raises TooLarge, Invalid."""
        self._text_bytes += len(content)
        if self._text_bytes > MAX_TEXT_BYTES:
            raise TooLarge("the texts are too long")
        try:
            text = content.decode("utf-8").replace("\r\n", "\n").strip()
        except UnicodeDecodeError:
            raise Invalid("a field that is no text") from None
        if text:
            self.texts.setdefault(name, []).append(text)

    def begin_file(self, filename: str, media_type: str) -> None:
        """A file begins. Raises TooLarge when it is one too many."""
        if len(self._files) >= MAX_FILES:
            raise TooLarge("too many files")
        name = PurePosixPath(filename.replace("\\", "/")).name[:MAX_NAME_CHARACTERS] or "file"
        kind = media_type or "application/octet-stream"
        pouring = Pouring(name, kind, self.keys[Compartment.DIALOGUE].recipient)
        self._present = pouring, Parts(self.node, pouring.upload)

    async def write(self, piece: bytes) -> None:
        """More bytes of the present file: only what the cipher makes of them goes on."""
        if self._present is not None:
            pouring, parts = self._present
            await parts.write(pouring.write(piece))

    async def end_file(self) -> None:
        """The present file is whole."""
        if self._present is not None:
            pouring, parts = self._present
            await parts.write(pouring.close())
            await parts.close()
            self._files.append((pouring.attachment, pouring.wire))
            self._present = None

    def close(
        self, manifest: VerifiedManifest, answers: Answers, *, form: str, day: date, language: str
    ) -> tuple[bytes, Receipt]:
        """The JSON of the alert, and the receipt: the caller shows it once and keeps neither. `form` is the hash of what was asked."""
        receipt = new_receipt()
        composed = compose_around(
            manifest,
            self.node.settings.origin,
            answers.answers,
            answers.identity,
            self._files,
            receipt,
            day,
            keys=self.keys,
            language=language,
            form=form,
        )
        return composed.body, receipt


def believed(node: Node, body: bytes, *, now: datetime) -> VerifiedManifest:
    """Our own list of keys, judged as a source's browser would. Raises ManifestRefused."""
    return verify_manifest(body, node=node.settings.origin, root=node.keyring.root_id or "", now=now)


async def count_modes(session: AsyncSession) -> tuple[int, int] | None:
    """How many alerts there are and how many the server sealed; None while so few would tell of somebody."""
    rows = await session.execute(select(Alert.mode, func.count()).group_by(Alert.mode))
    found: dict[str, int] = {mode: count for mode, count in rows}
    total = sum(found.values())
    return (total, found.get(Mode.SERVER_SEALED, 0)) if total >= FEWEST_COUNTED else None
