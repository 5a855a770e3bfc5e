"""Bech32 (BIP173) as age uses it: the same checksum, no limit on length."""

from collections.abc import Iterable
from functools import reduce
from operator import xor

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CHECKSUM_LENGTH = 6
_VALUES = {character: value for value, character in enumerate(CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# What the generator takes away for each five bits that leave at the top: a hybrid recipient has two thousand characters.
_REMAINDERS = tuple(
    reduce(xor, (term for i, term in enumerate(_GENERATOR) if top >> i & 1), 0) for top in range(32)
)


def encode(prefix: str, data: bytes) -> str:
    """Return `data` under a lower-case human-readable prefix."""
    words = _regroup(data, from_bits=8, to_bits=5, fill=True)
    check = _polymod([*_expand(prefix), *words, *([0] * CHECKSUM_LENGTH)]) ^ 1
    words += [(check >> 5 * (CHECKSUM_LENGTH - 1 - i)) & 31 for i in range(CHECKSUM_LENGTH)]
    return prefix + "1" + "".join(CHARSET[word] for word in words)


def decode(text: str) -> tuple[str, bytes]:
    """Return the lower-case prefix and the bytes. Raises ValueError for whatever is not Bech32 to the letter."""
    if text not in (text.lower(), text.upper()):
        raise ValueError("mixed case")
    prefix, separator, rest = text.lower().rpartition("1")
    if not separator or not prefix or len(rest) < CHECKSUM_LENGTH:
        raise ValueError("no prefix or no checksum")
    if not all(33 <= ord(character) <= 126 for character in prefix):
        raise ValueError("prefix out of range")
    try:
        words = [_VALUES[character] for character in rest]
    except KeyError as error:
        raise ValueError("character out of range") from error
    if _polymod([*_expand(prefix), *words]) != 1:
        raise ValueError("wrong checksum")
    return prefix, bytes(_regroup(words[:-CHECKSUM_LENGTH], from_bits=5, to_bits=8, fill=False))


def _expand(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _REMAINDERS[check >> 25]
    return check


def _regroup(values: Iterable[int], *, from_bits: int, to_bits: int, fill: bool) -> list[int]:
    pending = bits = 0
    grouped: list[int] = []
    for value in values:
        pending = pending << from_bits | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            grouped.append(pending >> bits)
            pending &= (1 << bits) - 1
    if fill and bits:
        grouped.append(pending << (to_bits - bits))
    elif not fill and (bits >= from_bits or pending):
        raise ValueError("padding that is not zero")
    return grouped
