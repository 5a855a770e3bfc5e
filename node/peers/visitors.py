"""Visitors with an account elsewhere: their own server is asked where it lets them follow us. Nothing of them is kept."""

import asyncio
import logging
from collections import deque
from datetime import datetime, timedelta
from functools import partial

from federation import addresses, intents
from federation.errors import FetchError
from node.peers.directory import require_open
from node.runtime import Node

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
WINDOW = timedelta(minutes=1)
OF_ONE_HOST = 12
OF_ALL = 120


class Asked:
    """Which servers were asked for visitors in the last minute, by this process.

    Anybody can load a page a thousand times, and would make us knock at somebody else's server as often.
    """

    def __init__(self) -> None:
        self._asked: deque[tuple[datetime, str]] = deque(maxlen=OF_ALL)

    def admit(self, host: str, *, now: datetime) -> bool:
        """Whether one more may be asked, which then counts."""
        while self._asked and self._asked[0][0] <= now - WINDOW:
            self._asked.popleft()
        of_host = sum(1 for _, asked in self._asked if asked == host)
        if len(self._asked) >= OF_ALL or of_host >= OF_ONE_HOST:
            return False
        self._asked.append((now, host))
        return True


async def follow_address(
    node: Node, asked: Asked, *, server: str, resource: str, actor_id: str
) -> tuple[str, str] | None:
    """Where a visitor's own server asks them whether to follow an actor of ours, and the host of that; None when it does not say.

    server    of their account, in the letters of the domain name system.
    resource  the account as WebFinger is asked for it.
    """
    if not asked.admit(server, now=node.clock.now()):
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            found = await intents.ask(
                node.http,
                server,
                resource,
                actor_id,
                permit=partial(require_open, node),
                allow_loopback=node.settings.allow_loopback,
            )
        return None if found is None else (found, addresses.parse(found).authority)
    except (FetchError, TimeoutError) as error:
        # Not which server: it would say where visitors have their accounts.
        log.info("visitor.not-led", extra={"reason": type(error).__name__})
        return None
