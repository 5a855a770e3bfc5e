"""A clock that stands still until a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class FrozenClock:
    """Satisfies node.clock.Clock; time passes only in `forward`."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Waits until `forward` has passed that moment."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), woken))
        await woken

    @property
    def sleeping(self) -> int:
        """How many wait for time to move."""
        return sum(not woken.done() for _, woken in self._sleepers)

    def forward(self, **amount: float) -> datetime:
        """Moves time on by `timedelta(**amount)` and wakes whoever slept until then; time never goes back."""
        step = timedelta(**amount)
        if step < timedelta(0):
            raise ValueError("time does not go back")
        self._now += step
        due = [woken for moment, woken in self._sleepers if moment <= self._now]
        self._sleepers = [(moment, woken) for moment, woken in self._sleepers if moment > self._now]
        for woken in due:
            if not woken.done():
                woken.set_result(None)
        return self._now
