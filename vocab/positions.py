"""What one organisation says publicly of another's case: a Note that reads well alone, and two terms that make it more than a reply.

`srt:position` says what it is, `srt:caseHash` which version of the case it speaks of. Whoever does not know them shows a reply.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from vocab import markup, objects, properties
from vocab.objects import Json
from vocab.properties import present
from vocab.terms import LD_JSON, SRT

DISSENT, CORRECTION, ENDORSEMENT = "dissent", "correction-request", "endorsement"
LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    DISSENT: {"en": "Dissent", "fr": "Désaccord", "es": "Desacuerdo"},
    CORRECTION: {
        "en": "Request for correction",
        "fr": "Demande de rectification",
        "es": "Solicitud de corrección",
    },
    ENDORSEMENT: {"en": "Endorsement", "fr": "Soutien", "es": "Respaldo"},
}


def label(position: str, language: str) -> str:
    """Return what a position is called, in English where we have no other word. Raises KeyError."""
    words = LABELS[position]
    return words.get(language, words["en"])


def write_position(
    position: str,
    text: str,
    *,
    language: str,
    id: str,
    actor: str,
    case: str,
    case_hash: str,
    title: str,
    publisher: str,
    published: datetime,
    to: tuple[str, ...],
    cc: tuple[str, ...],
    context: str | None = None,
) -> Json:
    """Write a position on a case of another organisation.

    case_hash  SHA-256 of the signed bytes of the version it speaks of.
    title      of the case, as its publisher wrote it.
    publisher  the actor whose case it is: named, so that their server lets them know.
    context    the conversation of the case, where it has one.
    """
    content = (
        markup.heading(f"{label(position, language)}: {title}")
        + markup.paragraphs(text)
        + f"<p>{markup.link(case)}</p>"
    )
    note = objects.note(
        id,
        actor,
        content,
        language=language,
        published=published,
        to=to,
        cc=cc,
        in_reply_to=case,
        tags=[
            {"type": "Mention", "href": publisher},
            # FEP-e232: an object and not a page.
            {"type": "Link", "mediaType": LD_JSON, "href": case, "name": title},
        ],
    )
    return present({**note, "context": context, "srt:position": position, "srt:caseHash": case_hash})


def read_position(document: Mapping[str, object]) -> str | None:
    """Return which position a reply says it is; None for a reply that is none, or one we have no word for."""
    said = properties.text(document, "srt:position") or properties.text(document, f"{SRT}position")
    return said if said in LABELS else None
