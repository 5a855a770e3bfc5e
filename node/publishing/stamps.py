"""Stamps: that a post may quote a case of ours (FEP-044f), or answer, like or pass it on (GoToSocial).

Made of what is kept: who asked, with what, for which case. A stamp is found by who was told where it is: who likes a case, and whose reply
waits or was hidden, is nobody else's business, and the ids of likes can be counted up.
"""

import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry
from node.keyring import Keyring
from node.publishing.reactions import Reaction
from vocab.terms import STAMP_CONTEXT

PURPOSE: Final = b"social-rights-tracker/stamps/v1"
WORD_CHARACTERS: Final = 32
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


def stamp_address(keyring: Keyring, case: str, asked: str) -> str:
    """Where the stamp is for a post that quotes or answers a case, or for what likes it or passes it on. Nobody guesses it."""
    return f"{case}/stamps?{urlencode({'of': asked, 'word': _word(keyring, case, asked)})}"


async def stamp(
    session: AsyncSession, keyring: Keyring, case: str, asked: str, *, word: str
) -> dict[str, Any] | None:
    """The stamp for that; None for what is not known here, without its word, or when the case is not public any more.

    A reply's says that it may be there, and not that the desk shows it.
    """
    if not hmac.compare_digest(_word(keyring, case, asked).encode(), word.encode()):
        return None
    kept = await session.get(Reaction, asked)
    about = await session.get(Entry, case)
    if kept is None or kept.kind not in STAMPED or kept.case_url != case:
        return None
    if about is None or not about.own or about.withdrawn_at is not None:
        return None
    return {
        "@context": STAMP_CONTEXT,
        "id": stamp_address(keyring, case, asked),
        "type": STAMPED[kept.kind],
        "attributedTo": about.actor,
        "interactingObject": asked,
        "interactionTarget": case,
    }


def _word(keyring: Keyring, case: str, asked: str) -> str:
    said = hmac.digest(keyring.secret(PURPOSE), f"{case}\n{asked}".encode(), hashlib.sha256)
    return said.hex()[:WORD_CHARACTERS]
