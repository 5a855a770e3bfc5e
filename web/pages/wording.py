"""What templates may call to say dates, numbers, names and texts in several languages the way the reader does.

Labels come from vocab; sentences come from the catalogs. Ids that a newer version of the lists may bring are shown as
they are rather than hidden.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal
from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from vocab import charter, lists, states
from vocab.markup import paragraphs, shown_host

REGIONAL: Final = {"en": "en_GB"}  # a day is written "12 March 2026"
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur", "yi"})

LONGEST_ADDRESS: Final = 60


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text and the language it is in, which may not be the page's."""

    text: str
    language: str

    @property
    def direction(self) -> str:
        """For `dir=`: which way it is written."""
        return "rtl" if self.language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"


def install(environment: Environment) -> None:
    """Give a template environment these words."""
    environment.filters.update(
        article_of=article_of,
        bare=bare,
        day=_day,
        endonym=endonym,
        label=_label,
        language_name=_language_name,
        machine=machine,
        meaning=_meaning,
        moment=_moment,
        number=_number,
        prose=prose,
        right=right,
        right_title=_right_title,
        state_name=_state_name,
    )
    environment.globals.update(members=members, said=_said)


def spoken(texts: Mapping[str, str], *, original: str, wanted: str) -> Spoken | None:
    """One of several language versions: the wanted one, the original, English, then any; None when there is none."""
    for language in (wanted, original, "en", *texts):
        if texts.get(language):
            return Spoken(texts[language], language)
    return None


def say_day(value: date | datetime | str, language: str) -> str:
    """A day, month or year written out; `YYYY`, `YYYY-MM` and `YYYY-MM-DD` stay as exact as they were given."""
    region = REGIONAL.get(language, language)
    if isinstance(value, str):
        match value.count("-"):
            case 0:
                return value
            case 1:
                return format_skeleton("yMMMM", date.fromisoformat(f"{value}-01"), locale=region)
            case _:
                value = date.fromisoformat(value[:10])
    if isinstance(value, datetime):
        value = value.astimezone(UTC).date()
    return format_date(value, format="long", locale=region)


def machine(value: date | datetime | str) -> str:
    """The same for `<time datetime>`: ISO 8601, UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if isinstance(value, str) else value.isoformat()


def label(item: str, vocabulary: str, language: str) -> str:
    """The label of an entry of a controlled list; the id itself when the list does not have it."""
    return lists.label(vocabulary, item, language) if lists.has(vocabulary, item) else item


def meaning(item: str, vocabulary: str, language: str) -> str:
    """What an entry of a controlled list means; empty where the list does not say."""
    return lists.item(vocabulary, item).definition.best(language) if lists.has(vocabulary, item) else ""


def article_of(key: str, instrument: str = charter.REVISED) -> int | None:
    """The article of the revised Charter under which a provision is shown."""
    return charter.provision(key, instrument).article if charter.is_provision(key, instrument) else None


def right(key: str, instrument: str = charter.REVISED) -> str:
    """How a provision is cited: `Art. 31§2`."""
    return charter.provision(key, instrument).reference if charter.is_provision(key, instrument) else key


def right_title(key: str, instrument: str, language: str) -> str:
    """The short title of a provision."""
    if not charter.is_provision(key, instrument):
        return key
    return charter.provision(key, instrument).title.best(language)


def state_name(code: str, language: str) -> str:
    """The name of a State; its code when we do not know it."""
    return states.state(code).name(language) if states.is_state(code) else code


def endonym(language: str) -> str:
    """What a language calls itself: `français`."""
    return language_name(language, language)


@lru_cache(maxsize=1024)  # others choose the tags
def language_name(language: str, said_in: str) -> str:
    """What a language is called in another: `French`."""
    found, tongue = _locale(language), _locale(said_in)
    return (found.get_display_name(tongue) if found and tongue else None) or language


def bare(address: str) -> str:
    """An address as people read it: without its scheme, and cut when long, but never at the end of its host.

    The end of a host says whose it is: `victim.example.a-long-name.evil.example` is cut where it begins.
    """
    parts = urlsplit(address)
    if not parts.netloc:
        return address if len(address) <= LONGEST_ADDRESS else f"{address[: LONGEST_ADDRESS - 1]}…"
    host, path = shown_host(address), parts.path.rstrip("/")
    host = host if len(host) <= LONGEST_ADDRESS else f"…{host[1 - LONGEST_ADDRESS :]}"
    room = max(LONGEST_ADDRESS - len(host), 2)
    return f"{host}{path}" if len(path) <= room else f"{host}{path[: room - 1]}…"


def prose(text: str) -> Markup:
    """An account, which is plain text, as paragraphs: what looks like markup in it is shown, not obeyed."""
    return Markup(paragraphs(text))  # noqa: S704 (vocab.markup escapes every word)


def members() -> frozenset[str]:
    """Codes of the member States of the Council of Europe."""
    return frozenset(state.code for state in states.states() if state.is_member)


def _locale(language: str) -> Locale | None:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return None


@pass_context
def _said(context: Context, texts: Mapping[str, str], original: str) -> Spoken | None:
    return spoken(texts, original=original, wanted=context["language"])


@pass_context
def _label(context: Context, item: str, vocabulary: str) -> str:
    return label(item, vocabulary, context["language"])


@pass_context
def _meaning(context: Context, item: str, vocabulary: str) -> str:
    return meaning(item, vocabulary, context["language"])


@pass_context
def _right_title(context: Context, key: str, instrument: str = charter.REVISED) -> str:
    return right_title(key, instrument, context["language"])


@pass_context
def _state_name(context: Context, code: str) -> str:
    return state_name(code, context["language"])


@pass_context
def _language_name(context: Context, language: str) -> str:
    return language_name(language, context["language"])


@pass_context
def _day(context: Context, value: date | datetime | str) -> str:
    return say_day(value, context["language"])


@pass_context
def _moment(context: Context, value: datetime) -> str:
    language: str = context["language"]
    region = REGIONAL.get(language, language)
    return format_datetime(value.astimezone(UTC), format="d MMMM y, HH:mm", locale=region) + " UTC"


@pass_context
def _number(context: Context, value: int) -> str:
    return format_decimal(value, locale=REGIONAL.get(context["language"], context["language"]))
