"""A package: one sealed alert in one file, to be carried to the node by hand, on a stick or by a plain upload form.

`social-rights-tracker alert v1`, a line feed; the length of the body in decimal, a line feed; the body, which is the JSON
of POST /api/v1/alerts; then the sealed files in the order in which the body names them, nothing between and nothing after.
All of it is ciphertext to whoever carries it, but for what the server is told anyway.
"""

from collections.abc import Iterable, Iterator

from node.sealing.errors import MalformedContent

MAGIC = b"social-rights-tracker alert v1\n"
MAX_BODY_BYTES = 1024 * 1024
MAX_LENGTH_DIGITS = 7
SUFFIX = ".sealed"


def write_package(body: bytes, files: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a package; `files` are the sealed files, or pieces of them, in the order of the body."""
    yield MAGIC + str(len(body)).encode("ascii") + b"\n" + body
    yield from files


class PackageStart:
    """Reads the start of a package as it arrives: feed it until `body` is there; what lies behind the body is `rest`."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.rest = b""
        self._seen = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take in more bytes. Raises MalformedContent as soon as it cannot be a package."""
        if self.body is not None:
            self.rest += piece
            return
        self._seen += piece
        begin = bytes(self._seen[: len(MAGIC)])
        if not MAGIC.startswith(begin):
            raise MalformedContent("not a package")
        end = self._seen.find(b"\n", len(MAGIC), len(MAGIC) + MAX_LENGTH_DIGITS + 1)
        if end < 0:
            if len(self._seen) > len(MAGIC) + MAX_LENGTH_DIGITS:
                raise MalformedContent("no length")
            return
        digits = bytes(self._seen[len(MAGIC) : end])
        if not digits.isdigit() or digits.startswith(b"0") or int(digits) > MAX_BODY_BYTES:
            raise MalformedContent("a length that cannot be")
        behind = end + 1 + int(digits)
        if len(self._seen) >= behind:
            self.body, self.rest = bytes(self._seen[end + 1 : behind]), bytes(self._seen[behind:])
            self._seen.clear()
