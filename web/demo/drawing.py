"""A picture for a case of the demonstration: a few rectangles as a PNG, with words hidden in it as cameras and editors hide theirs.

Written by hand, because what reads pictures lives in a process of its own.
"""

import struct
import zlib
from typing import Final

Colour = tuple[int, int, int]

WIDTH: Final = 640
HEIGHT: Final = 400
SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
EIGHT_BITS_RGB: Final = bytes((8, 2, 0, 0, 0))
WALL: Final = (222, 214, 198)
# Left, top, right, bottom, and the colour; later ones lie on earlier ones.
SHAPES: Final[tuple[tuple[int, int, int, int, Colour], ...]] = (
    (0, 360, 640, 400, (150, 146, 140)),
    (230, 60, 410, 360, (74, 66, 60)),
    (242, 72, 398, 360, (58, 96, 116)),
    (376, 214, 388, 236, (214, 180, 96)),
    (286, 120, 354, 190, (246, 244, 238)),
    (296, 134, 344, 138, (120, 120, 120)),
    (296, 148, 344, 152, (120, 120, 120)),
    (296, 162, 326, 166, (120, 120, 120)),
)


def a_closed_door(hidden: str) -> bytes:
    """A closed door with a notice on it, and a comment inside the file that nobody sees."""
    rows = [bytearray(bytes(WALL) * WIDTH) for _ in range(HEIGHT)]
    for left, top, right, bottom, colour in SHAPES:
        for row in rows[top:bottom]:
            row[3 * left : 3 * right] = bytes(colour) * (right - left)
    # Every row begins with the number of its filter; 0 is none.
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    head = struct.pack(">II", WIDTH, HEIGHT) + EIGHT_BITS_RGB
    comment = b"Comment\0" + hidden.encode("latin-1")
    chunks = ((b"IHDR", head), (b"tEXt", comment), (b"IDAT", pixels), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
