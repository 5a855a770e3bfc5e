"""What can go wrong in the node, as one family.

    NodeError
    ├── NotAllowed     the person may not do this
    ├── WrongState     the thing is not in a state that allows this move
    ├── NotFound       there is no such thing, or not for this person
    ├── Conflict       somebody else was first
    ├── Invalid        what was given does not hold; `problems` names the fields
    ├── TooLarge       more bytes or items than are taken
    ├── Throttled      too many tries; `retry_after` seconds
    ├── NotYet         it cannot be told just now; `retry_after` seconds
    ├── NoRoom         the disk is full: nothing more can be kept
    ├── LeaseLost      it took too long: somebody else does the same by now
    └── Misconfigured  the settings contradict each other; refuses to start

`str(error)` speaks to the operator, `error.public` is one safe sentence for the reply.
"""

from collections.abc import Mapping


class NodeError(Exception):
    """A node cannot do what was asked."""

    public = "This cannot be done."

    def __init__(self, message: str = "", *, public: str | None = None) -> None:
        super().__init__(message or public or self.public)
        if public is not None:
            self.public = public


class NotAllowed(NodeError):
    public = "You may not do this."


class WrongState(NodeError):
    public = "This is not possible in the present state."


class NotFound(NodeError):
    public = "There is nothing here."


class Conflict(NodeError):
    public = "Somebody else was first. Read again, then try again."


class Invalid(NodeError):
    """What was given does not hold.

    problems  field key → one sentence a person can act on.
    """

    public = "Something in what was sent does not hold."

    def __init__(
        self, message: str = "", *, public: str | None = None, problems: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, public=public)
        self.problems: dict[str, str] = dict(problems or {})


class TooLarge(NodeError):
    public = "This is larger than what is taken here."


class Throttled(NodeError):
    """Too many tries.

    retry_after  seconds.
    """

    public = "Too many tries. Wait a little, then try again."

    def __init__(self, message: str = "", *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotYet(NodeError):
    """What is needed to decide cannot be had just now, and nothing is done without it.

    retry_after  seconds.
    """

    public = "This cannot be told just now. Try again later."

    def __init__(self, message: str = "", *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoRoom(NodeError):
    public = "This server is not ready. Please try again later."


class LeaseLost(NodeError):
    public = "Somebody else does this by now."


class Misconfigured(NodeError):
    public = "The server is not set up correctly."
