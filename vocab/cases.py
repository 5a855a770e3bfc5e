"""Our case: the one door to it. What it is lives in `publiccase`, how it travels in `casewire`,
`pictures` and `withdrawals`, how it reads in `casewords`; here, how it is found."""

from vocab import charter
from vocab.casewire import CaseMeta, Reach, fits, reach, read_case, write_case
from vocab.casewords import facts
from vocab.errors import InvalidCase, NotACase
from vocab.pictures import picture_address
from vocab.publiccase import (
    LICENCES,
    SMALL_SCALES,
    STANDARDS,
    VERIFICATIONS,
    AuthorityReply,
    Correction,
    FollowUp,
    PublicCase,
    Related,
    coarse,
    relations,
)
from vocab.withdrawals import Withdrawal, is_bare, kept_tombstone, read_withdrawal, write_tombstone

__all__ = [
    "LICENCES",
    "SMALL_SCALES",
    "STANDARDS",
    "VERIFICATIONS",
    "AuthorityReply",
    "CaseMeta",
    "Correction",
    "FollowUp",
    "InvalidCase",
    "NotACase",
    "PublicCase",
    "Reach",
    "Related",
    "Withdrawal",
    "coarse",
    "facets",
    "facts",
    "fits",
    "is_bare",
    "kept_tombstone",
    "picture_address",
    "reach",
    "read_case",
    "read_withdrawal",
    "relations",
    "write_case",
    "write_tombstone",
]


def facets(case: PublicCase) -> frozenset[tuple[str, str]]:
    """Return what the case can be found by: (facet, value) pairs.

    Facets: state, article, provision, group, kind, theme, language, verification, status. Articles and provisions are
    those of the revised Charter, so that a case under the Charter of 1961 is found beside its neighbours.
    """
    found = {("kind", case.kind), ("verification", case.verification), ("status", case.status)}
    found |= {("state", code) for code in (case.state, *case.other_states)}
    found |= {("group", group) for group in case.groups}
    found |= {("language", language) for language in case.languages}
    for key in case.provisions:
        provision = charter.provision(key, case.charter)
        found |= {("provision", name) for name in _revised(provision)}
        found.add(("article", str(provision.article)))
        found |= {("theme", theme) for theme in charter.themes_of(provision.article)}
    return frozenset(found)


def _revised(provision: charter.Provision) -> tuple[str, ...]:
    return (provision.key,) if provision.charter == charter.REVISED else provision.counterparts
