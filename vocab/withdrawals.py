"""What is left of a case that was withdrawn: a Tombstone (FEP-4f05) with the day and, where it may be told, the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vocab import lists, objects, properties
from vocab.properties import own_term, written
from vocab.terms import PUBLIC
from vocab.texts import Texts

# Whose safety or consent is at stake must not show in the reason, so these read alike.
_PUBLIC_REASON: Final = {"consent-withdrawn": "publisher-decision", "safety": "publisher-decision"}
_REASONS: Final = {
    "publisher-decision": {
        "en": "Withdrawn at the publisher's decision.",
        "fr": "Retiré par décision de l'éditeur.",
        "es": "Retirado por decisión de quien lo publicó.",
    },
}

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is left of a case that was withdrawn, and why, as far as that may be told."""

    id: str
    deleted: datetime | None
    reason: str | None
    text: Texts


def write_tombstone(
    *,
    id: str,
    actor: str,
    published: datetime,
    deleted: datetime,
    reason: str,
    to: Sequence[str] = (PUBLIC,),
    cc: Sequence[str] = (),
) -> Json:
    """Write what stays of a case that was withdrawn: a Tombstone with the day and, where it may be told, the reason.

    reason    an entry of the list `withdrawal_reasons`; consent and safety read as the publisher's decision.
    Raises    KeyError for another reason.
    """
    known = lists.item("withdrawal_reasons", reason)
    shown = _PUBLIC_REASON.get(reason, reason)
    withdrawal = {
        "srt:date": written(deleted)[:10],
        "srt:reason": shown,
        "srt:summary": _REASONS.get(shown) or dict(known.names),
    }
    return objects.tombstone(
        id,
        actor=actor,
        published=published,
        deleted=deleted,
        to=to,
        cc=cc,
        extra={"srt:withdrawal": withdrawal},
    )


def read_withdrawal(document: Mapping[str, object]) -> Withdrawal:
    """Read the Tombstone of a case. Raises NotAnObject for anything else; a plain Tombstone has no reason."""
    stone = objects.read_tombstone(document)
    told = own_term(document, "withdrawal")
    term = told if isinstance(told, Mapping) else {}
    reason, words = own_term(term, "reason"), own_term(term, "summary")
    known = set(_REASONS) | {item.id for item in lists.items("withdrawal_reasons")}
    return Withdrawal(
        id=stone.id,
        deleted=stone.deleted,
        reason=reason if isinstance(reason, str) and reason in known else None,
        text=Texts(properties.texts({"words": words}, "words")),
    )
