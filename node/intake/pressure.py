"""How much arrives, and what it then costs to send: nothing on an ordinary day, seconds of work under a flood, or of patience where
there are no scripts to work (tickets.py), and a cap above that.

No address is kept or even read: everybody pays alike. The work is hashing (SHA-256), because a careful source's browser has no
compiler: what costs a laptop a second would otherwise cost that source a minute.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from node.errors import NodeError, Throttled
from node.intake.uploads import MAX_WAITING_BYTES

WINDOW = timedelta(minutes=10)
FREE = 30
MOST = 1200
# Files that nothing names yet weigh like arrivals: half the room taken is as much as FREE.
HEAVY_BYTES = MAX_WAITING_BYTES // 2
FIRST_BITS = 12
MOST_BITS = 18
FIRST_WAIT = timedelta(seconds=15)
PREFIX = "social-rights-tracker/work/v1"
MAX_NONCE_CHARACTERS = 32


class WorkNeeded(NodeError):
    """Too little work for the present load."""

    public = "work"

    def __init__(self, bits: int) -> None:
        super().__init__(f"{bits} bits of work are needed")
        self.bits = bits


@dataclass
class Pressure:
    """The arrivals of the last minutes, of one process. Times are forgotten as they pass."""

    arrivals: deque[datetime] = field(default_factory=deque, repr=False)
    _waiting: tuple[datetime, int] | None = field(default=None, repr=False)

    def count(self, *, now: datetime) -> None:
        """One more has arrived."""
        self.arrivals.append(now)

    def weigh(self, waiting_bytes: int, *, now: datetime) -> None:
        """So many bytes wait to be claimed, as was seen when one more part came."""
        self._waiting = now, waiting_bytes

    def admit(self, *, now: datetime) -> None:
        """Raises Throttled when more arrives than can be read by anybody; asked before anything of it is kept."""
        self._forget(now)
        if len(self.arrivals) >= MOST:
            raise Throttled("too many alerts arrive", retry_after=int(WINDOW.total_seconds()))

    def bits(self, *, now: datetime) -> int:
        """How many leading zero bits a sending has to show now: none up to FREE arrivals, then two more for each doubling.

        Files that wait to be claimed count as arrivals do, for as long.
        """
        self._forget(now)
        waiting = self._waiting[1] if self._waiting else 0
        over = (len(self.arrivals) + waiting * FREE // HEAVY_BYTES) // FREE
        return 0 if not over else min(MOST_BITS, FIRST_BITS + 2 * (over.bit_length() - 1))

    def wait(self, *, now: datetime) -> timedelta:
        """How long a page without scripts has to have been open before it is sent: twice as long for each two bits of work."""
        bits = self.bits(now=now)
        return FIRST_WAIT * 2 ** ((bits - FIRST_BITS) // 2) if bits >= FIRST_BITS else timedelta()

    def require(self, work: str, *, node: str, alert_id: str, now: datetime) -> None:
        """Raises WorkNeeded unless `work`, a day and a nonce with a full stop between, shows enough for this alert; and Throttled."""
        self.admit(now=now)
        wanted = self.bits(now=now)
        if wanted and work_bits(work, node=node, alert_id=alert_id, now=now) < wanted:
            raise WorkNeeded(wanted)

    def _forget(self, now: datetime) -> None:
        while self.arrivals and self.arrivals[0] <= now - WINDOW:
            self.arrivals.popleft()
        if self._waiting and self._waiting[0] <= now - WINDOW:
            self._waiting = None


def work_bits(work: str, *, node: str, alert_id: str, now: datetime) -> int:
    """The leading zero bits that `work` shows; none where its day is not about today."""
    day, _, nonce = work.partition(".")
    try:
        is_now = abs(date.fromisoformat(day) - now.date()) <= timedelta(days=1)
    except ValueError:
        is_now = False
    if not is_now or not nonce or len(nonce) > MAX_NONCE_CHARACTERS or not nonce.isascii():
        return 0
    return zero_bits(f"{PREFIX}|{node}|{alert_id}|{day}|{nonce}")


def zero_bits(text: str) -> int:
    """The leading zero bits of the SHA-256 of a text."""
    return 256 - int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest(), "big").bit_length()
