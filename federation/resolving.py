"""Names are turned into addresses by the system's resolver, which holds a thread for as long as a name's own servers like.

The threads are ours alone, and the names of one site have a few of them: two or four are all that an event loop has for everybody,
and whoever owns a name whose servers never answer could hold those, with every delivery behind them.
"""

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from federation.sites import site_of

THREADS = 32
OF_ONE_SITE = 4
# Whose lookups wait for their site's own are no more than that; the next is told that there is no address.
WAITING_OF_ONE_SITE = 64
CLOSED = "no name is asked for any more"


class Resolver:
    """Asks for each name once at a time, and for few of one site; who stops waiting does not stop it, for no thread can be stopped."""

    def __init__(self) -> None:
        """No thread is begun before it is needed."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}
        self._busy: Counter[str] = Counter()
        self._lines: dict[str, deque[tuple[str, asyncio.Future[list[str]]]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, as text; the port makes no difference. Raises OSError."""
        asked = self._asked.get(host)
        if asked is None:
            asked = self._asked[host] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(lambda done: self._finish(host, done))
            self._begin(site_of(host), host, asked)
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        for _, asked in (one for line in self._lines.values() for one in line):
            asked.set_exception(OSError(CLOSED))
        self._lines.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, site: str, host: str, asked: asyncio.Future[list[str]]) -> None:
        if self._busy[site] >= OF_ONE_SITE:
            line = self._lines.setdefault(site, deque())
            if len(line) >= WAITING_OF_ONE_SITE:
                asked.set_exception(OSError("too many names of one site are asked for"))
            else:
                line.append((host, asked))
            return
        self._busy[site] += 1
        found = asyncio.get_running_loop().run_in_executor(self._threads, _ask, host)
        found.add_done_callback(lambda done: self._end(site, asked, done))

    def _end(self, site: str, asked: asyncio.Future[list[str]], found: asyncio.Future[list[str]]) -> None:
        if found.cancelled():
            asked.set_exception(OSError(CLOSED))
        elif (error := found.exception()) is not None:
            asked.set_exception(error)
        else:
            asked.set_result(found.result())
        self._busy[site] -= 1
        line = self._lines.get(site)
        if line:
            self._begin(site, *line.popleft())
        if not line:
            self._lines.pop(site, None)
        if not self._busy[site]:
            del self._busy[site]

    def _finish(self, host: str, asked: asyncio.Future[list[str]]) -> None:
        self._asked.pop(host, None)
        if not asked.cancelled():
            # Looked at, also when nobody waits any more.
            asked.exception()


def _ask(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]
