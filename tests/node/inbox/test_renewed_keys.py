"""While one request makes a key be asked for anew, others signed with it wait for the same answer, or come back; none is refused."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest

from node.inbox import signers
from node.inbox.signers import Known, Signers
from node.peers.actors import RemoteKey
from node.peers.directory import require_open
from node.runtime import Node
from tests.rig.stranger import Stranger
from tests.rig.town import Town


class Slow:
    """A server that answers when it is told to."""

    def __init__(self, stranger: Stranger) -> None:
        self.may_answer = asyncio.Event()
        self.was_asked = asyncio.Event()
        self._serve = stranger._serve
        stranger.town.wires.apps[stranger.host] = httpx.MockTransport(self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.was_asked.set()
        await self.may_answer.wait()
        return self._serve(request)


def follow_of(stranger: Stranger, number: int) -> dict[str, Any]:
    return stranger.activity("Follow", "https://a.example/actors/cases", number=number)


async def renewed(town: Town) -> Stranger:
    """A stranger whose key is known, with a new one under the same id."""
    old = Stranger(town)
    assert (await old.post("a", follow_of(old, 1))).status_code == 202
    town.clock.forward(hours=1)
    return Stranger(town, key="peer")


async def in_turn(slow: Slow, *posts: Awaitable[httpx.Response], turned_away: int = 0) -> list[int]:
    """Let them all be here before their key is.

    turned_away  so many are answered before that.
    """
    tasks = [asyncio.ensure_future(post) for post in posts]
    await slow.was_asked.wait()
    await asyncio.sleep(0.2)
    while sum(task.done() for task in tasks) < turned_away:
        await asyncio.sleep(0.01)
    slow.may_answer.set()
    return [(await task).status_code for task in tasks]


async def test_all_that_are_signed_with_a_new_key_are_taken_and_its_owner_is_asked_once(town: Town) -> None:
    new = await renewed(town)
    slow = Slow(new)

    answers = await in_turn(slow, *(new.post("a", follow_of(new, number)) for number in range(2, 8)))

    assert answers == [202] * 6
    assert new.asked.count("/users/sam") == 1


async def test_what_another_key_signed_is_refused_once_the_new_one_is_known(town: Town) -> None:
    new, forger = await renewed(town), Stranger(town, key="other")
    slow = Slow(new)

    answers = await in_turn(slow, new.post("a", follow_of(new, 2)), forger.post("a", follow_of(forger, 3)))

    assert answers == [202, 401]


async def test_a_key_that_changes_again_under_its_id_counts_after_five_minutes_and_under_a_new_one_at_once(
    town: Town,
) -> None:
    """Whoever signs wrongly in its name would else make us ask its owner at every post."""
    first = await renewed(town)
    assert (await first.post("a", follow_of(first, 2))).status_code == 202
    town.clock.forward(minutes=1)
    again = Stranger(town, key="other")

    soon = await again.post("a", follow_of(again, 3))
    asked_soon = again.asked.copy()
    town.clock.forward(minutes=5)
    later = await again.post("a", follow_of(again, 4))
    named = Stranger(town, key="stranger")
    key_id = f"{named.id}#main-key-2"
    key = {"id": key_id, "owner": named.id, "publicKeyPem": named.rsa.public.pem}
    named.documents["/users/sam"] = named.actor(publicKey=key)
    under_a_new_id = await named.post("a", follow_of(named, 5), key_id=key_id)

    assert (soon.status_code, asked_soon) == (401, [])
    assert later.status_code == 202
    assert (under_a_new_id.status_code, named.asked) == (202, ["/users/sam"])


async def test_who_waits_for_a_key_that_cannot_be_had_is_told_to_come_back(town: Town) -> None:
    new = await renewed(town)
    shown = new.documents["/users/sam"]
    new.documents["/users/sam"] = httpx.Response(503)
    slow = Slow(new)

    answers = await in_turn(slow, *(new.post("a", follow_of(new, number)) for number in range(2, 6)))
    new.documents["/users/sam"] = shown
    town.clock.forward(seconds=15)

    assert answers == [503] * 4
    assert (await new.post("a", follow_of(new, 2))).status_code == 202


async def test_nobody_waits_for_long_and_the_key_counts_when_it_has_come(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signers, "RENEWAL_SECONDS", 0.05)
    new = await renewed(town)
    slow = Slow(new)

    first, second = await asyncio.gather(*(new.post("a", follow_of(new, number)) for number in (2, 3)))
    slow.may_answer.set()
    await asyncio.sleep(0.2)

    assert (first.status_code, second.status_code) == (503, 503)
    assert first.headers["retry-after"] == "30"
    assert (await new.post("a", follow_of(new, 2))).status_code == 202
    assert new.asked.count("/users/sam") == 1


async def test_who_waits_no_more_leaves_their_place_to_another(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signers, "RENEWAL_WAITERS", 1)
    monkeypatch.setattr(signers, "RENEWAL_SECONDS", 0.05)
    new = await renewed(town)
    slow = Slow(new)
    assert (await new.post("a", follow_of(new, 2))).status_code == 503
    monkeypatch.setattr(signers, "RENEWAL_SECONDS", 10.0)

    assert await in_turn(slow, new.post("a", follow_of(new, 2))) == [202]


async def test_not_everybody_may_wait_for_one_key(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signers, "RENEWAL_WAITERS", 2)
    new = await renewed(town)
    slow = Slow(new)

    answers = await in_turn(
        slow, *(new.post("a", follow_of(new, number)) for number in range(2, 6)), turned_away=2
    )

    assert sorted(answers) == [202, 202, 503, 503]


async def test_a_key_that_could_not_even_be_asked_for_is_asked_for_at_the_next_try(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await renewed(town)

    async def busy(*_: object, **more: object) -> None:
        raise signers.Busy

    with monkeypatch.context() as patched:
        patched.setattr(signers.Signers, "_fetch_key", busy)
        refused = (await new.post("a", follow_of(new, 2))).status_code

    assert refused == 429
    assert (await new.post("a", follow_of(new, 2))).status_code == 202


async def test_a_key_that_another_process_has_renewed_counts_without_asking_its_owner(town: Town) -> None:
    old, node = Stranger(town), town["a"].node
    assert (await old.post("a", follow_of(old, 1))).status_code == 202
    town.clock.forward(seconds=2)
    new = Stranger(town, key="peer")
    async with node.database.begin() as session:
        key = await session.get_one(RemoteKey, new.key_id)
        key.material = new.rsa.public.pem

    assert (await new.post("a", follow_of(new, 2))).status_code == 202
    assert new.asked == []


async def test_for_what_is_signed_wrongly_the_database_is_asked_once_a_second(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Stranger(town)
    assert (await known.post("a", follow_of(known, 1))).status_code == 202
    forger = Stranger(town, key="peer")
    asked: list[str] = []

    look = Signers._known

    async def counting(self: Signers, key_id: str) -> Known | None:
        asked.append(key_id)
        return await look(self, key_id)

    monkeypatch.setattr(Signers, "_known", counting)
    many = []
    for _ in range(3):
        town.clock.forward(seconds=1)
        for number in range(3):
            assert (await forger.post("a", follow_of(forger, 2 + number))).status_code == 401
        many.append(len(asked))

    assert many == [1, 2, 3]


async def test_who_signs_wrongly_for_somebody_gone_makes_us_look_once_in_five_minutes(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger = await renewed(town)
    forger.documents["/users/sam"] = httpx.Response(404)
    asked: list[str] = []

    async def counting(node: Node, key_id: str) -> None:
        asked.append(key_id)
        await require_open(node, key_id)

    monkeypatch.setattr(signers, "require_open", counting)
    many = []
    for minutes in (0, 0, 4, 1):
        town.clock.forward(minutes=minutes)
        assert (await forger.post("a", follow_of(forger, 2))).status_code == 401
        many.append(len(asked))

    assert many == [1, 1, 1, 2]
