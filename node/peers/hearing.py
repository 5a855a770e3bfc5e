"""What one process remembers of signed requests that held: which dialect a host signs with, and which signed GETs were there before.

Nothing is kept of a request but its host and a hash of its signature, and neither outlives the process: what is worth more is a row.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta

from federation.requests import LONGEST_LIFE, STRANGER_WINDOW, Dialect
from federation.verification import Presented
from node.peers.habits import expect_dialect, hosts_at
from node.runtime import Node

HOSTS_REMEMBERED = 10_000
GETS_REMEMBERED = 10_000
# From the first moment at which a signature can hold to the last.
REMEMBERED_FOR = LONGEST_LIFE + 2 * STRANGER_WINDOW
# Times in signatures are whole seconds and RSA signs alike each time: two requests for one address in a moment are the same bytes.
SAME_MOMENT = timedelta(seconds=10)


class Hearing:
    """The memory of one process; both parts are bounded, the oldest goes first."""

    def __init__(self, node: Node) -> None:
        """Hold the node; nothing is remembered yet."""
        self._node = node
        self._hosts: OrderedDict[str, None] = OrderedDict()
        self._gets: OrderedDict[bytes, datetime] = OrderedDict()

    def knows(self, host: str, dialect: Dialect) -> bool:
        """Whether that host signs so is nothing to remember: it is the older dialect, or was heard here before."""
        return dialect is Dialect.CAVAGE or host in self._hosts

    async def speaks(self, host: str, dialect: Dialect) -> None:
        """A request of this host held that was signed so: whoever signs with RFC 9421 is spoken to in it first.

        Unless its inbox answered to a dialect already. The database is asked once for each host, and written to only where it knows
        of none.
        """
        if self.knows(host, dialect):
            return
        self._hosts[host] = None
        if len(self._hosts) > HOSTS_REMEMBERED:
            self._hosts.popitem(last=False)
        async with self._node.database.read() as session:
            known = (await hosts_at(session, [host])).get(host)
        if known is not None and known.dialect is not None:
            return
        async with self._node.database.begin() as session:
            # With RSA, whatever key it signed with: every server that knows the dialect reads that.
            await expect_dialect(session, host, Dialect.RFC9421)

    def is_replay(self, presented: Presented) -> bool:
        """Tell whether a signed GET, which held, was here before, and remember it (RFC 9421 §7.2.2).

        With a nonce once is all; without one, what comes again in the same moment is taken for a request of its own.
        """
        now = self._node.clock.now()
        word = presented.signature if presented.nonce is None else b"nonce " + presented.nonce.encode()
        mark = hashlib.sha256(presented.key_id.encode() + b"\0" + word).digest()
        first = self._gets.get(mark)
        if first is not None and now - first < REMEMBERED_FOR:
            return presented.nonce is not None or now - first > SAME_MOMENT
        self._gets[mark] = now
        self._gets.move_to_end(mark)
        if len(self._gets) > GETS_REMEMBERED:
            self._gets.popitem(last=False)
        return False
