"""Draws a picture anew, in a process of its own: `python -m node.casework.redrawing` reads it, and writes one line of JSON and new bytes.

What it is, its first bytes say, never its name or whatever a browser called it. Nothing of the old file is copied but what is seen:
no EXIF, no colour profile, no comment, no bytes behind the end. The one file that meets Pillow, whose decoders are C: a picture made to
break one of them breaks a process that holds nothing, has no key, and may neither grow nor last.
"""

import io
import json
import resource
import sys
import warnings
from typing import Final

from PIL import Image, ImageOps

MAX_INPUT_BYTES: Final = 5_000_000
MAX_OUTPUT_BYTES: Final = 1024 * 1024
MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 12_000
MIN_SIDE: Final = 32
SHOWN_SIDES: Final = (1600, 1200, 800, 500)
QUALITIES: Final = (85, 75, 60)
MEMORY_BYTES: Final = 1536 * 1024 * 1024
CPU_SECONDS: Final = 20


class NotAPicture(Exception):
    """Why these bytes are not taken; `args[0]` is one word for the log."""


def kind_of(data: bytes) -> str | None:
    """What these bytes begin as, in Pillow's words; None for anything that is not taken."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def redraw(data: bytes) -> tuple[str, int, int, bytes]:
    """Media type, width, height and bytes of the picture drawn anew. Raises NotAPicture."""
    kind = kind_of(data)
    if kind is None:
        raise NotAPicture("type")
    if len(data) > MAX_INPUT_BYTES:
        raise NotAPicture("bytes")
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with warnings.catch_warnings():
            # Pillow warns of a picture that is too large, and refuses only one twice as large.
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=[kind]) as found:
                if max(found.size) > MAX_SIDE or found.size[0] * found.size[1] > MAX_PIXELS:
                    raise NotAPicture("pixels")
                if min(found.size) < MIN_SIDE:
                    raise NotAPicture("too-small")
                if getattr(found, "n_frames", 1) > 1:
                    raise NotAPicture("moving")
                found.load()
                turned = ImageOps.exif_transpose(found)
                is_clear = turned.mode in ("LA", "PA", "RGBA") or "transparency" in turned.info
                seen = turned.convert("RGBA" if is_clear else "RGB")
    except NotAPicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAPicture("pixels") from error
    except Exception as error:  # decoders raise whatever they like at broken bytes
        raise NotAPicture("broken") from error
    return _drawn(seen, lossless=kind == "PNG")


def _drawn(seen: Image.Image, *, lossless: bool) -> tuple[str, int, int, bytes]:
    for side in SHOWN_SIDES:
        fitted = seen.copy()
        fitted.thumbnail((side, side))
        # On a sheet of its own: what hung on the old one stays behind.
        sheet = Image.new(fitted.mode, fitted.size)
        sheet.paste(fitted)
        if lossless or sheet.mode == "RGBA":
            body = _saved(sheet, "PNG", optimize=True)
            if len(body) <= MAX_OUTPUT_BYTES:
                return "image/png", *sheet.size, body
        if sheet.mode == "RGBA":
            continue
        for quality in QUALITIES:
            body = _saved(sheet, "JPEG", quality=quality, optimize=True, progressive=True)
            if len(body) <= MAX_OUTPUT_BYTES:
                return "image/jpeg", *sheet.size, body
    raise NotAPicture("bytes")


def _saved(sheet: Image.Image, kind: str, **how: object) -> bytes:
    into = io.BytesIO()
    sheet.save(into, kind, **how)
    return into.getvalue()


def main() -> int:
    """Read a picture from standard input, write it drawn anew; 3 and a reason when it is none."""
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, CPU_SECONDS)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, 16)
    Image.preinit()
    try:
        media_type, width, height, body = redraw(sys.stdin.buffer.read(MAX_INPUT_BYTES + 1))
    except NotAPicture as refusal:
        sys.stdout.write(json.dumps({"refused": refusal.args[0]}))
        return 3
    head = json.dumps({"media_type": media_type, "width": width, "height": height})
    sys.stdout.buffer.write(head.encode() + b"\n" + body)
    return 0


def _limit(kind: int, most: int) -> None:
    """Allow at most so much from here on; what was allowed less before stays. Where no limit can be set, nothing is drawn."""
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    raise SystemExit(main())
