"""Where deliveries go: by what they are told apart, and of all inboxes that something went to, those that are told when it is withdrawn."""

import pytest

from node.peers import deliveries
from node.peers.deliveries import still_told
from node.peers.hosts import decide
from node.peers.sending import delivery_key
from node.runtime import Node


async def told(node: Node, *inboxes: str) -> list[str]:
    async with node.database.read() as session:
        return sorted(await still_told(session, inboxes))


def inboxes_of(host: str, *numbers: int) -> list[str]:
    return [f"https://{host}/users/{number}/inbox" for number in numbers]


async def test_a_host_that_is_blocked_takes_the_place_of_no_other_of_its_site(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_INBOXES", 2)
    async with node.database.begin() as session:
        await decide(session, "a.site.example", "block", reason="", now=node.clock.now())
    shut, there = inboxes_of("a.site.example", 1), inboxes_of("b.site.example", 1, 2)

    assert await told(node, *shut, *there[:1]) == [*shut, *there[:1]]
    assert await told(node, *shut, *there) == there


async def test_of_one_site_so_many_are_told_and_of_each_of_its_hosts_one_before_any_has_two(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_INBOXES", 3)
    many, neighbour = inboxes_of("a.site.example", 1, 2, 3, 4), inboxes_of("z.site.example", 1)
    elsewhere = inboxes_of("quiet.example", 1, 2)

    assert await told(node, *many, *neighbour, *elsewhere) == sorted([*many[:2], *neighbour, *elsewhere])


def test_two_long_addresses_that_begin_alike_are_two_deliveries() -> None:
    name, long = "https://a.example/activities/1", "https://b.example/" + "o" * 400
    keys = {delivery_key(name, f"{long}/{person}/inbox") for person in ("anna", "boris")}

    assert len(keys) == 2
    assert max(map(len, keys)) <= 300
