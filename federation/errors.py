"""What can go wrong between servers, beyond the ordinary refusals that are values.

FederationError
├── InvalidKey             a key that is malformed, too weak, too strong or of a kind not spoken here
└── FetchError             an answer that was not got, or may not be used; carries `url`
    ├── Unreachable        no connection, no TLS, no complete answer in time
    │   ├── Unavailable    the host itself says that it will pass: 408, 425, 429 and nearly every 5xx
    │   └── NotNow         a host of which too much was asked for just now
    ├── Forbidden          an address, port, scheme or name that this server never connects to
    ├── Oversized          more bytes, headers or redirects than a peer may send
    ├── BadAnswer          an answer that cannot be used: status, media type, JSON, shape
    │   └── NotThere       404 or 410; `gone` tells which
    └── Mismatch           the document is not what the address says: other id, other owner, other host
        └── NotListed      an actor does not list that key; carries what it says of itself
"""

from datetime import datetime

from vocab.actors import Actor


class FederationError(Exception):
    """Anything this floor gives up on; `public` is the one sentence a stranger may read."""

    public = "The other server could not be understood."


class InvalidKey(FederationError):
    """A key that cannot be used: malformed, too weak, too large, or of another kind."""

    public = "The key cannot be used."


class FetchError(FederationError):
    """A document could not be fetched from `url`."""

    public = "The other server gave no usable answer."

    def __init__(self, message: str, *, url: str = "") -> None:
        """Keep the address beside the sentence: logs count by host."""
        super().__init__(message)
        self.url = url


class Unreachable(FetchError):
    """No connection, no TLS, or no complete answer within the deadline."""

    public = "The other server could not be reached."


class Unavailable(Unreachable):
    """The host answered that it cannot, or not yet."""

    def __init__(self, message: str, *, url: str = "", retry_at: datetime | None = None) -> None:
        """`retry_at` is the host's own wish (Retry-After), within limits."""
        super().__init__(message, url=url)
        self.retry_at = retry_at


class NotNow(Unreachable):
    """Too much of that host was asked for just now: it is asked again later."""


class Forbidden(FetchError):
    """The address is not one this server connects to, whoever asks."""


class Oversized(FetchError):
    """The answer exceeds a limit: bytes, headers, redirects."""


class BadAnswer(FetchError):
    """The answer came, and cannot be used."""

    def __init__(self, message: str, *, url: str = "", status: int = 0) -> None:
        """`status` is the HTTP status, or 0 when that was not the trouble."""
        super().__init__(message, url=url)
        self.status = status


class NotThere(BadAnswer):
    """404 or 410: there is no such document."""

    @property
    def gone(self) -> bool:
        """Return whether the other server said that it will not come back."""
        return self.status == 410


class Mismatch(FetchError):
    """The document speaks for another address than the one it was found at."""


class NotListed(Mismatch):
    """The owner of a key was asked, and lists none of that id."""

    def __init__(self, message: str, *, url: str = "", owner: Actor) -> None:
        """`owner` is the actor as it describes itself now: which keys it has is worth knowing all the same."""
        super().__init__(message, url=url)
        self.owner = owner
