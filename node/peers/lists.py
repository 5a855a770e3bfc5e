"""Lists that servers publish under their main actor, in pages, each signed: whom one blocks, who its members are. Ours and others'."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from federation import proofs
from federation.addresses import same_origin
from federation.errors import BadAnswer, Mismatch
from federation.requests import Refused
from node.errors import NotFound
from node.keyring import Keyring
from node.peers.actors import host_of
from node.peers.checking import check_proof
from node.peers.directory import find_actor, find_document, proving_keys
from node.runtime import Node
from node.settings import Settings
from vocab.errors import VocabError
from vocab.jsonld import write
from vocab.objects import ordered_collection, ordered_collection_page
from vocab.properties import iri, one_type, simplified

log = logging.getLogger(__name__)

PAGE = 500
# A hundred thousand hosts: the largest lists that are shared name half of that.
MAX_PAGES = 200
# Twice as much as so many take, with a sentence for each. Two hundred pages may be as many megabytes, which stand in memory several times.
MAX_LIST_BYTES = 32 * 1024 * 1024
LISTS = frozenset({"OrderedCollection", "OrderedCollectionPage"})


async def signed_list(
    settings: Settings,
    keyring: Keyring,
    name: str,
    some: Callable[[int, int], Awaitable[Sequence[object]]],
    *,
    total: int,
    page: int | None,
    now: datetime,
) -> dict[str, Any]:
    """The collection of that name, or one of its pages, with a proof by the main actor. Raises NotFound.

    some  its items from a place on, so many at most: anybody may ask for a page, and reads no more of a long list than that.
    """
    actor = settings.main_actor
    at = f"{actor}/{name}"
    pages = max(1, -(-total // PAGE))
    if page is None:
        document = ordered_collection(at, total_items=total, first=f"{at}?page=1")
    elif 1 <= page <= pages:
        document = ordered_collection_page(
            f"{at}?page={page}",
            part_of=at,
            items=list(await some((page - 1) * PAGE, PAGE)),
            next=f"{at}?page={page + 1}" if page < pages else None,
        )
    else:
        raise NotFound("no such page")
    return proofs.attach({**document, "attributedTo": actor}, keyring.signer(actor, "ed25519"), now=now)


async def read_list(node: Node, url: str) -> tuple[str, list[dict[str, Any]]]:
    """The publisher of a list and its pages, every one proven by the publisher. Raises FetchError."""
    top = await _proven(node, url, owner=None)
    owner = str(top["attributedTo"])
    page, pages, seen, size = top, [top], {url}, len(write(top))
    while (following := iri(page, "first") or iri(page, "next")) is not None and following not in seen:
        if len(pages) > MAX_PAGES or size > MAX_LIST_BYTES:
            log.warning("list.cut", extra={"host": host_of(url), "pages": len(pages)})
            break
        if not same_origin(following, url):
            raise Mismatch("a page on another server", url=url)
        seen.add(following)
        page = await _proven(node, following, owner=owner)
        if iri(page, "partOf") != url:
            raise Mismatch("a page of another list", url=following)
        pages.append(page)
        size += len(write(page))
    return owner, pages


async def _proven(node: Node, url: str, *, owner: str | None) -> dict[str, Any]:
    document = await find_document(node, url, invited=True)
    said = document.get("attributedTo")
    if not isinstance(said, str) or not same_origin(said, url) or owner not in {None, said}:
        raise Mismatch("a list of nobody on that server", url=url)
    await find_actor(node, said, invited=True)
    keys, retired = await proving_keys(node, said)
    outcome = await check_proof(node, document, keys, now=node.clock.now())
    if isinstance(outcome, Refused):
        raise Mismatch(f"not signed by its publisher: {outcome.reason}", url=url)
    if not outcome.is_older_than(retired):
        raise Mismatch("signed with a key after it was retired", url=url)
    try:
        plain = simplified(outcome.document)
        if one_type(plain, LISTS) is None:
            raise BadAnswer("not a list", url=url)
        if (plain.get("id"), plain.get("attributedTo")) != (document["id"], said):
            raise Mismatch("the proof is of another list", url=url)
    except VocabError as error:
        raise BadAnswer(f"not a list: {error}", url=url) from error
    return dict(plain)
