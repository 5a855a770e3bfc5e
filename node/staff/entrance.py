"""Coming in and going out: the salt, the proof, the session. Passphrases never arrive here, only what derives from them.

Sessions live in the database as hashes of their tokens; no address, no browser name is kept or counted with.
"""

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.database import Row
from node.errors import NodeError, Throttled
from node.ids import random_token
from node.staff.accounts import SALT_BYTES, Staff, auth_hash, fold, token_hash

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
# A session is marked as used at most this often, so that reading a page is not a write each time.
TOUCH = timedelta(minutes=1)
TRIES = 10
WINDOW = timedelta(minutes=10)
REMEMBERED = 10_000


class NotSignedIn(NodeError):
    """Nobody is signed in here."""

    public = "Sign in first."


class WrongPassphrase(NotSignedIn):
    """The name is unknown or the passphrase is not its own; which of them is not said."""

    public = "The name and the passphrase do not belong together."


class StaffSession(Row):
    """One signed-in browser."""

    __tablename__ = "staff_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]

    def is_live(self, *, now: datetime) -> bool:
        """Whether neither the idle nor the absolute limit has passed."""
        return self.seen_at <= now + TOUCH and now < self.seen_at + IDLE and now < self.started_at + ABSOLUTE


@dataclass(slots=True)
class _Tries:
    count: int
    until: datetime


class Throttle:
    """Counts tries per account in memory, known account or not, by the hash of its name.

    No address takes part: behind a proxy or an onion service one address is everybody. The price is that a stranger can
    keep one account out for a while; a generated passphrase makes the wait the only thing they gain.
    """

    def __init__(
        self, *, tries: int = TRIES, window: timedelta = WINDOW, remembered: int = REMEMBERED
    ) -> None:
        self._tries, self._window, self._remembered = tries, window, remembered
        self._seen: OrderedDict[str, _Tries] = OrderedDict()

    def count(self, name: str, *, now: datetime) -> None:
        """One more try. Raises Throttled."""
        key = hashlib.sha256(fold(name).encode()).hexdigest()
        seen = self._seen.get(key)
        if seen is None or now >= seen.until:
            seen = self._seen[key] = _Tries(0, now + self._window)
            self._seen.move_to_end(key)
        if seen.count >= self._tries:
            raise Throttled(
                "too many tries on one account", retry_after=int((seen.until - now).total_seconds()) + 1
            )
        seen.count += 1
        # Oldest windows go first: a flood of invented names must not fill the memory.
        while len(self._seen) > self._remembered:
            self._seen.popitem(last=False)

    def forget(self, name: str) -> None:
        """The right passphrase was given: earlier tries were its owner's."""
        self._seen.pop(hashlib.sha256(fold(name).encode()).hexdigest(), None)


async def salt_for(session: AsyncSession, name: str, *, secret: bytes) -> bytes:
    """The salt of an account, or a stable invented one, so that names cannot be tried out.

    secret  known to this server only; the same work is done either way.
    """
    login = fold(name)
    invented = hmac.new(secret, login.encode(), hashlib.sha256).digest()[:SALT_BYTES]
    known = await session.scalar(select(Staff.salt).where(Staff.login == login, Staff.is_active))
    return invented if known is None else known


async def sign_in(session: AsyncSession, *, name: str, auth: bytes, now: datetime) -> tuple[Staff, str]:
    """Open a session; returns the person and the token, of which only a hash is kept.

    The caller has counted the try (`Throttle`). Raises WrongPassphrase, the same for a wrong and for an unknown name.
    """
    staff = await session.scalar(select(Staff).where(Staff.login == fold(name), Staff.is_active))
    expected = auth_hash(b"") if staff is None else staff.auth_hash
    is_right = hmac.compare_digest(expected, auth_hash(auth))
    if staff is None or not is_right:
        raise WrongPassphrase("wrong name or passphrase")
    token = random_token()
    session.add(StaffSession(token_hash=token_hash(token), staff_id=staff.id, started_at=now, seen_at=now))
    await session.execute(
        delete(StaffSession)
        .where(StaffSession.seen_at < now - IDLE)
        .execution_options(synchronize_session=False)
    )
    await audit.record(session, actor=staff.id, action="staff.signed-in", subject=staff.id, now=now)
    return staff, token


async def whoever(session: AsyncSession, token: str, *, now: datetime) -> Staff:
    """The person behind a session's token; keeps the session awake.

    Raises NotSignedIn for an unknown, idle, too old or closed one.
    """
    row = await session.get(StaffSession, token_hash(token))
    staff = None if row is None else await session.get(Staff, row.staff_id)
    if row is None or staff is None or not staff.is_active or not row.is_live(now=now):
        raise NotSignedIn("no live session")
    if now - row.seen_at >= TOUCH:
        row.seen_at = now
    return staff


async def sign_out(session: AsyncSession, token: str) -> None:
    """Forget a session; forgetting one that is not there is harmless."""
    await session.execute(delete(StaffSession).where(StaffSession.token_hash == token_hash(token)))


async def end_sessions(session: AsyncSession, staff_id: str) -> None:
    """Sign somebody out everywhere."""
    await session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
