"""Lists that this server publishes under its main actor, in pages, each signed: whom it blocks, who its members are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from federation import proofs
from node.errors import NotFound
from node.keyring import Keyring
from node.settings import Settings
from vocab.objects import ordered_collection, ordered_collection_page

PAGE = 500


def signed_list(
    settings: Settings,
    keyring: Keyring,
    name: str,
    items: Sequence[object],
    *,
    page: int | None,
    now: datetime,
) -> dict[str, Any]:
    """The collection of that name, or one of its pages, with a proof by the main actor. Raises NotFound."""
    actor = settings.main_actor
    at = f"{actor}/{name}"
    pages = max(1, -(-len(items) // PAGE))
    if page is None:
        document = ordered_collection(at, total_items=len(items), first=f"{at}?page=1")
    elif 1 <= page <= pages:
        document = ordered_collection_page(
            f"{at}?page={page}",
            part_of=at,
            items=list(items[(page - 1) * PAGE : page * PAGE]),
            next=f"{at}?page={page + 1}" if page < pages else None,
        )
    else:
        raise NotFound("no such page")
    return proofs.attach({**document, "attributedTo": actor}, keyring.signer(actor, "ed25519"), now=now)
