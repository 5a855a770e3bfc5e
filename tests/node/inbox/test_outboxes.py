"""What an organisation published before is read from its outbox, however that is written; and nothing else is."""

from collections.abc import Callable
from typing import Any

import pytest

from node.inbox import backfill
from tests.node.inbox.test_process import a_document, admit, at_hub, mallory, victim
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS

__all__ = ["mallory", "victim"]

Json = dict[str, Any]
AT = "/users/cases/outbox"
PAGE = "https://victim.example/users/cases/outbox/1"


def a_page(*items: object, **more: Any) -> Json:
    return {"id": PAGE, "type": "OrderedCollectionPage", "orderedItems": list(items), **more}


SHAPES: dict[str, Callable[[Json], Json]] = {
    "inline": lambda create: {"orderedItems": [create]},
    "one that stands for a list": lambda create: {"orderedItems": create},
    "a page": lambda create: {"first": PAGE},
    "an embedded page": lambda create: {"first": {"id": PAGE, "type": "OrderedCollectionPage"}},
    "an embedded page with its items": lambda create: {"first": {**a_page(create), "id": None}},
    "nothing inline, and a page": lambda create: {"orderedItems": [], "first": PAGE},
    "no order": lambda create: {"type": "Collection", "items": [create]},
    "by address": lambda create: {"orderedItems": [create["id"]]},
    "several types": lambda create: {"orderedItems": [{**create, "type": ["Create", "Publish"]}]},
    "with prefixes": lambda create: {"orderedItems": [{**create, "type": "as:Create"}]},
    "a list of one object": lambda create: {"orderedItems": [{**create, "object": [create["object"]]}]},
    "the object embedded": lambda create: {"orderedItems": [{**create, "object": {"id": create["object"]}}]},
    "behind what is no address": lambda create: {"orderedItems": ["http://[", 5, None, {}, create]},
    "again and again": lambda create: {"first": PAGE, "orderedItems": [create, create], "next": PAGE},
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_case_is_found_in_an_outbox_of_any_shape(town: Town, victim: Stranger, shape: str) -> None:
    case = a_document(victim, town)
    create = {"id": "https://victim.example/activities/1", "type": "Create", "actor": victim.id}
    create["object"] = case["id"]
    victim.documents |= {"/cases/c1": case, "/activities/1": {"@context": AS, **create}}
    victim.documents["/users/cases/outbox/1"] = {"@context": AS, **a_page(create, next=PAGE)}
    outbox = {"@context": AS, "id": f"{victim.id}/outbox", "type": "OrderedCollection"}
    victim.documents[AT] = outbox | SHAPES[shape](create)

    await admit(town, victim)

    assert await at_hub(town) is not None
    assert victim.asked.count("/cases/c1") == 1


async def test_nothing_of_another_host_is_asked_for(town: Town, victim: Stranger, mallory: Stranger) -> None:
    mallory.documents["/cases/c1"] = a_document(mallory, town)
    theirs = {"id": f"https://{mallory.host}/activities/1", "type": "Create", "actor": mallory.id}
    theirs["object"] = mallory.documents["/cases/c1"]["id"]
    items = [
        theirs,
        theirs["id"],
        {"id": f"https://{victim.host}/1", "type": "Announce", "object": victim.id},
    ]
    outbox = {"@context": AS, "id": f"{victim.id}/outbox", "type": "OrderedCollection"}
    victim.documents[AT] = outbox | {"first": a_page(*items, next=f"https://{mallory.host}/outbox")}

    await admit(town, victim)

    assert mallory.asked == []
    assert [path for path in victim.asked if path.startswith("/cases/")] == []


async def test_addresses_that_lead_nowhere_are_asked_for_a_few_times_only(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "MAX_MISSES", 3)
    names = [f"https://{victim.host}/activities/{number}" for number in range(9)]
    victim.documents[AT] = {"@context": AS, "id": f"{victim.id}/outbox", "type": "OrderedCollection"}
    victim.documents[AT]["orderedItems"] = names

    await admit(town, victim)

    assert len([path for path in victim.asked if path.startswith("/activities/")]) == 3
