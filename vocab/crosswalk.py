"""Where the rights of the Charter stand in other texts: the Covenant, the SDGs, the European Pillar, the EU Charter.

Read from `data/crosswalk.json`; our own analysis, not an official table. The European Pillar and the EU Charter concern
EU member States only.
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from vocab.dataset import load, texts
from vocab.texts import Texts

FILE: Final = "crosswalk.json"


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A provision of another text. `is_direct` says that it protects in substance the same right."""

    number: str
    title: Texts
    is_direct: bool | None = None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What stands beside one article of the revised Charter."""

    icescr: tuple[Counterpart, ...]
    sdg_goals: tuple[Counterpart, ...]
    sdg_targets: tuple[Counterpart, ...]
    epsr: tuple[Counterpart, ...]
    eu_charter: tuple[Counterpart, ...]


def article(number: int) -> Neighbours:
    """Return what stands beside an article of the revised Charter. Raises KeyError."""
    return _by_article()[number]


@cache
def _by_article() -> MappingProxyType[int, Neighbours]:
    data = load(FILE)
    icescr = _titles(data["icescr_articles"], "article", "title")
    goals = _titles(data["sdg_goals"], "goal", "title")
    targets = _titles(data["sdg_targets"], "target", "text")
    principles = _titles(data["epsr_principles"], "principle", "title")
    eu_charter = _titles(data["eu_charter_articles"], "article", "title")
    return MappingProxyType(
        {
            item["article"]: Neighbours(
                icescr=tuple(_related(icescr, entry["article"], entry) for entry in item["icescr"]),
                sdg_goals=tuple(Counterpart(str(goal), goals[str(goal)]) for goal in item["sdg_goals"]),
                sdg_targets=tuple(Counterpart(target, targets[target]) for target in item["sdg_targets"]),
                epsr=tuple(_related(principles, entry["principle"], entry) for entry in item["epsr"]),
                eu_charter=tuple(Counterpart(name, eu_charter[name]) for name in item["eu_charter"]),
            )
            for item in data["articles"]
        }
    )


def _related(titles: dict[str, Texts], number: Any, entry: dict[str, Any]) -> Counterpart:
    return Counterpart(str(number), titles[str(number)], entry["relation"] == "direct")


def _titles(rows: list[dict[str, Any]], number: str, words: str) -> dict[str, Texts]:
    return {str(row[number]): texts(row[words]) for row in rows}
