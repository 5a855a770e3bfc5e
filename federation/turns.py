"""Whose turn it is to use what there is little of, and how long anybody's turn may last.

Both stand in the way of each delivery, of which there are thousands a second: who need not wait makes no coroutine for it, and has no
timer of its own.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Line:
    """So many at once, the others in the order they came."""

    free: int
    users: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def wait(self) -> None:
        """Take the place of somebody who gives it back."""
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was ours already when we were called away.
                self.give_back()
            raise

    def give_back(self) -> None:
        """Leave the place to whoever has waited longest."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1


class Lines:
    """A line for each name, with so many places; forgotten when nobody stands in it."""

    def __init__(self, places: int) -> None:
        """places  of each line."""
        self._places = places
        self._lines: dict[Hashable, _Line] = {}

    async def enter(self, name: Hashable) -> None:
        """Take a place in that line, at once or when it is one's turn; whoever has one leaves it."""
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line(self._places)
        line.users += 1
        if line.free:
            line.free -= 1
            return
        try:
            await line.wait()
        except BaseException:
            self._forget(name, line)
            raise

    def leave(self, name: Hashable) -> None:
        """Give the place back."""
        line = self._lines[name]
        line.give_back()
        self._forget(name, line)

    def __len__(self) -> int:
        """How many lines there are in which anybody stands."""
        return len(self._lines)

    def _forget(self, name: Hashable, line: _Line) -> None:
        line.users -= 1
        if not line.users:
            del self._lines[name]


class Turn:
    """A place in each of several lines, taken one after the other: who waits in the first keeps nobody waiting in the next."""

    __slots__ = ("_taken", "_wanted")

    def __init__(self, *wanted: tuple[Lines, Hashable]) -> None:
        """wanted  the lines, each with the name."""
        self._wanted = wanted
        self._taken = 0

    async def __aenter__(self) -> None:
        """Wait for all of them."""
        try:
            for lines, name in self._wanted:
                await lines.enter(name)
                self._taken += 1
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Give all of them back."""
        self._give_back()

    def _give_back(self) -> None:
        for lines, name in reversed(self._wanted[: self._taken]):
            lines.leave(name)


class Deadline:
    """Cancels what takes longer than everything here may, with one timer for all of it: a timer each is a tenth of a delivery."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[object], float] = {}
        self._overdue: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[object]:
        """From now on the time of the task that calls this runs; it calls `end` when it is done."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("no task is running")
        loop = task.get_loop()
        # The earliest stands first, since all have as long.
        self._ends[task] = end = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._look)
        return task

    def end(self, task: asyncio.Task[object]) -> bool:
        """Stop its time; True when it was over, and the task was cancelled for that and for nothing else."""
        self._ends.pop(task, None)
        if task not in self._overdue:
            return False
        self._overdue.discard(task)
        return task.uncancel() == 0

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for task, end in tuple(self._ends.items()):
            loop = task.get_loop()
            if end > loop.time():
                self._timer = loop.call_at(end, self._look)
                return
            del self._ends[task]
            self._overdue.add(task)
            task.cancel()
