"""What is left of a case that was withdrawn: a Tombstone (FEP-4f05) with the day and, where it may be told, the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vocab import lists, objects, properties
from vocab.errors import NotUnderstood
from vocab.properties import own_term, present, written
from vocab.reading import Reader
from vocab.terms import PUBLIC, SRT
from vocab.texts import NOTHING, Texts

# Whose safety or consent is at stake must not show in the reason, so these read alike.
_PUBLIC_REASON: Final = {"consent-withdrawn": "publisher-decision", "safety": "publisher-decision"}
_REASONS: Final = {
    "publisher-decision": {
        "en": "Withdrawn at the publisher's decision.",
        "fr": "Retiré par décision de l'éditeur.",
        "es": "Retirado por decisión de quien lo publicó.",
    },
}
# What a Tombstone of whatever software has beside a reason, none of it words.
_BARE: Final = frozenset(
    {"@context", "id", "type", "attributedTo", "formerType", "published", "updated", "deleted"}
    | {"to", "cc", "url", "atomUri", "proof", "srt:withdrawal", f"{SRT}withdrawal"}
)
# Ours are a sentence.
_MAX_WORDS: Final = 1000

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
    reader = Reader({"words": words})
    text = reader.texts("words", most=_MAX_WORDS)
    return Withdrawal(
        id=stone.id,
        deleted=stone.deleted,
        reason=reason if isinstance(reason, str) and reason in known else None,
        # Without words that no reason has, it reads as the publisher's decision.
        text=NOTHING if reader.problems else text,
    )


def is_bare(document: Mapping[str, object]) -> bool:
    """Tell whether a Tombstone, or the bare id in its place, holds no words of what was deleted."""
    try:
        return properties.simplified(document).keys() <= _BARE
    except NotUnderstood:
        return False


def kept_tombstone(document: Mapping[str, object], *, id: str) -> Json:
    """Return of what was deleted all that may be kept and shown: what is read of a Tombstone, and nothing of what else it holds.

    Some embed what they delete, or leave its words in the Tombstone: they would stay in the place of what was withdrawn.
    """
    try:
        told = read_withdrawal(document)
    except NotUnderstood:
        return {"id": id, "type": "Tombstone"}
    withdrawal = present({"srt:reason": told.reason, "srt:summary": dict(told.text)})
    deleted = written(told.deleted) if told.deleted else None
    return present({"id": id, "type": "Tombstone", "deleted": deleted, "srt:withdrawal": withdrawal})
