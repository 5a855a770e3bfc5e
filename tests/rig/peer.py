"""Whoever starts an independent ActivityPub server for the tests, in a process of its own on loopback, gets a Peer."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_SECONDS = 20
LOOK_SECONDS = 0.1


class Peer:
    """The control endpoint of such a server. Its answers are JSON, so they come as Any."""

    def __init__(self, origin: str, actor: str, process: int) -> None:
        self.origin = origin
        self.actor = actor
        self.process = process

    def do(self, deed: str, **what: object) -> dict[str, Any]:
        """Follow, unfollow, note, like or announce; returns the activity that was sent."""
        answer = self._ask("do", {"deed": deed, **what})
        if not answer["ok"]:
            raise AssertionError(f"the peer could not {deed}: {answer['error']}")
        sent: dict[str, Any] = answer["sent"]
        return sent

    def check(self, url: str) -> dict[str, Any]:
        """Fetch a document; `document`, and `proof`: what verifying each of its proofs said, or None without one."""
        answer: dict[str, Any] = self._ask("check", {"url": url})
        return answer

    @property
    def state(self) -> dict[str, Any]:
        """followers, accepted, rejected, liked: lists of ids."""
        found: dict[str, Any] = self._ask("state")
        return found

    def received(self, *kinds: str) -> list[dict[str, Any]]:
        """What came to its inboxes, with what verifying each said; of these kinds of activity only, when given."""
        everything: list[dict[str, Any]] = self._ask("received")
        return [one for one in everything if not kinds or (one["activity"] or {}).get("type") in kinds]

    def await_received(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The same, once that many have come."""
        self.until(lambda: len(self.received(kind)) >= count, f"{count} {kind} at the peer")
        return self.received(kind)

    def await_about(self, kind: str, url: str) -> dict[str, Any]:
        """The one activity of that kind about that object, once it has come."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.received(kind) if one["activity"]["object"].get("id") == url]

        self.until(lambda: found() != [], f"a {kind} of {url} at the peer")
        [one] = found()
        return one

    def fanout(self, inboxes: list[tuple[str, str]], activities: int) -> None:
        """Send that many Creates to each (actor, inbox); returns when all are sent."""
        self._ask("fanout", {"inboxes": inboxes, "activities": activities})

    @staticmethod
    def until(condition: Callable[[], bool], what: str) -> None:
        """Wait for something that happens on another server; an AssertionError names it when it does not."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {WAIT_SECONDS} s")
            time.sleep(LOOK_SECONDS)

    def _ask(self, verb: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  # our own loopback address
            f"{self.origin}/control/{verb}", json.dumps(body).encode() if body is not None else None
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def running(command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Iterator[Peer]:
    """A peer that says origin and actor once it listens, and ends when its standard input does."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            env=environment,
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if not said:
                raise RuntimeError(f"the peer did not start: {log.read_text(errors='replace')[-3000:]}")
            yield Peer(process=process.pid, **json.loads(said))
        finally:
            # Its standard input closes; so it also ends when this process is killed.
            process.communicate(timeout=10)
