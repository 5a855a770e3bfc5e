"""The receipt a source keeps: 128 random bits as twelve BIP39 English words or as forty digits, and all that derives from them.

HKDF-SHA256 only: the bits are random, so a slow derivation would add nothing. The salt carries the node: the same
words on two nodes cannot be linked. The node's server never sees a receipt, except where a source without JavaScript
hands it over for one request.
Spec: BIP39; RFC 5869.
"""

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.sealing.errors import InvalidReceipt
from node.sealing.recipients import Identity, identity_from_seed, recipient_of
from node.sealing.signing import SigningKey, signing_key

WORDS_IN_RECEIPT = 12
ENTROPY_BYTES = 16
DIGITS_IN_RECEIPT = 40
# The digits spell the bits times this prime: one wrong digit, or two neighbours that changed places, always show.
CHECK_PRIME = 29


class Receipt(str):
    """Twelve words, lower case, one space between; secret. Its repr hides them."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show nothing."""
        return "Receipt(…)"


@dataclass(frozen=True)
class SourceKeys:
    """What a receipt derives to on one node.

    mailbox_token  hexadecimal; opens the mailbox.
    mailbox        its hash: all the server keeps of it.
    """

    node: str
    mailbox_token: str = field(repr=False)
    mailbox: str
    identity: Identity
    recipient: str
    signing: SigningKey


def new_receipt() -> Receipt:
    """Return twelve fresh words."""
    return words_of(secrets.token_bytes(ENTROPY_BYTES))


def read_receipt(text: str) -> Receipt:
    """Return the receipt a person typed, in words or in digits, as words. Raises InvalidReceipt: length, unknown word, checksum."""
    return words_of(entropy_of(text))


def source_keys(receipt: str, node: str) -> SourceKeys:
    """Return the keys of a receipt on the node with this origin. Raises InvalidReceipt."""
    entropy = entropy_of(receipt)
    salt = f"social-rights-tracker/receipt/v1|{node}".encode()

    def derive(label: bytes) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=label).derive(entropy)

    token = derive(b"mailbox-token")
    identity = identity_from_seed(derive(b"reporter-age-pq"))
    return SourceKeys(
        node=node,
        mailbox_token=token.hex(),
        mailbox=hashlib.sha256(token).hexdigest(),
        identity=identity,
        recipient=recipient_of(identity),
        signing=signing_key(derive(b"reporter-ed25519")),
    )


def entropy_of(text: str) -> bytes:
    """Return the sixteen bytes behind twelve words, or forty digits. Raises InvalidReceipt."""
    digits = re.sub(r"[\s,.-]+", "", unicodedata.normalize("NFKC", text))
    if digits.isdecimal():
        return _entropy_of_digits(digits)
    words = [word for word in re.split(r"[\s,.-]+", unicodedata.normalize("NFKD", text).lower()) if word]
    if len(words) != WORDS_IN_RECEIPT:
        raise InvalidReceipt(
            "not twelve words", public=f"A receipt has twelve words; these are {len(words)}."
        )
    bits = 0
    for position, word in enumerate(words, start=1):
        index = _index().get(word)
        if index is None:
            raise InvalidReceipt(
                "an unknown word", public=f"Word {position} is not in the list of receipt words."
            )
        bits = bits << 11 | index
    entropy = (bits >> 4).to_bytes(ENTROPY_BYTES, "big")
    if bits & 0b1111 != _checksum(entropy):
        raise InvalidReceipt(
            "wrong checksum", public="These words do not belong together: one is wrong or out of place."
        )
    return entropy


def words_of(entropy: bytes) -> Receipt:
    """Return the twelve words of sixteen bytes."""
    bits = int.from_bytes(entropy, "big") << 4 | _checksum(entropy)
    places = (11 * (WORDS_IN_RECEIPT - 1 - at) for at in range(WORDS_IN_RECEIPT))
    return Receipt(" ".join(_words()[bits >> place & 0x7FF] for place in places))


def words_of_bits(data: bytes, count: int) -> tuple[str, ...]:
    """Return the first bits of `data` as words of the same list, eleven bits each."""
    bits, length = int.from_bytes(data, "big"), 8 * len(data)
    return tuple(_words()[bits >> (length - 11 * at) & 0x7FF] for at in range(1, count + 1))


def digits_of(entropy: bytes) -> str:
    """Return the forty digits of sixteen bytes, in groups of four: to be read over the telephone, in any language."""
    digits = str(int.from_bytes(entropy, "big") * CHECK_PRIME).zfill(DIGITS_IN_RECEIPT)
    return " ".join(digits[at : at + 4] for at in range(0, DIGITS_IN_RECEIPT, 4))


def _entropy_of_digits(digits: str) -> bytes:
    if len(digits) != DIGITS_IN_RECEIPT:
        raise InvalidReceipt(
            "not forty digits", public=f"A receipt in digits has forty of them; these are {len(digits)}."
        )
    bits, rest = divmod(int(digits), CHECK_PRIME)
    if rest or bits.bit_length() > 8 * ENTROPY_BYTES:
        raise InvalidReceipt(
            "wrong check", public="These digits do not belong together: one is wrong or out of place."
        )
    return bits.to_bytes(ENTROPY_BYTES, "big")


def _checksum(entropy: bytes) -> int:
    # BIP39: the first bits of SHA-256 of the entropy, one for every 32 of its own.
    return hashlib.sha256(entropy).digest()[0] >> 4


@cache
def _words() -> tuple[str, ...]:
    return tuple(resources.files("node.sealing").joinpath("english.txt").read_text("ascii").split())


@cache
def _index() -> dict[str, int]:
    return {word: index for index, word in enumerate(_words())}
