"""What the door asks of everything sealed, told from the outside: one hybrid recipient, and a length that says little."""

from node.errors import Invalid, TooLarge
from node.sealing import inspect, is_hybrid_recipient
from node.sealing.errors import InvalidRecipient, SealingError

PADDED_TO = 4096
MAX_WRAP_BYTES = 16 * 1024


def require_wrap(sealed: bytes) -> None:
    """Raises as `require_sealed`; the key of a compartment is short."""
    require_sealed(sealed, "a wrap", max_bytes=MAX_WRAP_BYTES)


def require_sealed(sealed: bytes, what: str, *, max_bytes: int) -> None:
    """Raises TooLarge, and Invalid unless this is an age file for exactly one hybrid recipient, padded as objects are.

    what  it is, for the log.
    """
    if len(sealed) > max_bytes:
        raise TooLarge(f"{what} is too large")
    try:
        found = inspect(sealed)
    except SealingError as error:
        raise Invalid(str(error), public=error.public) from error
    # A length to the byte would tell how much somebody wrote, and what it may be.
    if not found.plaintext_bytes or found.plaintext_bytes % PADDED_TO:
        raise Invalid("not padded", public=f"What is sealed is padded to a multiple of {PADDED_TO} bytes.")


def require_hybrid(recipient: str) -> None:
    """Raises Invalid unless this is a hybrid age recipient."""
    if not is_hybrid_recipient(recipient):
        raise Invalid("not a hybrid recipient", public=InvalidRecipient.public)
