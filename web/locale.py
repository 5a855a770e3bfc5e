"""Which language a page speaks, and its messages: `?lang=` in the address, then Accept-Language. Nothing is remembered in a cookie.

Messages are gettext catalogs in web/translations, read straight from their .po files so that there is no
compiled copy to go stale; English is the language of the sources. Labels of the Charter and of the controlled
lists are not here: vocab carries them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE: Final = "en"
NAMES: Final = {"en": "English", "fr": "Français", "es": "Español"}

MAX_RANGES: Final = 16  # of Accept-Language; a longer list is not a person's


@dataclass(frozen=True, slots=True)
class Speech:
    """The language of one reply."""

    language: str
    asked: bool  # named in the address, so the links of the page carry it on
    offered: tuple[str, ...]


def choose(asked: str | None, accept: str | None, offered: Iterable[str]) -> Speech:
    """The language to answer in.

    asked     value of `?lang=`, used when it is offered.
    accept    the Accept-Language header (RFC 9110 §12.5.4).
    offered   what the operator offers, preferred first; unknown languages are left out.
    """
    known = tuple(language for language in offered if language in NAMES) or (SOURCE,)
    if asked in known:
        return Speech(asked, asked=True, offered=known)
    for wanted in _ranked(accept or ""):
        primary = wanted.partition("-")[0]
        if primary in known:
            return Speech(primary, asked=False, offered=known)
        if wanted == "*":
            break
    return Speech(known[0], asked=False, offered=known)


@lru_cache(maxsize=len(NAMES))
def translations(language: str) -> NullTranslations:
    """The messages of one language; those of the sources for English."""
    if language == SOURCE or language not in NAMES:
        return NullTranslations()
    catalog_file = files("web").joinpath("translations", language, "LC_MESSAGES", "messages.po")
    with catalog_file.open("rb") as stream:
        catalog = read_po(stream, locale=language, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return GNUTranslations(compiled)


def _ranked(accept: str) -> list[str]:
    """Language ranges, most wanted first; those with q=0 and broken ones are left out."""
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.lower().split(",")[:MAX_RANGES]):
        name, _, parameters = part.strip().partition(";")
        weight = 1.0
        if parameters:
            key, _, value = parameters.strip().partition("=")
            if key != "q":
                continue
            try:
                weight = float(value)
            except ValueError:
                continue
        if name and 0 < weight <= 1:
            weighed.append((-weight, place, name.strip()))
    return [name for _, _, name in sorted(weighed)]
