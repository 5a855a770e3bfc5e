"""The European Social Charter: articles, provisions, themes, of 1996 and of 1961 with the map between the two.

Read from `data/charter.json`. A provision is named by its key, `31.2` or `24`; the 1988 Additional Protocol by `AP1` to
`AP4`. The summaries are ours; the authentic texts are the English and French ones of ETS 163, 35 and 128.
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from vocab.dataset import load, texts
from vocab.texts import Texts

FILE: Final = "charter.json"
REVISED: Final = "1996"
ORIGINAL: Final = "1961"
CHARTERS: Final = (REVISED, ORIGINAL)


@dataclass(frozen=True, slots=True)
class Provision:
    """One undertaking that a State accepts or not.

    article     the article of the revised Charter under which it is shown and searched.
    reference   how it is cited: `Art. 31§2`, `Art. 1§1 (1961)`.
    """

    id: str
    key: str
    charter: str
    article: int
    reference: str
    title: Texts
    summary: Texts
    counterparts: tuple[str, ...]

    def label(self, language: str) -> str:
        """Return the citation and the short title."""
        return f"{self.reference} – {self.title.best(language)}"


@dataclass(frozen=True, slots=True)
class Article:
    """One article of the revised Charter, with its provisions in order."""

    number: int
    id: str
    title: Texts
    principle: Texts
    thematic_group: str
    reporting_group: str
    is_hard_core: bool
    provisions: tuple[Provision, ...]

    @property
    def reference(self) -> str:
        """How it is cited: `Art. 31`."""
        return f"Art. {self.number}"

    def label(self, language: str) -> str:
        """Return the citation and the title."""
        return f"{self.reference} – {self.title.best(language)}"


@dataclass(frozen=True, slots=True)
class Theme:
    """A heading under which readers look for articles; an article may be under several."""

    id: str
    title: Texts
    articles: tuple[int, ...]

    def label(self, language: str) -> str:
        """Return the heading."""
        return self.title.best(language)


@cache
def articles() -> tuple[Article, ...]:
    """Return the 31 articles of the revised Charter."""
    return tuple(
        Article(
            number=item["number"],
            id=item["id"],
            title=texts(item["title"]),
            principle=texts(item["principle"]),
            thematic_group=item["thematic_group"],
            reporting_group=item["reporting_group"],
            is_hard_core=item["hard_core"],
            provisions=tuple(
                Provision(
                    id=provision["id"],
                    key=provision["key"],
                    charter=REVISED,
                    article=item["number"],
                    reference=provision["label"],
                    title=texts(provision["short_title"]),
                    summary=texts(provision["summary"]),
                    counterparts=tuple(provision["esc1961"]),
                )
                for provision in item["provisions"]
            ),
        )
        for item in load(FILE)["articles"]
    )


def article(number: int | str) -> Article:
    """Return an article of the revised Charter. Raises KeyError."""
    found = _by_number().get(str(number))
    if found is None:
        raise KeyError(number)
    return found


@cache
def provisions(charter: str = REVISED) -> tuple[Provision, ...]:
    """Return every provision of one Charter, in its order: 98 of 1996; 72 of 1961 and the 4 of 1988."""
    if charter == REVISED:
        return tuple(provision for item in articles() for provision in item.provisions)
    if charter == ORIGINAL:
        return _original()
    raise KeyError(charter)


def provision(key: str, charter: str = REVISED) -> Provision:
    """Return a provision by its key. Raises KeyError."""
    return _by_key(charter)[key]


def is_provision(key: object, charter: str = REVISED) -> bool:
    """Say whether a key names a provision of that Charter."""
    return charter in CHARTERS and isinstance(key, str) and key in _by_key(charter)


@cache
def themes() -> tuple[Theme, ...]:
    """Return the five headings of the Tracker."""
    return tuple(
        Theme(id=item["id"], title=texts(item["label"]), articles=tuple(item["articles"]))
        for item in load(FILE)["tracker_themes"]
    )


def theme(theme_id: str) -> Theme:
    """Return a heading. Raises KeyError."""
    for item in themes():
        if item.id == theme_id:
            return item
    raise KeyError(theme_id)


def themes_of(number: int) -> tuple[str, ...]:
    """Return the headings an article is under."""
    return tuple(item.id for item in themes() if number in item.articles)


@cache
def thematic_groups() -> tuple[Theme, ...]:
    """Return the four groups the European Committee of Social Rights used for its conclusions."""
    return tuple(
        Theme(id=item["id"], title=texts(item["title"]), articles=tuple(item["articles"]))
        for item in load(FILE)["thematic_groups"]
    )


@cache
def _original() -> tuple[Provision, ...]:
    revised = _by_key(REVISED)
    original = load(FILE)["esc_1961"]
    found = []
    for item in original["articles"]:
        for entry in item["provisions"]:
            # The 1961 paragraphs carry no headings of their own; where one continues, its heading is the same.
            heir = revised[entry["revised"][0]] if entry["revised"] else None
            found.append(
                Provision(
                    id=entry["id"],
                    key=entry["key"],
                    charter=ORIGINAL,
                    article=item["number"],
                    reference=entry["label"],
                    title=heir.title if heir and len(item["provisions"]) > 1 else texts(item["title"]),
                    summary=heir.summary if heir else Texts(),
                    counterparts=tuple(entry["revised"]),
                )
            )
    for entry in original["additional_protocol_1988"]:
        heir = revised[entry["revised"][0]]
        found.append(
            Provision(
                id=entry["id"],
                key=entry["key"],
                charter=ORIGINAL,
                article=heir.article,
                reference=f"Art. {entry['key'].removeprefix('AP')} (1988)",
                title=texts(entry["title"]),
                summary=heir.summary,
                counterparts=tuple(entry["revised"]),
            )
        )
    return tuple(found)


@cache
def _by_key(charter: str) -> MappingProxyType[str, Provision]:
    return MappingProxyType({item.key: item for item in provisions(charter)})


@cache
def _by_number() -> MappingProxyType[str, Article]:
    # As text: an address may hold any number, in any digits, and of more of them than Python reads.
    return MappingProxyType({str(item.number): item for item in articles()})
