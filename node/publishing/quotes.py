"""Stamps: that a post may quote a case of ours (FEP-044f). Made of what is kept: who asked, with which post, for which case."""

from typing import Any
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry
from node.publishing.reactions import Reaction
from vocab.terms import QUOTE_CONTEXT

KIND = "quote"


def stamp_address(case: str, post: str) -> str:
    """Where the stamp for a post that quotes a case is."""
    return f"{case}/quotes?of={quote(post, safe='')}"


async def stamp(session: AsyncSession, case: str, post: str) -> dict[str, Any] | None:
    """The stamp for a post that quotes a case; None for one that nobody asked about, or when the case is not public any more."""
    asked = await session.get(Reaction, post)
    quoted = await session.get(Entry, case)
    if asked is None or asked.kind != KIND or asked.case_url != case:
        return None
    if quoted is None or not quoted.own or quoted.withdrawn_at is not None:
        return None
    return {
        "@context": QUOTE_CONTEXT,
        "id": stamp_address(case, post),
        "type": "QuoteAuthorization",
        "attributedTo": quoted.actor,
        "interactingObject": post,
        "interactionTarget": case,
    }
