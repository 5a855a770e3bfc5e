"""The system's resolver: a name whose servers never answer holds a thread, and nobody else's names wait behind it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from federation import resolving
from federation.errors import Unreachable
from federation.resolving import OF_ONE_SITE, Resolver
from federation.transport import Limits, Transport

# The one function of the system's is put in place by the test itself; no name leaves it.
pytestmark = pytest.mark.sockets

PUBLIC = "93.184.216.34"


class Names:
    """In the place of the system's resolver: what is below `tarpit.example` is not answered before it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def look_up(self, host: str, *_: object, **__: object) -> list[Any]:
        if host == "localhost":
            # The rig's own.
            return []
        self.asked.append(host)
        if host.endswith("tarpit.example"):
            self.let_go.wait(10)
        if host.startswith("missing"):
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, 0))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found.look_up)
    yield found
    found.let_go.set()


async def test_names_that_nobody_answers_for_keep_no_other_name_waiting(names: Names) -> None:
    resolver = Resolver()
    stuck = [asyncio.create_task(_try(resolver, f"n{number}.tarpit.example")) for number in range(40)]
    await asyncio.sleep(0)

    async with asyncio.timeout(30):
        assert await resolver("member.example", 443) == [PUBLIC]

    assert sum(host.endswith("tarpit.example") for host in names.asked) == OF_ONE_SITE
    names.let_go.set()
    assert await asyncio.gather(*stuck) == [[PUBLIC]] * 40
    assert len(names.asked) == 41
    assert not any((resolver._asked, resolver._busy, resolver._lines))
    resolver.close()


async def test_so_many_names_of_one_site_wait_and_no_more(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "WAITING_OF_ONE_SITE", 2)
    resolver = Resolver()
    waiting = [
        asyncio.create_task(_try(resolver, f"n{number}.tarpit.example")) for number in range(OF_ONE_SITE + 2)
    ]
    await asyncio.sleep(0)

    with pytest.raises(OSError, match="too many names"):
        await resolver("one-more.tarpit.example", 443)

    names.let_go.set()
    assert await asyncio.gather(*waiting) == [[PUBLIC]] * (OF_ONE_SITE + 2)
    resolver.close()


async def test_a_name_is_asked_for_once_however_many_wait_for_it_and_whoever_gives_up(names: Names) -> None:
    resolver = Resolver()
    several = [asyncio.create_task(_try(resolver, "tarpit.example")) for _ in range(20)]
    await asyncio.sleep(0)
    several[0].cancel()
    names.let_go.set()

    assert await asyncio.gather(*several[1:]) == [[PUBLIC]] * 19
    assert names.asked == ["tarpit.example"]
    assert await resolver("tarpit.example", 8443) == [PUBLIC]
    assert names.asked == ["tarpit.example"] * 2
    resolver.close()


async def test_a_name_that_is_not_there_is_told_so_and_asked_for_again(names: Names) -> None:
    resolver = Resolver()

    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await resolver("missing.example", 443)

    assert names.asked == ["missing.example"] * 2
    resolver.close()


async def test_whoever_waits_when_it_is_closed_is_told_so(names: Names) -> None:
    resolver = Resolver()
    waiting = [
        asyncio.create_task(_try(resolver, f"n{number}.tarpit.example")) for number in range(OF_ONE_SITE + 3)
    ]
    await asyncio.sleep(0)

    resolver.close()
    names.let_go.set()

    assert (await asyncio.gather(*waiting)).count("OSError") == 3


async def test_a_request_to_such_a_name_is_given_up_at_its_deadline(names: Names) -> None:
    async with Transport(limits=Limits(deadline=0.2)) as wire:
        with pytest.raises(Unreachable, match="no complete answer"):
            await wire.exchange("GET", "https://tarpit.example/")


async def _try(resolver: Resolver, host: str) -> object:
    try:
        return await resolver(host, 443)
    except OSError as error:
        return type(error).__name__
