"""Signatures are checked beside the loop; those over a graph one after the other, however many come at once."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from federation import proofs
from federation.errors import Unreachable
from federation.keys import VerifyingKey
from federation.requests import Refused
from node.outbox import LEASE
from node.runtime import Node

T = TypeVar("T")
# Whoever waits longer does so no more: the lane would be claimed again meanwhile, and wait again, for ever.
PATIENCE = LEASE / 3


async def check_proof(
    node: Node, document: Mapping[str, object], keys: Mapping[str, VerifyingKey], *, now: datetime
) -> proofs.Proven | Refused:
    """What `proofs.check` says of a document."""

    def check() -> proofs.Proven | Refused:
        return proofs.check(document, keys, now=now)

    return await (check_graph(node, check) if proofs.is_of_a_graph(document) else asyncio.to_thread(check))


async def check_graph(node: Node, check: Callable[[], T]) -> T:
    """What `check` returns, in its turn: a graph takes a second, and the few threads are for whatever else must wait (DNS, files).

    Raises Unreachable when so many came first that its turn is not soon: to be tried again later.
    """
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await node.sorting.acquire()
    except TimeoutError as error:
        raise Unreachable("too many graphs wait to be sorted") from error
    try:
        return await asyncio.to_thread(check)
    finally:
        node.sorting.release()
