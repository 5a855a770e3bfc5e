"""A case as its page shows it: texts in one language, everything that happened in one order, how to cite it. Pure."""

from dataclasses import dataclass
from datetime import date

from node.entries.entries import CORRECTED
from node.entries.search import Card, Filter
from vocab.cases import PublicCase
from vocab.claimreview import verified_case
from web.pages.wording import Spoken, spoken

SILENT = "none"  # the reply type that stands for "asked, and no reply"


@dataclass(frozen=True, slots=True)
class Event:
    """Something with a date: started, ended, published, corrected, reply, follow-up or status."""

    on: str
    kind: str
    type: str = ""
    text: Spoken | None = None
    link: str | None = None

    @property
    def is_silence(self) -> bool:
        """An authority was asked and did not answer by that day."""
        return self.kind == "reply" and self.type == SILENT


@dataclass(frozen=True, slots=True)
class CaseView:
    """What readers/case.html takes besides the card."""

    title: Spoken
    summary: Spoken
    warning: Spoken | None
    content: Spoken | None
    results: Spoken | None
    transferability: Spoken | None
    statement: Spoken | None
    steps: Spoken | None
    alt: Spoken | None
    versions: tuple[str, ...]
    replies: tuple[Event, ...]
    timeline: tuple[Event, ...]
    corrections: tuple[Event, ...]
    alike: Filter
    linked_data: dict[str, object] | None


def view_of(card: Card, case: PublicCase, *, language: str) -> CaseView:
    """The view of a case.

    language   wanted for its texts; each falls back to the original.
    """

    def say(texts: dict[str, str]) -> Spoken | None:
        return spoken(texts, original=case.language, wanted=language)

    title = say(dict(case.title)) or Spoken("", case.language)
    replies = tuple(
        Event(reply.date, "reply", reply.type, say(dict(reply.text)), reply.source)
        for reply in case.authority_replies
    )
    corrections = tuple(Event(item.date, "corrected", text=say(dict(item.text))) for item in case.corrections)
    articles = case.articles
    return CaseView(
        title=title,
        summary=say(dict(case.summary)) or Spoken("", case.language),
        warning=say(dict(case.content_warning)),
        content=say(dict(case.content)),
        results=say(dict(case.results_evidence)),
        transferability=say(dict(case.transferability)),
        statement=say(dict(case.verification_statement)),
        steps=say(dict(case.domestic_steps)),
        alt=say(dict(case.image.alt)) if case.image else None,
        versions=case.languages,
        replies=replies,
        timeline=_timeline(card, case, (*replies, *corrections, *_follow_ups(case, language))),
        corrections=corrections,
        alike=Filter(article=str(articles[0])) if articles else Filter(kind=case.kind),
        linked_data=verified_case(
            case,
            url=card.url,
            publisher=card.publisher_name,
            publisher_url=card.publisher_origin,
            published=card.published_at,
            updated=card.updated_at,
            language=title.language,
        )
        if card.own
        else None,
    )


def _follow_ups(case: PublicCase, language: str) -> tuple[Event, ...]:
    return tuple(
        Event(
            item.date,
            "follow-up",
            item.action,
            spoken(item.text, original=case.language, wanted=language),
            item.link,
        )
        for item in case.follow_ups
    )


def _timeline(card: Card, case: PublicCase, said: tuple[Event, ...]) -> tuple[Event, ...]:
    published = card.published_at.date()
    events = [Event(case.started_on, "started"), *said, Event(published.isoformat(), "published")]
    if case.ended_on:
        events.append(Event(case.ended_on, "ended"))
    if _tells_more(case, published):
        events.append(Event(case.status_date, "status", case.status))
    if card.state == CORRECTED and card.updated_at and not case.corrections:
        events.append(Event(card.updated_at.date().isoformat(), "corrected"))
    # A year comes before its months, a month before its days: what is less exact may have begun earlier.
    return tuple(sorted(events, key=lambda event: event.on))


def _tells_more(case: PublicCase, published: date) -> bool:
    return bool(case.status_date) and case.status_date > published.isoformat()
