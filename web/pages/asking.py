"""What the forms of the source and of the desk ask, in the reader's words; what they let choose from is in `choices`.

Values for templates only. The texts are vocab's; nothing is decided here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vocab.form import Field as FormField
from vocab.form import form
from vocab.sourceform import OWN, Condition, Purpose, SourceForm, bundled
from vocab.sourceform import Question as AskedQuestion
from vocab.texts import Texts
from web.pages.choices import Lists, Rights, states_by_name, written_languages

# As many rows and characters as the answers of experience had; else 4, and what the case form allows.
LINES = {"summary": 9, "confidential_account": 5, "domestic_steps": 5, "public_sources": 3}
LONGEST = {"summary": 20_000, "public_sources": 6_000, "scale_exact": 9}
MAX_TEXT = 10_000
MAX_LINE = 300
MANY = 6
MENUS = frozenset({"good_practice_source", "scale", "sender_org_type"})
CHOSEN = {"sender_contact_channel": "receipt-code", "credit_choice": "anonymous"}
# Left open means no; a third answer would only be a longer no.
YES_OR_NO = frozenset({"consent_publish", "consent_share_hub"})

PRIVATE_PERSON = Texts({"en": "A private person", "fr": "Un particulier", "es": "Un particular"})
# Families of violations in words for sources; the list's own are for those who check.
PLAIN_HEADINGS = {
    "aaaaq": Texts(
        {
            "en": "The help or service itself",
            "fr": "L’aide ou le service lui-même",
            "es": "La ayuda o el servicio en sí",
        }
    ),
    "duty": Texts(
        {
            "en": "What the State did or left undone",
            "fr": "Ce que l’État a fait ou n’a pas fait",
            "es": "Lo que el Estado hizo o dejó de hacer",
        }
    ),
    "equality": Texts({"en": "Unequal treatment", "fr": "Inégalité de traitement", "es": "Trato desigual"}),
    "measure": Texts(
        {"en": "A rule or a cut", "fr": "Une règle ou une coupe budgétaire", "es": "Una norma o un recorte"}
    ),
    "procedure": Texts(
        {"en": "How it was handled", "fr": "La manière dont cela a été traité", "es": "Cómo se tramitó"}
    ),
    "act": Texts(
        {
            "en": "What was done to people",
            "fr": "Ce qui a été fait à des personnes",
            "es": "Lo que se hizo a las personas",
        }
    ),
}

Choice = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """One field of the case form."""

    key: str
    type: str
    show_if: Condition | None
    names: Texts

    def label(self, language: str) -> str:
        return self.names.best(language)


@dataclass(frozen=True, slots=True)
class CaseForm:
    """The case form; `sha256` says which one a source filled in."""

    sha256: str

    def field(self, key: str) -> Question:
        return _question(form().field(key))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of the source's form, in one language.

    kind     how it is shown: text, menu, one-of, any-of, yes-no, date, rights, files.
    shelves  (heading, choices); one shelf without a heading where the list is not divided.
    like     the earlier menu with the same choices, which are then not written again.
    """

    key: str
    type: str
    kind: str
    label: str
    hint: str
    need: bool
    show_if: Condition | None
    shelves: Sequence[tuple[str, Sequence[Choice]]]
    like: str
    chosen: str
    lines: int
    max: int
    unsure: bool

    @property
    def options(self) -> Sequence[Choice]:
        return [choice for _, choices in self.shelves for choice in choices]


@dataclass(frozen=True, slots=True)
class AskedStep:
    """One step of the source's form, in one language."""

    id: str
    title: str
    questions: Sequence[Asked]


@dataclass(frozen=True, slots=True)
class Asking:
    """The form as a template shows it. `sha256` says which one a source filled in.

    promised  within how many hours a person answers; of the urgent form alone.
    """

    sha256: str
    purpose: Purpose
    notice: str
    promised: int | None
    steps: Sequence[AskedStep]

    @property
    def questions(self) -> Iterable[Asked]:
        return (question for step in self.steps for question in step.questions)

    @property
    def needed(self) -> int:
        """How many answers there have to be."""
        return sum(question.need for question in self.questions)


def asked_in(source: SourceForm, language: str, promised: int | None = None) -> Asking:
    """The source's form in a reader's language."""
    menus: dict[str, str] = {}
    if source.purpose is not Purpose.URGENT:
        promised = None
    # What comes along says that nothing is promised; an organisation's own words stand beside its promise.
    is_own = source.sha256 != bundled(source.purpose).sha256
    return Asking(
        source.sha256,
        source.purpose,
        source.notice.best(language) if is_own or promised is None else "",
        promised,
        [
            AskedStep(
                step.id, step.title.best(language), [_asked(one, language, menus) for one in step.questions]
            )
            for step in source.steps
        ],
    )


def context(
    language: str, source: SourceForm | None = None, *, promised: int | None = None
) -> dict[str, Any]:
    """What forms need, in this language; `source` where a source is asked.

    promised  within how many hours somebody answers what is urgent; other forms do not name it.
    """
    # Any: a template's context.
    return {
        **({} if source is None else {"source": asked_in(source, language, promised)}),
        "form": CaseForm(form().sha256),
        "lists": Lists(),
        "charter": Rights(),
        "states_sorted": states_by_name(language),
        "languages_written": written_languages(language),
        "private_person": PRIVATE_PERSON.best(language),
    }


def _question(field: FormField) -> Question:
    condition = next(
        (Condition(key, tuple(_spelled(value) for value in values)) for key, values in field.show_if.items()),
        None,
    )
    return Question(field.key, field.type, condition, field.names)


def _asked(question: AskedQuestion, language: str, menus: dict[str, str]) -> Asked:
    shelves = _shelves(question, language)
    kind = _kind(question, sum(len(choices) for _, choices in shelves))
    like = (
        menus.setdefault(question.type, question.key)
        if question.type in ("state", "language")
        else question.key
    )
    return Asked(
        key=question.key,
        type=question.type,
        kind=kind,
        label=question.label.best(language),
        hint=question.hint.best(language),
        need=question.required,
        show_if=question.show_if,
        shelves=shelves,
        like="" if like == question.key else like,
        chosen=language if question.type == "language" else CHOSEN.get(question.key, ""),
        lines=LINES.get(question.key, 4)
        if question.type == "text"
        else 3
        if question.type == "url-list"
        else 1,
        max=LONGEST.get(question.key) or _longest(question),
        unsure=question.key not in YES_OR_NO,
    )


def _kind(question: AskedQuestion, choices: int) -> str:
    if question.key == "provisions":
        return "rights"
    match question.type:
        case "state" | "language":
            return "menu"
        case "choice":
            return "menu" if question.key in MENUS or choices > MANY else "one-of"
        case "multi":
            return "any-of"
        case "boolean":
            return "yes-no"
        case "partial-date":
            return "date"
        case "file-list":
            return "files"
        case _:
            return "text"


def _shelves(question: AskedQuestion, language: str) -> list[tuple[str, list[Choice]]]:
    if question.type == "language":
        return [("", list(written_languages(language)))]
    if question.type == "state" or question.key == "other_states":
        return [("", [(state.alpha2, state.name(language), "") for state in states_by_name(language)])]
    if question.options:
        chosen = [(one.value, one.label.best(language), one.more.best(language)) for one in question.options]
        return [("", chosen)]
    if question.vocabulary is None:
        return []
    found = [
        (_plain(items[0].family, heading, language), [(item.id, item.label(language), "") for item in items])
        for heading, items in Lists().shelves(question.vocabulary, language)
    ]
    if question.key == "sender_org_type":
        found[0][1].insert(0, ("private-person", PRIVATE_PERSON.best(language), ""))
    return found


def _plain(family: str | None, heading: str, language: str) -> str:
    return PLAIN_HEADINGS[family].best(language) if heading and family in PLAIN_HEADINGS else heading


def _longest(question: AskedQuestion) -> int:
    usual = MAX_TEXT if question.type == "text" else MAX_LINE
    if question.key.startswith(OWN):
        return usual
    written = form().field(question.key).validation.get("max")
    return written if isinstance(written, int) else usual


def _spelled(value: object) -> str:
    # As the form's own inputs spell it.
    return str(value).lower() if isinstance(value, bool) else str(value)
