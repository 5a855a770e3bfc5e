"""Pictures: known by their bytes, drawn anew without what hung on them, and part of what two people stand behind."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from node.casework.pictures import draw_anew
from node.casework.redrawing import MAX_OUTPUT_BYTES
from node.errors import Invalid

SECRET = b"GPS 48.8566 N made by Ana"


def a_picture(kind: str = "JPEG", size: tuple[int, int] = (320, 200), mode: str = "RGB", **how: Any) -> bytes:
    into = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(into, kind, **how)
    return into.getvalue()


def with_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = 6
    comment: dict[str, Any] = {"comment": SECRET} if kind == "JPEG" else {}
    return a_picture(kind, exif=exif.tobytes(), **comment)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_nothing_of_the_old_file_comes_along_but_what_is_seen(kind: str) -> None:
    # Whatever stands behind the end: a page, a script, an archive.
    found = await draw_anew(with_exif(kind) + b"<script>alert(1)</script>PK\x03\x04" + SECRET)

    assert found.media_type == ("image/png" if kind == "PNG" else "image/jpeg")
    # The camera was held upright: turned as it was meant, since what said so is gone.
    assert (found.width, found.height) == (200, 320)
    for gone in (SECRET, b"script", b"Exif", b"PK\x03\x04"):
        assert gone not in found.body
    again = Image.open(io.BytesIO(found.body))
    assert dict(again.getexif()) == {}
    assert set(again.info) <= {
        "jfif",
        "jfif_version",
        "jfif_density",
        "jfif_unit",
        "progressive",
        "progression",
    }


async def test_texts_in_a_png_are_gone_and_what_is_clear_stays_clear() -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text("Author", SECRET.decode())

    found = await draw_anew(a_picture("PNG", mode="RGBA", pnginfo=told))

    assert found.media_type == "image/png"
    assert SECRET not in found.body
    assert Image.open(io.BytesIO(found.body)).mode == "RGBA"


async def test_a_large_picture_becomes_one_for_a_page() -> None:
    found = await draw_anew(a_picture(size=(2600, 1500), quality=90))

    assert max(found.width, found.height) <= 1600
    assert len(found.body) <= MAX_OUTPUT_BYTES


MOVING = io.BytesIO()
Image.new("RGB", (64, 64)).save(
    MOVING, "PNG", save_all=True, append_images=[Image.new("RGB", (64, 64), "red")]
)
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Choose a JPEG"),
    "a drawing with a script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "Choose a JPEG"),
    "a page": (b"<!doctype html><script>alert(1)</script>", "Choose a JPEG"),
    "an actor": (b'{"id": "https://victim.example/users/alice", "type": "Person"}', "Choose a JPEG"),
    "a playlist": (b"#EXTM3U\nconcat:file:///etc/passwd", "Choose a JPEG"),
    "a moving GIF": (b"GIF89a" + b"\0" * 100, "Choose a JPEG"),
    "a PDF": (b"%PDF-1.7", "Choose a JPEG"),
    "the beginning of a picture": (b"\xff\xd8\xff\xe0 and then nothing", "cannot be read"),
    "a page that begins like a picture": (
        b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script>",
        "cannot be read",
    ),
    "half a picture": (a_picture()[:2000], "cannot be read"),
    "50,000 pixels to a side": (png_of(50_000, 50_000), "too many pixels"),
    "a ribbon": (png_of(12_001, 40), "too many pixels"),
    "41 million pixels": (png_of(8_200, 5_001), "too many pixels"),
    "a pixel that counts": (a_picture(size=(1, 1)), "too small"),
    "one that moves": (MOVING.getvalue(), "does not move"),
}


@pytest.mark.parametrize("bytes_", REFUSED)
async def test_what_is_no_picture_is_refused_with_a_sentence(
    bytes_: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data, sentence = REFUSED[bytes_]

    with pytest.raises(Invalid) as refusal:
        await draw_anew(data)

    assert sentence in refusal.value.problems["image"]
    assert "picture.refused" in caplog.text


async def test_what_is_drawn_twice_is_the_same() -> None:
    data = a_picture()

    assert (await draw_anew(data)).body == (await draw_anew(data)).body
