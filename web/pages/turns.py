"""One sending at a door without scripts: the ticket it brought, held against the load before anything of it is kept."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from starlette.requests import Request

from node.errors import Throttled
from node.intake.pressure import Pressure
from node.intake.tickets import MAX_CHARACTERS, Tickets, WaitNeeded
from node.runtime import Node

FIELD = "ticket"


class Turn:
    """`bring` what the form carries as its ticket, then `require` it before the first file is read.

    Left without an error it counts as one arrival; with one, the ticket can be used again.
    """

    def __init__(self, request: Request) -> None:
        self._node: Node = request.app.state.node
        self._pressure: Pressure = request.app.state.pressure
        self._tickets: Tickets = request.app.state.tickets
        self._ticket = ""
        self._held = ExitStack()
        self._is_held = False

    def bring(self, text: bytes) -> None:
        """Some of the ticket, as it arrives."""
        self._ticket = (self._ticket + text.decode("ascii", "replace"))[: MAX_CHARACTERS + 1]

    def require(self) -> None:
        """Raises WaitNeeded unless nothing is asked for at present, or the ticket will do; and Throttled."""
        if self._is_held:
            return
        now = self._node.clock.now()
        self._pressure.admit(now=now)
        wait = self._pressure.wait(now=now)
        self._held.enter_context(self._tickets.held(self._ticket, wait=wait, now=now))
        self._is_held = True

    def __enter__(self) -> Self:
        self._held.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._pressure.count(now=self._node.clock.now())
        self._held.__exit__(kind, error, trace)

    def after(self, error: Exception | None) -> dict[str, Any]:
        """What the page says of waiting: its ticket, the one that was brought where it only has to wait on, and for how long."""
        # Any: a template's context.
        now = self._node.clock.now()
        wait = int(self._pressure.wait(now=now).total_seconds())
        if isinstance(error, WaitNeeded):
            wait = error.retry_after
            if error.is_young:
                return {"ticket": self._ticket, "wait_seconds": wait}
        return {"ticket": self._tickets.issue(now=now), "wait_seconds": wait}


def retry_header(error: Exception | None) -> dict[str, str]:
    """`Retry-After`, where there is a time to name."""
    return {"Retry-After": str(error.retry_after)} if isinstance(error, Throttled) else {}
