"""Stamps: that a post may quote a case of ours (FEP-044f), or answer, like or pass it on (GoToSocial).

Made of what is kept: who asked, with what, for which case.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry
from node.publishing.reactions import Reaction
from vocab.terms import STAMP_CONTEXT

QUOTE: Final = "quote"
# What is asked for, as it is kept, and the name of the stamp for it.
STAMPED: Final[Mapping[str, str]] = MappingProxyType(
    {
        QUOTE: "QuoteAuthorization",
        "reply": "ReplyAuthorization",
        "like": "LikeAuthorization",
        "boost": "AnnounceAuthorization",
    }
)


def stamp_address(case: str, asked: str) -> str:
    """Where the stamp is for a post that quotes or answers a case, or for what likes it or passes it on."""
    return f"{case}/stamps?of={quote(asked, safe='')}"


async def stamp(session: AsyncSession, case: str, asked: str) -> dict[str, Any] | None:
    """The stamp for that; None for what is not known here, or when the case is not public any more.

    A reply's says that it may be there, and not that the desk shows it.
    """
    kept = await session.get(Reaction, asked)
    about = await session.get(Entry, case)
    if kept is None or kept.kind not in STAMPED or kept.case_url != case:
        return None
    if about is None or not about.own or about.withdrawn_at is not None:
        return None
    return {
        "@context": STAMP_CONTEXT,
        "id": stamp_address(case, asked),
        "type": STAMPED[kept.kind],
        "attributedTo": about.actor,
        "interactingObject": asked,
        "interactionTarget": case,
    }
