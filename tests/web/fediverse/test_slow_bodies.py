"""The body of an activity has one deadline, however its bytes are spread over the time."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Message

from node.inbox.receive import Inbox
from node.runtime import Node
from web.fediverse import inbox
from web.fediverse.inbox import InboxDoor

HEADERS = [(b"content-type", b"application/activity+json")]


async def answered(node: Node, messages: Iterator[Message], *, every: float) -> Message:
    """How the door answers a body that comes like this."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(every)
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/inbox", "query_string": b"", "headers": HEADERS}
    door = InboxDoor(Inbox(node), node.settings, body_seconds=0.2)
    await asyncio.wait_for(door(scope, receive, send), 5)
    return sent[0]


async def test_a_body_that_comes_byte_by_byte_is_given_up(node: Node) -> None:
    endless: Iterator[Message] = iter(lambda: {"type": "http.request", "body": b" ", "more_body": True}, None)

    answer = await answered(node, endless, every=0.01)

    assert answer["status"] == 408
    assert (b"connection", b"close") in answer["headers"]


async def test_a_body_in_pieces_that_come_in_time_is_read(node: Node) -> None:
    pieces: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": True},
        {"type": "http.request", "body": b"}", "more_body": False},
    ]

    answer = await answered(node, iter(pieces), every=0.001)

    assert answer["status"] == 400


@pytest.mark.parametrize("before", [0, 1])
async def test_who_leaves_before_the_end_gets_no_answer(node: Node, before: int) -> None:
    begun: Message = {"type": "http.request", "body": b"{", "more_body": True}

    with pytest.raises(IndexError):
        await answered(node, iter([begun] * before + [{"type": "http.disconnect"}]), every=0.001)


async def test_when_too_much_is_half_there_whoever_has_been_at_it_longest_is_let_go(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_UNFINISHED_BYTES", 2_500)
    door = InboxDoor(Inbox(node), node.settings, body_seconds=5)
    scope = {"type": "http", "method": "POST", "path": "/inbox", "query_string": b"", "headers": HEADERS}
    statuses: dict[str, int] = {}

    async def post(name: str, *bodies: bytes, ends: bool) -> None:
        pieces = [*bodies]

        async def receive() -> Message:
            await asyncio.sleep(0.001)
            if not pieces:
                # Nothing more comes, and the connection stays.
                await asyncio.sleep(60)
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces) or not ends}

        async def send(message: Message) -> None:
            statuses.setdefault(name, message.get("status", 0))

        await door(scope, receive, send)

    slow = [asyncio.create_task(post(name, b"x" * 1_000, ends=False)) for name in ("first", "second")]
    await asyncio.sleep(0.05)
    assert statuses == {}

    async with asyncio.timeout(10):
        await post("honest", b"{" + b" " * 1_000, b"}", ends=True)
        await slow[0]

    assert statuses == {"honest": 400, "first": 408}
    slow[1].cancel()
    await asyncio.wait(slow)
    assert (door._unfinished._bytes, door._unfinished._all) == ({}, 0)
