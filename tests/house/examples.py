"""The documents that FEDERATION.md shows, made by the code that makes the real ones. All of it is fictional."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from federation.proofs import attach
from node.peers.ours import actor_document, local_actor_at
from node.settings import Settings
from tests.rig.keys import keyring
from vocab import activities
from vocab.cases import PublicCase, write_case, write_tombstone
from vocab.terms import PUBLIC

NOW = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
SETTINGS = Settings(origin="https://tracker.example.org", name="Example Organisation (fictional)")
ACTOR = SETTINGS.main_actor
CASE_ID = f"{SETTINGS.origin}/cases/t6mf0c3jkv5s2r8wq1hd9xzbea"
AUDIENCE: dict[str, Any] = {"to": [PUBLIC], "cc": [f"{ACTOR}/followers"]}

CASE = PublicCase.parse(
    {
        "kind": "violation",
        "language": "en",
        "title": {"en": "Families kept for years in emergency rooms"},
        "summary": {
            "en": "In one region families with children stay in a single room for more than two years. "
            "The placement was meant to last three months."
        },
        "state": "FR",
        "provisions": ["31.2"],
        "violation_types": ["availability"],
        "groups": ["homeless"],
        "actors": ["regional-authority"],
        "scale": "10-99",
        "started_on": "2024-01",
        "ongoing": True,
        "standard": "P3",
        "verification": "documented",
        "verification_statement": {
            "en": "Two members of staff read the decisions of three families and asked the authority, "
            "which did not answer."
        },
        "status": "active",
        "status_date": "2026-03-02",
        "fictional": True,
    }
)


def examples() -> dict[str, dict[str, Any]]:
    """Title of the example → the document, its `@context` left out."""
    signer = keyring("a", born=NOW).signer(ACTOR, "ed25519")
    ours = local_actor_at(SETTINGS, ACTOR)
    assert ours is not None
    written_case = write_case(
        CASE,
        id=CASE_ID,
        actor=ACTOR,
        published=NOW,
        context=f"{CASE_ID}/context",
        replies=f"{CASE_ID}/replies",
        history=f"{CASE_ID}/history",
        **AUDIENCE,
    )
    case = attach(written_case, signer, now=NOW)
    create = activities.create(_id("create"), ACTOR, case, published=NOW, **AUDIENCE)
    stone = write_tombstone(
        id=CASE_ID, actor=ACTOR, published=NOW, deleted=LATER, reason="factual-error", **AUDIENCE
    )
    delete = activities.delete(
        _id("delete"), ACTOR, attach(stone, signer, now=LATER), published=LATER, **AUDIENCE
    )
    return {
        "Actor": shown(actor_document(SETTINGS, keyring("a", born=NOW), ours, published=NOW)),
        "Create": shown(attach(create, signer, now=NOW)),
        "Delete": shown(attach(delete, signer, now=LATER)),
    }


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without its contexts, which stand once in FEDERATION.md and are long."""
    return {
        name: shown(value) if isinstance(value, Mapping) else value
        for name, value in document.items()
        if name != "@context"
    }


def written(document: Mapping[str, Any], indent: str = "") -> str:
    """JSON with one member a line, as deep as members are documents of their own."""
    inner = indent + "  "
    lines = [
        f"{inner}{json.dumps(name)}: "
        + (
            written(value, inner)
            if isinstance(value, Mapping) and ("type" in value or "proof" in value)
            else json.dumps(value, ensure_ascii=False)
        )
        for name, value in document.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _id(kind: str) -> str:
    return f"{SETTINGS.origin}/activities/a-{kind}"
