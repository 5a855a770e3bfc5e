"""What the forms of the source and of the desk let choose from: the lists, the Charter by theme, States and languages.

Values for templates only. The texts are vocab's; nothing is decided here.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from babel import Locale

from vocab import charter, lists, states
from vocab.texts import Texts

# Languages a text may be written in: official and widely spoken ones in the States of the Council of Europe.
WRITTEN = [
    "ar",
    "az",
    "bg",
    "bs",
    "ca",
    "cs",
    "cy",
    "da",
    "de",
    "el",
    "en",
    "es",
    "et",
    "eu",
    "fa",
    "fi",
    "fr",
    "ga",
    "gl",
    "he",
    "hr",
    "hu",
    "hy",
    "is",
    "it",
    "ka",
    "ku",
    "lb",
    "lt",
    "lv",
    "mk",
    "mt",
    "nb",
    "nl",
    "nn",
    "pl",
    "pt",
    "ro",
    "ru",
    "sk",
    "sl",
    "sq",
    "sr",
    "sv",
    "tr",
    "uk",
    "ur",
]


@dataclass(frozen=True, slots=True)
class Lists:
    """The controlled lists, whole or in the shelves they are divided into."""

    def entries(self, name: str) -> tuple[lists.Item, ...]:
        return lists.items(name)

    def shelves(self, name: str, language: str) -> list[tuple[str, list[lists.Item]]]:
        """(heading, entries) in the order of the list's families; one shelf without a heading where it has none."""
        headings = lists.families(name)
        if not headings:
            return [("", list(lists.items(name)))]
        order = list(headings)
        found = sorted(
            lists.items(name),
            key=lambda item: order.index(item.family) if item.family in headings else len(order),
        )
        return [
            (headings[family].best(language) if family in headings else "", list(items))
            for family, items in groupby(found, key=lambda item: item.family or "")
        ]


@dataclass(frozen=True, slots=True)
class PlainProvision:
    """A provision as a person chooses it."""

    key: str
    label: str
    titles: Texts

    def short_title(self, language: str) -> str:
        return self.titles.best(language) if self.titles else ""


@dataclass(frozen=True, slots=True)
class PlainArticle:
    """An article with its provisions."""

    label: str
    titles: Texts
    provisions: tuple[PlainProvision, ...]

    def title(self, language: str) -> str:
        return self.titles.best(language)


@dataclass(frozen=True, slots=True)
class PlainTheme:
    """A heading and the articles under it."""

    titles: Texts
    articles: tuple[PlainArticle, ...]

    def label(self, language: str) -> str:
        return self.titles.best(language)


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of the Charter, by theme."""

    def themes(self) -> tuple[PlainTheme, ...]:
        return _themes()

    def original(self) -> tuple[PlainArticle, ...]:
        """The provisions of 1961 and 1988, under the articles that follow them; some States are bound by these only."""
        return _original()


@dataclass(frozen=True, slots=True)
class PlainState:
    """A State as a choice."""

    alpha2: str
    names: Texts

    def name(self, language: str) -> str:
        return self.names.best(language)


@cache
def _themes() -> tuple[PlainTheme, ...]:
    themes = charter.themes()
    named = {number for theme in themes for number in theme.articles}
    rest = tuple(article.number for article in charter.articles() if article.number not in named)
    found = [
        PlainTheme(theme.title, tuple(_article(number) for number in theme.articles)) for theme in themes
    ]
    if rest:
        others = Texts({"en": "Other rights", "fr": "Autres droits", "es": "Otros derechos"})
        found.append(PlainTheme(others, tuple(_article(number) for number in rest)))
    return tuple(found)


@cache
def _original() -> tuple[PlainArticle, ...]:
    # `Art. 1§2 (1961)` stands under `Art. 1 (1961)`, beside `Art. 1 (1988)`.
    found = groupby(charter.provisions(charter.ORIGINAL), key=lambda one: re.sub(r"§\d+", "", one.reference))
    return tuple(
        PlainArticle(
            reference,
            Texts(),
            tuple(PlainProvision(one.key, one.reference, one.title) for one in provisions),
        )
        for reference, provisions in found
    )


def _article(number: int) -> PlainArticle:
    article = charter.article(number)
    return PlainArticle(
        article.reference,
        article.title,
        tuple(PlainProvision(one.key, one.reference, one.title) for one in article.provisions),
    )


@cache
def states_by_name(language: str) -> tuple[PlainState, ...]:
    """The member States in the order of their names."""
    found = (PlainState(state.code, state.names) for state in states.states())
    return tuple(sorted(found, key=lambda state: _by_name(state.name(language))))


@cache
def written_languages(language: str) -> tuple[tuple[str, str, str], ...]:
    """(code, name, nothing beside it) of each language that a text may be written in, in the order of the names."""
    names = Locale.parse(language).languages
    found = [(code, names.get(code, code), "") for code in WRITTEN]
    return tuple(sorted(found, key=lambda one: _by_name(one[1])))


def _by_name(name: str) -> str:
    # "État" among the E's.
    return name.casefold().translate(str.maketrans("áàâäéèêëíìîïóòôöúùûüçñ", "aaaaeeeeiiiioooouuuucn"))
