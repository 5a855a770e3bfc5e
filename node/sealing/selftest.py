"""The check a process makes before it takes anything in: can this build of the cryptography do what sealing needs?

Some builds lack ML-KEM-768 and say so only when it is used (the 47.0.0 wheel of cryptography, distributions with an
older OpenSSL). Better to refuse to start than to find out when a source is waiting.
"""

import hashlib
from importlib import resources

from cryptography.exceptions import UnsupportedAlgorithm

from node.sealing.age import open_sealed, seal
from node.sealing.errors import SealingError, SealingUnusable
from node.sealing.recipients import generate_identity, identity_from_seed, recipient_of

_SEED = bytes(range(32))
_RECIPIENT_SHA256 = "e1704ce7caadaa4e436845c280d1527742f46a8af62d934c41b60c624e7cb185"
_PLAINTEXT = b"a known answer"


def self_test() -> None:
    """Seal and open once, then open a file that another implementation (age-encryption, npm) sealed.

    Raises SealingUnusable: refuse to start.
    """
    try:
        identity = generate_identity()
        if open_sealed(seal(_PLAINTEXT, recipient_of(identity)), identity) != _PLAINTEXT:
            raise SealingUnusable("what was sealed does not open to the same bytes")
        known = identity_from_seed(_SEED)
        if hashlib.sha256(recipient_of(known).encode("ascii")).hexdigest() != _RECIPIENT_SHA256:
            raise SealingUnusable("a known seed gives another recipient")
        sealed = resources.files("node.sealing").joinpath("known.age").read_bytes()
        if open_sealed(sealed, known) != _PLAINTEXT:
            raise SealingUnusable("a known file opens to other bytes")
    except SealingUnusable:
        raise
    except (SealingError, UnsupportedAlgorithm, ValueError, OSError) as error:
        raise SealingUnusable(
            "the installed cryptography cannot seal: install cryptography 48 or newer from its wheel"
        ) from error
