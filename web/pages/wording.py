"""What templates may call to say dates, numbers and texts in several languages the way the reader does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal
from jinja2 import Environment, pass_context
from jinja2.runtime import Context

REGIONAL: Final = {"en": "en_GB"}  # a day is written "12 March 2026"
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur", "yi"})


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text and the language it is in, which may not be the page's."""

    text: str
    language: str
    is_original: bool

    @property
    def direction(self) -> str:
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"


def install(environment: Environment) -> None:
    """Give a template environment these words."""
    environment.filters.update(day=_day, moment=_moment, machine=machine, number=_number)
    environment.globals.update(spoken=spoken)


def spoken(texts: Mapping[str, str], *, original: str, wanted: str) -> Spoken | None:
    """One of several language versions: the wanted one, the original, English, then any; None when there is none."""
    for language in (wanted, original, "en", *texts):
        if texts.get(language):
            return Spoken(texts[language], language, language == original)
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
