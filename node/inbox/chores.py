"""Chores that follow from what came in: read what a newly followed organisation published before; tell the desk of new alerts."""

import logging
from typing import Any

from sqlalchemy import select

from federation.errors import FetchError
from node.hub.quarantine import waiting
from node.inbox.handlers import fetch_case
from node.inbox.proving import RefusedActivity
from node.outbox import Done, Outcome, Turn
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_document
from node.runtime import Node
from vocab.errors import VocabError

log = logging.getLogger(__name__)

MAX_PAGES = 50
MAX_CASES = 1000
# An outbox that names case after case that is not there only wants to keep us busy.
MAX_MISSES = 50


async def backfill(node: Node, job: Turn) -> Outcome:
    """Walk the outbox of an actor, oldest known page last, and take in each case that is there. Safe to repeat.

    At most MAX_CASES are asked for, and fewer when one after the other is not there.
    """
    actor_id = str(job.payload["actor"])
    async with node.database.read() as session:
        actor = await session.scalar(select(RemoteActor).where(RemoteActor.id == actor_id))
        kept_out = await waiting(session, actor=actor_id)
    if actor is None or actor.outbox is None or host_of(actor.outbox) != actor.host:
        return Done()
    for case in kept_out:
        await _take(node, case.id, actor.host)
    try:
        page = await _fetch(node, actor.outbox)
        following = _link(page.get("first")) if "orderedItems" not in page else None
        asked = misses = 0
        for _ in range(MAX_PAGES):
            if following is not None:
                if host_of(following) != actor.host:
                    break
                page = await _fetch(node, following)
            for url in _cases(page, actor.host):
                if asked >= MAX_CASES or misses >= MAX_MISSES:
                    log.info("backfill.ended", extra={"host": actor.host, "reason": f"{asked} asked for"})
                    return Done()
                asked += 1
                misses = 0 if await _take(node, url, actor.host) else misses + 1
            following = _link(page.get("next"))
            if following is None:
                break
    except FetchError as error:
        log.info("backfill.ended", extra={"host": actor.host, "reason": str(error)})
    return Done()


async def _take(node: Node, url: str, host: str) -> bool:
    try:
        await fetch_case(node, url)
    except (FetchError, RefusedActivity, VocabError) as error:
        log.info("backfill.skipped", extra={"host": host, "reason": str(error)})
        return False
    return True


async def notify_desk(node: Node, job: Turn) -> Outcome:
    """Say in the log that alerts came, by day and without a word about them: the desk shows them to those who may see."""
    log.info("desk.alerts-waiting", extra={"day": job.payload.get("day")})
    return Done()


async def _fetch(node: Node, url: str) -> dict[str, Any]:
    return await find_document(node, url)


def _link(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


def _cases(page: dict[str, Any], host: str) -> list[str]:
    """Addresses of the objects that the page's Creates name, on the actor's own host."""
    found: list[str] = []
    items = page.get("orderedItems")
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("type") == "Create":
            url = _link(item.get("object"))
            if url and host_of(url) == host and url not in found:
                found.append(url)
    return found
