"""The words around a case: its facts and its text as people read them, on other servers and on paper.

In the language of the text where that is English, French or Spanish, else in English. What the pages of this network say
around a case goes through their own translations; this is for what leaves them.
"""

from collections.abc import Iterator
from typing import Final

from vocab import charter, lists, markup, states
from vocab.publiccase import PublicCase
from vocab.texts import FALLBACK, Texts

# Misskey has room for 512 (MiNote.cw).
MAX_SUMMARY: Final = 500

_WORDS: Final = {
    "en": {
        "fictional": "Fictional example",
        "warning": "Content warning",
        "state": "State",
        "right": "Right",
        "situation": "Situation",
        "verification": "Verification",
        "checked": "How it was checked",
        "steps": "What has been tried",
        "results": "What came of it",
        "transfer": "What others would need",
        "replies": "Replies of the authorities",
        "follow-ups": "Follow-up",
        "corrections": "Corrections",
        "sources": "Public sources",
        "whole": "The whole case",
        "charter": "European Social Charter",
        "colon": ": ",
    },
    "fr": {
        "fictional": "Exemple fictif",
        "warning": "Avertissement",
        "state": "État",
        "right": "Droit",
        "situation": "Situation",
        "verification": "Vérification",
        "checked": "Comment cela a été vérifié",
        "steps": "Ce qui a été tenté",
        "results": "Résultats",
        "transfer": "Ce qu'il faudrait ailleurs",
        "replies": "Réponses des autorités",
        "follow-ups": "Suites",
        "corrections": "Rectifications",
        "sources": "Sources publiques",
        "whole": "Le cas en entier",
        "charter": "Charte sociale européenne",
        "colon": "\u00a0: ",
    },
    "es": {
        "fictional": "Ejemplo ficticio",
        "warning": "Advertencia de contenido",
        "state": "Estado",
        "right": "Derecho",
        "situation": "Situación",
        "verification": "Verificación",
        "checked": "Cómo se comprobó",
        "steps": "Lo que se ha intentado",
        "results": "Resultados",
        "transfer": "Qué haría falta en otro lugar",
        "replies": "Respuestas de las autoridades",
        "follow-ups": "Seguimiento",
        "corrections": "Correcciones",
        "sources": "Fuentes públicas",
        "whole": "El caso completo",
        "charter": "Carta Social Europea",
        "colon": ": ",
    },
}


def facts(case: PublicCase, language: str) -> tuple[tuple[str, str], ...]:
    """Return the plain facts as (what, which): State, right, situation, how far it is verified."""
    said = _WORDS.get(language, _WORDS[FALLBACK])
    spoken = language if language in _WORDS else FALLBACK
    names = [states.state(code).name(spoken) for code in (case.state, *case.other_states)]
    verified = lists.label("verification_levels", case.verification, spoken)
    if case.standard is not None:
        verified = f"{verified} ({case.standard}, {lists.label('standards_of_proof', case.standard, spoken).lower()})"
    return (
        (said["state"], ", ".join(names)),
        (said["right"], f"{_rights(case, spoken)} ({said['charter']})"),
        (said["situation"], f"{lists.label('situation_statuses', case.status, spoken)} ({case.status_date})"),
        (said["verification"], verified),
    )


def summary(case: PublicCase, language: str) -> str:
    """Return the facts as sentences on one line of plain text, the content warning first.

    Misskey shows a summary as it is, as the warning over the post, and keeps 512 characters of it; most others read it as HTML.
    So it has no tag, nothing that HTML takes for one, and at most MAX_SUMMARY characters: what is too long for that is cut fact
    by fact, and never the warning.
    """
    first = _marks(case, language)
    lines = _told(case, language)
    if len(_sentences([*first, *lines])) > MAX_SUMMARY:
        share = (MAX_SUMMARY - len(_sentences(first))) // len(lines) - len(". ")
        lines = [line if len(line) <= share else f"{line[: share - 1].rstrip()}…" for line in lines]
    return _sentences([*first, *lines])


def content(case: PublicCase, language: str, *, most: int | None = None, whole: str = "") -> str:
    """Return what people read of the case in one language, as HTML that is safe by construction.

    most   bytes; what has no room in them is left out from the end, paragraph by paragraph, and `whole`, the address of the
           case, stands in its place.
    """
    pieces = [_facts_in_html(case, language), *_sections(case, language)]
    everything = "".join(pieces)
    if most is None or len(everything.encode()) <= most:
        return everything
    said = _WORDS.get(language, _WORDS[FALLBACK])
    shown, end = "", f"<p>{markup.words(said['whole'] + said['colon'])}{markup.link(whole)}</p>"
    for piece in pieces:
        if len((shown + piece + end).encode()) > most:
            break
        shown += piece
    return shown + end


def preview(case: PublicCase, language: str) -> str:
    """Return title and summary, for readers that show a Note in place of an Article; no link to itself (FEP-b2b8)."""
    return (
        markup.heading(case.title.best(language))
        + _facts_in_html(case, language)
        + markup.paragraphs(case.summary.best(language))
    )


def _marks(case: PublicCase, language: str) -> list[str]:
    said = _WORDS.get(language, _WORDS[FALLBACK])
    warning = case.content_warning.best(language) if case.content_warning else None
    marks = [f"{said['warning']}{said['colon']}{warning}"] if warning else []
    return [*marks, said["fictional"]] if case.fictional else marks


def _told(case: PublicCase, language: str) -> list[str]:
    said = _WORDS.get(language, _WORDS[FALLBACK])
    return [f"{what}{said['colon']}{which}" for what, which in facts(case, language)]


def _sentences(lines: list[str]) -> str:
    # "<" begins a tag to those who read HTML, and "&lt;" is four characters to those who do not.
    said = " ".join(line if line.endswith(tuple(".!?…")) else f"{line}." for line in lines)
    return said.replace("<", "‹").replace(">", "›")


def _facts_in_html(case: PublicCase, language: str) -> str:
    lines = [*_marks(case, language), *_told(case, language)]
    return f"<p>{'<br>'.join(markup.words(line) for line in lines)}</p>"


def _rights(case: PublicCase, language: str) -> str:
    first, *others = (charter.provision(key, case.charter) for key in case.provisions)
    return " · ".join([first.label(language), *(other.reference for other in others)])


def _sections(case: PublicCase, language: str) -> Iterator[str]:
    said = _WORDS.get(language, _WORDS[FALLBACK])
    spoken = language if language in _WORDS else FALLBACK
    yield markup.paragraphs(case.summary.best(language))
    for paragraph in case.content.best(language).split("\n\n"):
        yield markup.paragraphs(paragraph)
    for key, texts in (
        ("results", case.results_evidence),
        ("transfer", case.transferability),
        ("steps", case.domestic_steps),
        ("checked", case.verification_statement),
    ):
        if texts:
            yield markup.heading(said[key]) + markup.paragraphs(texts.best(language))
    yield _list(
        said["replies"],
        (
            _dated(
                reply.date,
                lists.label("authority_reply_types", reply.type, spoken),
                reply.text,
                language,
                reply.source,
            )
            for reply in case.authority_replies
        ),
    )
    yield _list(
        said["follow-ups"],
        (
            _dated(
                item.date,
                lists.label("requested_actions", item.action, spoken),
                item.text,
                language,
                item.link,
            )
            for item in case.follow_ups
        ),
    )
    yield _list(
        said["corrections"], (_dated(item.date, None, item.text, language, None) for item in case.corrections)
    )
    yield _list(said["sources"], (markup.link(address) for address in case.public_sources))


def _list(title: str, entries: Iterator[str]) -> str:
    rows = markup.items(entries)
    return markup.heading(title) + rows if rows else ""


def _dated(day: str, what: str | None, text: Texts, language: str, address: str | None) -> str:
    spoken = text.best(language).replace("\n", " ")
    parts = [markup.words(part) for part in (day, what, spoken) if part]
    return " · ".join(parts) + (f" {markup.link(address)}" if address else "")
