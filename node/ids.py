"""Random identifiers. Never time-ordered: an id must not tell when a source wrote."""

import base64
import secrets


def random_id() -> str:
    """128 random bits in 26 lower-case base32 characters."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def random_token() -> str:
    """256 random bits, URL-safe: for links and sessions, kept only as a hash."""
    return secrets.token_urlsafe(32)
