"""How much is asked of one server for nothing: what was not there, and what strangers named. Told in memory, forgotten in minutes."""

from collections import OrderedDict
from datetime import datetime, timedelta

from federation import addresses
from federation.errors import NotNow
from federation.sites import site_of

WITHIN = timedelta(minutes=5)
OF_ONE_ORIGIN = 100
# Names below one's own cost nothing: what is asked of all of them together is bounded as well. More than of one, for those who share
# the name of a provider are not one another's fault.
OF_ONE_SITE = 400
# Then something is still asked for now and again: whoever asked for too much need not be who asks next.
TRICKLE = timedelta(seconds=1)
REMEMBERED = 4096


class Allowance:
    """What may still be asked of each origin, and of each site; the memory of one process."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        # Apart, so that no number of names pushes out what is counted of their site.
        self._origins, self._sites = _Tally(), _Tally()
        self._documents = _Tally()

    def spend(self, url: str, *, now: datetime) -> None:
        """Count what is about to be asked for because a stranger named it. Raises NotNow when too much of that server was."""
        self.require(url, now=now)
        self.count(url, now=now)

    def count(self, url: str, *, now: datetime) -> None:
        """Count what was asked of a server for nothing: it was not there, or a stranger named it."""
        origin, site = _names(url)
        # What one origin is asked beyond its own share, one a second, takes nothing from its neighbours.
        if self._origins.spent(origin, now) < OF_ONE_ORIGIN:
            self._sites.add(site, now)
        self._origins.add(origin, now)

    def require(self, url: str, *, now: datetime, is_followed: bool = False) -> None:
        """Raises NotNow when too much of that origin, or of its site, was asked for just now.

        is_followed  it is the document of an actor whom we follow: then that one was asked for within the second.
        """
        origin, site = _names(url)
        full = [
            (tally, name)
            for tally, name, most in (
                (self._origins, origin, OF_ONE_ORIGIN),
                (self._sites, site, OF_ONE_SITE),
            )
            if tally.spent(name, now) >= most
        ]
        if full and is_followed:
            # Whoever names what is not there, on their server, takes nothing from those who are.
            full = [(self._documents, url.partition("#")[0])]
        if any(tally.trickled(name, now) for tally, name in full):
            raise NotNow("too much of that host was asked for just now", url=url)
        for tally, name in full:
            tally.trickle(name, now)


class _Tally:
    """How often each name was counted since when, and when one beyond that was let through last; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, tuple[datetime, int]] = OrderedDict()
        self._trickled: OrderedDict[str, datetime] = OrderedDict()

    def spent(self, name: str, now: datetime) -> int:
        since, spent = self._spent.get(name, (now, 0))
        return spent if now - since < WITHIN else 0

    def add(self, name: str, now: datetime) -> None:
        since, spent = self._spent.get(name, (now, 0))
        if now - since >= WITHIN:
            since, spent = now, 0
        self._spent[name] = (since, spent + 1)
        self._spent.move_to_end(name)
        if len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)

    def trickled(self, name: str, now: datetime) -> bool:
        return name in self._trickled and now - self._trickled[name] < TRICKLE

    def trickle(self, name: str, now: datetime) -> None:
        self._trickled[name] = now
        self._trickled.move_to_end(name)
        if len(self._trickled) > REMEMBERED:
            self._trickled.popitem(last=False)


def _names(url: str) -> tuple[str, str]:
    """Origin and site of an address; what is none has neither, and shares a count with all such."""
    origin = addresses.origin_of(url) or ""
    return origin, site_of(origin.partition("://")[2])
