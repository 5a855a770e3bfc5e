"""A secret in shares: any `needed` of them give it back, fewer say nothing of it.

Shamir's scheme, one polynomial of random coefficients over GF(256) for each byte of the secret; the field is that of AES
(x⁸ + x⁴ + x³ + x + 1). A share is printed as sixteen groups of four characters that are read aloud without mistakes, with a
checksum of its own, so that a wrong letter is found before shares are put together.
Spec: Shamir 1979, "How to share a secret"; RFC 4648 §6 (base32); FIPS 197 §4.2 for the field.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from node.sealing.errors import SealingError

SECRET_BYTES = 32
MOST = 16
FIELD = 0x11B
CHECKSUM_BYTES = 4
# How many are needed, which one this is, two bytes that name the set, the share, its checksum: forty bytes, no padding.
SHARE_BYTES = 1 + 1 + 2 + SECRET_BYTES + CHECKSUM_BYTES


class WrongShares(SealingError):
    """Shares that are misspelt, too few, doubled, or of different secrets."""

    public = "These shares do not belong together, or one is not as it was printed."


@dataclass(frozen=True)
class Share:
    """One share. `number` counts from 1: the point at which the polynomials were evaluated."""

    needed: int
    number: int
    set_id: bytes
    values: bytes = field(repr=False)

    def __str__(self) -> str:
        body = bytes([self.needed, self.number]) + self.set_id + self.values
        text = base64.b32encode(body + _checksum(body)).decode()
        return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def split(secret: bytes, *, needed: int, total: int) -> tuple[Share, ...]:
    """Return `total` shares of which any `needed` give the secret back. Raises ValueError for counts that make no sense."""
    if len(secret) != SECRET_BYTES or not 2 <= needed <= total <= MOST:
        raise ValueError("thirty-two bytes, and at least two of at most sixteen shares")
    coefficients = [secret, *(secrets.token_bytes(SECRET_BYTES) for _ in range(needed - 1))]
    # Random and not a hash of the secret: a share alone must not serve to test a guess.
    set_id = secrets.token_bytes(2)
    return tuple(
        Share(
            needed,
            number,
            set_id,
            bytes(_evaluate(column, number) for column in zip(*coefficients, strict=True)),
        )
        for number in range(1, total + 1)
    )


def combine(shares: Sequence[Share]) -> bytes:
    """Return the secret. Raises WrongShares when they are too few, doubled or of different sets.

    Shares of one set that are whole always give the secret: checksums find what was misspelt before.
    """
    numbers = {share.number for share in shares}
    kinds = {(share.needed, share.set_id) for share in shares}
    if len(kinds) != 1 or len(numbers) != len(shares):
        raise WrongShares("shares of different secrets, or one of them twice")
    ((needed, _),) = kinds
    if len(shares) < needed:
        raise WrongShares(f"{needed} shares are needed")
    chosen = shares[:needed]
    weights = [_weight(share.number, [one.number for one in chosen]) for share in chosen]
    secret = bytearray(SECRET_BYTES)
    for share, weight in zip(chosen, weights, strict=True):
        for at, value in enumerate(share.values):
            secret[at] ^= _multiply(value, weight)
    return bytes(secret)


def read_share(text: str) -> Share:
    """Return the share that was printed, however it was typed. Raises WrongShares."""
    letters = "".join(text.split()).replace("-", "").upper()
    # What eyes and ears mistake: these digits are not in the alphabet.
    letters = letters.replace("0", "O").replace("1", "I").replace("8", "B")
    try:
        data = base64.b32decode(letters)
    except (binascii.Error, ValueError) as error:
        raise WrongShares("not a share") from error
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if len(data) != SHARE_BYTES or _checksum(body) != checksum:
        raise WrongShares("a share that is not as it was printed")
    needed, number = body[0], body[1]
    if not 2 <= needed <= MOST or not 1 <= number <= MOST:
        raise WrongShares("not a share")
    return Share(needed, number, body[2:4], body[4:])


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"social-rights-tracker/share/v1" + body).digest()[:CHECKSUM_BYTES]


def _evaluate(coefficients: Sequence[int], at: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = _multiply(value, at) ^ coefficient
    return value


def _weight(number: int, numbers: Sequence[int]) -> int:
    """Lagrange's factor of one share for the value at zero; subtraction is XOR."""
    above = below = 1
    for other in numbers:
        if other != number:
            above = _multiply(above, other)
            below = _multiply(below, other ^ number)
    return _multiply(above, _inverse(below))


def _multiply(left: int, right: int) -> int:
    product = 0
    while right:
        if right & 1:
            product ^= left
        left <<= 1
        if left & 0x100:
            left ^= FIELD
        right >>= 1
    return product


def _inverse(value: int) -> int:
    # The group has 255 elements: value ** 254 is its inverse.
    result = 1
    for _ in range(254):
        result = _multiply(result, value)
    return result
