"""What a visitor without scripts pays with under load: time. A page hands out a ticket, signed and dated, and what comes back brings it.

On an ordinary day nothing is asked. Under load a ticket must have waited, and each takes one alert through the door: whoever wants
to send many has to fetch many pages and keep each for its time. A ticket says when it was made and nothing of who has it; no
address is read. Spent ones are remembered until they would be too old anyway, in the memory of one process.
"""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from node.errors import Throttled

PURPOSE = b"social-rights-tracker/ticket/v1"
LONGEST = timedelta(hours=6)
MAX_CHARACTERS = 160
NONCE_BYTES = 16


class WaitNeeded(Throttled):
    """A ticket that is missing, spent, too old, or has not waited long enough yet.

    is_young  whether the same ticket will do when the time has passed; otherwise a new page brings a new one.
    """

    public = "So much arrives at present that a page has to wait before it is sent. Wait a little, then send it again."

    def __init__(self, wait: timedelta, *, is_young: bool = False) -> None:
        super().__init__("a ticket has to wait", retry_after=max(1, int(wait.total_seconds())))
        self.is_young = is_young


@dataclass
class Tickets:
    """Makes tickets and judges them. Every process of a node knows the others' by the node's secret."""

    secret: bytes = field(repr=False)
    spent: dict[str, datetime] = field(default_factory=dict, repr=False)

    def issue(self, *, now: datetime) -> str:
        """A fresh ticket."""
        return self._signed(f"{int(now.timestamp())}.{secrets.token_hex(NONCE_BYTES)}")

    @contextmanager
    def held(self, ticket: str, *, wait: timedelta, now: datetime) -> Iterator[None]:
        """Let one sending through with this ticket; it is given back when the sending comes to nothing.

        wait  how long a ticket must have waited now; none asks for no ticket at all. Raises WaitNeeded.
        """
        if not wait:
            yield
            return
        self._forget(now)
        made, nonce = self._read(ticket, wait=wait)
        age = now - made
        if nonce in self.spent or not timedelta() <= age <= LONGEST:
            raise WaitNeeded(wait)
        if age < wait:
            raise WaitNeeded(wait - age, is_young=True)
        self.spent[nonce] = made + LONGEST
        try:
            yield
        except BaseException:
            self.spent.pop(nonce, None)
            raise

    def _read(self, ticket: str, *, wait: timedelta) -> tuple[datetime, str]:
        said, _, _ = ticket.rpartition(".")
        if len(ticket) > MAX_CHARACTERS or not hmac.compare_digest(
            self._signed(said).encode(), ticket.encode()
        ):
            raise WaitNeeded(wait)
        at, _, nonce = said.partition(".")
        return datetime.fromtimestamp(int(at), UTC), nonce

    def _signed(self, said: str) -> str:
        return f"{said}.{hmac.digest(self.secret, PURPOSE + said.encode(), 'sha256').hex()}"

    def _forget(self, now: datetime) -> None:
        for nonce in [nonce for nonce, until in self.spent.items() if until < now]:
            del self.spent[nonce]
