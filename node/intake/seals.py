"""What the door asks of everything sealed, told from the outside: one hybrid recipient, and a length that says little."""

from node.errors import Invalid
from node.sealing import inspect, is_hybrid_recipient
from node.sealing.errors import InvalidRecipient, SealingError

PADDED_TO = 4096


def require_sealed(sealed: bytes) -> None:
    """Raises Invalid unless this is an age file for exactly one hybrid recipient, padded as objects are."""
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
