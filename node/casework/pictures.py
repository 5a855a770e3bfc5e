"""Pictures of cases: drawn anew when they come, kept by the hash of what was drawn, public only with a text that two people stand behind.

A picture belongs to a draft by its hash, so the approval of the draft's hash is the approval of exactly these pixels and their words.
It waits in plain sight of the server, as the draft does (SECURITY.md), and nothing a source sent becomes one by itself.
"""

import asyncio
import hashlib
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Integer, LargeBinary, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.casework.cases import Case
from node.database import Row
from node.errors import Invalid
from vocab.publiccase import EXTENSIONS

log = logging.getLogger(__name__)

PROGRAM = "node.casework.redrawing"
MAX_BYTES = 5_000_000
SECONDS = 30
AT_ONCE = asyncio.Semaphore(1)
SENTENCES = {
    "type": "Choose a JPEG, PNG or WebP picture.",
    "bytes": "This picture is too large: at most 5 MB.",
    "pixels": "This picture has too many pixels: at most 40 million, 12,000 to a side.",
    "too-small": "This picture is too small to be seen.",
    "moving": "Choose a picture that does not move.",
    "broken": "This picture cannot be read. Save it anew in another program.",
}


class Picture(Row):
    """A picture that somebody of the desk added to a case. `body` is what we drew, named by its SHA-256."""

    __tablename__ = "pictures"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    media_type: Mapped[str] = mapped_column(String(20))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    added_by: Mapped[str] = mapped_column(String(26))
    added_on: Mapped[date] = mapped_column(Date)

    def fields(self) -> dict[str, Any]:
        """What a public text says of it, but for the words that stand for it."""
        return {
            "sha256": self.sha256,
            "media_type": self.media_type,
            "width": self.width,
            "height": self.height,
            "path": f"/pictures/{self.sha256}.{EXTENSIONS[self.media_type]}",
        }


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture as we drew it."""

    media_type: str
    width: int
    height: int
    body: bytes


async def draw_anew(data: bytes) -> Drawn:
    """Give the bytes to a process of its own and take back what it drew. Raises Invalid with a sentence for whoever chose them."""
    async with AT_ONCE:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # No setting and no passphrase goes along.
            env={},
        )
        try:
            said, _ = await asyncio.wait_for(program.communicate(data), SECONDS)
        except TimeoutError:
            said = b""
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
    head, _, body = said.partition(b"\n")
    if program.returncode != 0:
        reason = str(json.loads(head).get("refused")) if program.returncode == 3 else "broken"
        # Any other exit is the machine's: a limit that may not be set, a library that does not load, a decoder that broke.
        log.info("picture.refused", extra={"reason": reason, "exit": program.returncode})
        raise Invalid(
            f"picture refused: {reason}", problems={"image": SENTENCES.get(reason, SENTENCES["broken"])}
        )
    found = json.loads(head)
    return Drawn(str(found["media_type"]), int(found["width"]), int(found["height"]), body)


async def keep_picture(session: AsyncSession, case: Case, drawn: Drawn, *, by: str, now: datetime) -> Picture:
    """Keep a picture for the text that is being written; those that no text names are forgotten."""
    case_id = case.id
    name = hashlib.sha256(drawn.body).hexdigest()
    named = {name, *(_named(fields) for fields in (case.draft, case.public))}
    await session.execute(
        delete(Picture).where(Picture.case_id == case_id, Picture.sha256.not_in(named - {""}))
    )
    row = await session.get(Picture, (case_id, name))
    if row is None:
        row = Picture(
            case_id=case_id,
            sha256=name,
            media_type=drawn.media_type,
            width=drawn.width,
            height=drawn.height,
            body=drawn.body,
            added_by=by,
            added_on=now.date(),
        )
        session.add(row)
        await session.flush()
    return row


async def with_picture(
    session: AsyncSession, case_id: str, fields: Mapping[str, object]
) -> Mapping[str, object]:
    """The fields of a text with what we know of the picture they name: of it only the words are the writer's. Raises Invalid."""
    given = fields.get("image")
    if given is None:
        return fields
    name = given.get("sha256") if isinstance(given, Mapping) else None
    row = await session.get(Picture, (case_id, name)) if isinstance(name, str) else None
    if row is None or not isinstance(given, Mapping):
        raise Invalid("a picture that is not of this case", problems={"image": "Choose the picture again."})
    return {**fields, "image": {**row.fields(), "alt": given.get("alt")}}


async def pictures_named(session: AsyncSession, sha256: str) -> list[Picture]:
    """Every picture with these very bytes, of whatever case."""
    return list(await session.scalars(select(Picture).where(Picture.sha256 == sha256)))


async def forget_pictures(session: AsyncSession, case_id: str) -> None:
    """A case is withdrawn: its pictures go with it."""
    await session.execute(delete(Picture).where(Picture.case_id == case_id))


def _named(fields: Mapping[str, Any] | None) -> str:
    image = (fields or {}).get("image")
    return str(image.get("sha256", "")) if isinstance(image, Mapping) else ""
