"""The C2SP age vectors (CCTV), read from the npm package `cctv-age` that the browser's tests use too."""

import base64
import zlib
from dataclasses import dataclass
from functools import cache

from tests.web.browser.scripts import run


@dataclass(frozen=True)
class Vector:
    name: str
    expect: str
    payload_sha256: str | None
    identities: tuple[str, ...]
    passphrases: tuple[str, ...]
    is_armored: bool
    file: bytes


@cache
def vectors() -> tuple[Vector, ...]:
    """Every vector but the armored ones: armor is not used here."""
    listed = run("""
        const { default: one, ...named } = await import("cctv-age");
        return Object.entries(one ?? named).map(([name, data]) => [name, text(data)]);
    """)
    read = (_read(name, base64.b64decode(data)) for name, data in listed)
    return tuple(vector for vector in read if not vector.is_armored)


def _read(name: str, data: bytes) -> Vector:
    head, _, file = data.partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    if fields.get("compressed") == ["zlib"]:
        file = zlib.decompress(file)
    return Vector(
        name=name,
        expect=fields["expect"][0],
        payload_sha256=fields.get("payload", [None])[0],
        identities=tuple(fields.get("identity", ())),
        passphrases=tuple(fields.get("passphrase", ())),
        is_armored="armored" in fields,
        file=file,
    )
