"""However many follow from one site, what is published goes to so many of its inboxes and no more; a shared inbox is one."""

import logging

import pytest

from node.peers import follows
from node.peers.follows import MOST_INBOXES, Follow, follower_inboxes
from node.runtime import Node
from tests.rig.stranger import known_actor

US = "https://a.example/actors/cases"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_INBOXES == 200
    monkeypatch.setattr(follows, "MOST_INBOXES", 4)


async def followed(node: Node, *urls: str, shared_inbox: str | None = None) -> None:
    """Each of these follows, in this order."""
    now = node.clock.now()
    async with node.database.begin() as session:
        for url in urls:
            session.add(known_actor(url, shared_inbox=shared_inbox, fetched_at=now))
            await session.flush()
            session.add(
                Follow(
                    activity_id=f"{url}/follow",
                    follower=url,
                    followed=US,
                    state="accepted",
                    activity={},
                    changed_at=now,
                )
            )
            await session.flush()


async def told(node: Node) -> list[str]:
    async with node.database.read() as session:
        return [url.removesuffix("/inbox") for url in await follower_inboxes(session, US)]


def people(host: str, *numbers: int) -> list[str]:
    return [f"https://{host}/users/{number}" for number in numbers]


@pytest.mark.both_databases
async def test_of_one_site_those_who_follow_longest_are_told_and_the_log_says_who_is_not(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    await followed(node, *people("loud.example", 9, 8, 7, 6, 5, 4), *people("quiet.example", 1, 2))

    with caplog.at_level(logging.WARNING):
        assert await told(node) == [*people("loud.example", 6, 7, 8, 9), *people("quiet.example", 1, 2)]
    (record,) = [record for record in caplog.records if record.message == "followers.too-many-inboxes"]
    assert (vars(record)["site"], vars(record)["left_out"]) == ("loud.example", 2)


async def test_names_and_ports_that_cost_nothing_are_counted_together(node: Node) -> None:
    await followed(node, *(f"https://{number}.loud.example/users/x" for number in range(5)))
    await followed(node, *(f"https://loud.example:{port}/users/x" for port in (2000, 2001)))

    assert await told(node) == [f"https://{number}.loud.example/users/x" for number in range(4)]


@pytest.mark.both_databases
async def test_a_shared_inbox_is_one_and_comes_before_others_of_its_host(node: Node) -> None:
    await followed(node, *people("big.example", 1, 2, 3, 4))
    await followed(node, *people("big.example", *range(5, 30)), shared_inbox="https://big.example/inbox")

    assert await told(node) == ["https://big.example", *people("big.example", 1, 2, 3)]


async def test_one_host_does_not_push_out_its_neighbours_at_one_provider(node: Node) -> None:
    await followed(node, *people("loud.host.example", *range(9)))
    await followed(node, *people("one.host.example", 1, 2), *people("two.host.example", 1))

    assert await told(node) == [
        *people("loud.host.example", 0, 1),
        *people("one.host.example", 1),
        *people("two.host.example", 1),
    ]


async def test_many_sites_are_all_told(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    urls = sorted(f"https://n{number}.example/users/x" for number in range(20))
    await followed(node, *urls)

    assert await told(node) == urls
    assert caplog.records == []
