"""States: members of the Council of Europe and of the EU, and what of the Charter binds each.

Read from `data/states.json`. Where the file is not sure it says so; nothing here is assumed to be accepted.
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from vocab import charter
from vocab.dataset import load, texts
from vocab.texts import Texts

FILE: Final = "states.json"


@dataclass(frozen=True, slots=True)
class State:
    """One State.

    code        ISO 3166-1 alpha-2, upper case.
    bound_by    the Charter in force for it: `revised`, `1961`, `none`, or `former` for a former member.
    tile        column and row of its square in our map of equal squares.
    """

    code: str
    alpha3: str
    names: Texts
    official_languages: tuple[str, ...]
    other_languages: tuple[str, ...]
    region: str
    is_member: bool
    is_eu_member: bool
    bound_by: Literal["revised", "1961", "none", "former"]
    charter_in_force: str | None
    takes_collective_complaints: bool
    admits_national_ngos: bool
    tile: tuple[int, int]
    _accepted: str
    _excepted: frozenset[str]

    def name(self, language: str) -> str:
        """Return the name, in English where we have no other."""
        return self.names.best(language)

    @property
    def charter(self) -> str:
        """The Charter under which a case in this State is filed."""
        return charter.ORIGINAL if self.bound_by == "1961" else charter.REVISED

    def accepts(self, provision: str) -> bool | None:
        """Say whether it accepted a provision of the revised Charter; None when we do not know."""
        if self.bound_by != "revised" or self._accepted == "unknown":
            return False if self.bound_by in ("none", "former") else None
        return provision not in self._excepted


@cache
def states() -> tuple[State, ...]:
    """Return every State we know, by code: 46 members and one former member."""
    return tuple(
        State(
            code=item["alpha2"],
            alpha3=item["alpha3"],
            names=texts(item["names"]),
            official_languages=tuple(item["languages"]["official"]),
            other_languages=tuple(item["languages"]["other"]),
            region=item["region"],
            is_member=item["coe"]["status"] == "member",
            is_eu_member=item["eu"]["member"],
            bound_by=item["charter"]["bound_by"],
            charter_in_force=item["charter"]["in_force"],
            takes_collective_complaints=item["collective_complaints"]["accepted"],
            admits_national_ngos=item["collective_complaints"]["national_ngos"],
            tile=(item["tile"][0], item["tile"][1]),
            _accepted=item["accepted_provisions"]["mode"],
            _excepted=frozenset(item["accepted_provisions"]["except"]),
        )
        for item in sorted(load(FILE)["states"], key=lambda item: item["alpha2"])
    )


def state(code: str) -> State:
    """Return a State by its code. Raises KeyError."""
    return _by_code()[code]


def is_state(code: object) -> bool:
    """Say whether a value is the code of a State we know."""
    return isinstance(code, str) and code in _by_code()


def region_name(region: str, language: str) -> str:
    """Return the name of a region of Europe. Raises KeyError."""
    return texts(load(FILE)["$meta"]["regions"][region]).best(language)


@cache
def _by_code() -> MappingProxyType[str, State]:
    return MappingProxyType({item.code: item for item in states()})
