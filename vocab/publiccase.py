"""The public case: the list of everything that may be published, and what each value may be.

A publication is built from these fields and from nothing else, so what a source sealed has no way out: a field that is
not named here is a problem, not an extra. Rules that need people (four eyes, consent, right of reply) live above; rules
that a text can be held against live here. `data/case-form.json` is the form this list belongs to.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from typing import Final

from vocab import charter, lists, states
from vocab.errors import InvalidCase
from vocab.form import form
from vocab.reading import Reader
from vocab.texts import NOTHING, Texts

LICENCES: Final = ("CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0")
# OHCHR practice: from "reasonable grounds to believe" upwards.
STANDARDS: Final = ("P3", "P4", "P5")
VERIFICATIONS: Final = ("documented", "corroborated", "confirmed")
# What a picture of a case may be, with the end of its address; each is drawn anew before it is one.
EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
MAX_SIDE: Final = 12_000
SMALL_SCALES: Final = ("one", "2-9")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# Under the publisher's own origin: letters, digits and a few marks, no way up and no query.
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,120}){1,8}")
_GOOD: Final = ("good-practice", "positive-story")
Plain = dict[str, object]


@dataclass(frozen=True, slots=True)
class AuthorityReply:
    """What an authority answered, or that it did not."""

    date: str
    type: str
    text: Texts = NOTHING
    source: str | None = None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Something that was done about the case."""

    date: str
    action: str
    text: Texts
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """Another public case, by its id."""

    id: str
    relation: str


@dataclass(frozen=True, slots=True)
class Correction:
    """What was changed after publication."""

    date: str
    text: Texts


@dataclass(frozen=True, slots=True)
class Picture:
    """The one picture of a case: which bytes, where at its publisher's, and the words for those who do not see it."""

    sha256: str
    media_type: str
    width: int
    height: int
    path: str
    alt: Texts


@dataclass(frozen=True, slots=True)
class PublicCase:
    """A case as everyone may read it. Made by `parse`, which is the only way past the rules."""

    kind: str
    language: str
    title: Texts
    summary: Texts
    state: str
    provisions: tuple[str, ...]
    groups: tuple[str, ...]
    scale: str
    started_on: str
    verification: str
    verification_statement: Texts
    status: str
    status_date: str
    content: Texts = NOTHING
    content_warning: Texts = NOTHING
    region: str | None = None
    other_states: tuple[str, ...] = ()
    charter: str = charter.REVISED
    article_e: bool = False
    discrimination_grounds: tuple[str, ...] = ()
    violation_types: tuple[str, ...] = ()
    civic_space_types: tuple[str, ...] = ()
    good_practice_types: tuple[str, ...] = ()
    good_practice_source: str | None = None
    transferability: Texts = NOTHING
    results_evidence: Texts = NOTHING
    contexts: tuple[str, ...] = ()
    integrated_rights: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    actor_name: str | None = None
    ended_on: str | None = None
    ongoing: bool = True
    evidence_types: tuple[str, ...] = ()
    public_sources: tuple[str, ...] = ()
    domestic_steps: Texts = NOTHING
    standard: str | None = None
    licence: str = LICENCES[0]
    authority_replies: tuple[AuthorityReply, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    related: tuple[Related, ...] = ()
    corrections: tuple[Correction, ...] = ()
    image: Picture | None = None
    fictional: bool = False

    @classmethod
    def parse(cls, values: Mapping[str, object], *, today: date | None = None) -> "PublicCase":
        """Make a public case of plain values, or say what is wrong with each.

        today    when given, what lies after it is refused.
        Raises   InvalidCase, with a sentence for every field that has a problem, unknown fields among them.
        """
        reader = Reader(values)
        case = _read(reader)
        reader.check_names(frozenset(item.name for item in fields(cls)))
        _hold_against_rules(case, reader.refuse)
        if today is not None:
            _hold_against_calendar(case, today, reader.refuse)
        if reader.problems:
            raise InvalidCase(reader.problems)
        return case

    def fields(self) -> Plain:
        """Return plain JSON values, every field present; `parse(case.fields()) == case`."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which it can be read, its own first."""
        return tuple(self.title.first(self.language)) if self.title else (self.language,)

    @property
    def articles(self) -> tuple[int, ...]:
        """The articles of the revised Charter it concerns, in order."""
        return tuple(sorted({charter.provision(key, self.charter).article for key in self.provisions}))


def coarse(values: Mapping[str, object]) -> Plain:
    """Return the values with place and dates as coarse as they may be published.

    For the desk, which starts a draft from what a source answered. Leaves alone what it does not understand.
    """
    kind, scale, groups = values.get("kind"), values.get("scale"), values.get("groups")
    special = isinstance(groups, Sequence) and any(_is_special(group) for group in groups)
    small = scale in SMALL_SCALES
    length = 4 if _only_the_year(kind, scale, special) else 7
    changed = dict(values)
    for key in ("started_on", "ended_on"):
        if isinstance(written := values.get(key), str):
            changed[key] = written[:length]
    if special or small:
        changed["region"] = None
    return changed


def is_picture(values: Mapping[str, object], language: object) -> bool:
    """Say whether these values describe a picture of a case in this language."""
    reader = Reader({"image": values})
    found = reader.record("image", _read_picture)
    return found is not None and not reader.problems and language in found.alt


# ---- reading -------------------------------------------------------------------------------------------------------


def _read(reader: "Reader") -> PublicCase:
    which = reader.choice("charter", charter.CHARTERS, default=charter.REVISED)
    ended_on = reader.partial_date("ended_on")
    return PublicCase(
        kind=reader.listed("kind", "case_kinds"),
        language=reader.language("language"),
        title=reader.texts("title", least=8, most=150, required=True, one_line=True),
        summary=reader.texts("summary", least=80, most=5000, required=True),
        content=reader.texts("content", most=20_000),
        content_warning=reader.texts("content_warning", most=200, one_line=True),
        state=reader.known("state", states.is_state, "Choose the State concerned."),
        other_states=reader.several("other_states", states.is_state, most=10),
        region=reader.text("region", most=120),
        charter=which,
        provisions=reader.several(
            "provisions", lambda key: charter.is_provision(key, which), least=1, most=12
        ),
        article_e=reader.flag("article_e", default=False),
        discrimination_grounds=reader.several_listed("discrimination_grounds", "discrimination_grounds"),
        violation_types=reader.several_listed("violation_types", "violation_types", most=8),
        civic_space_types=reader.several_listed("civic_space_types", "civic_space_restrictions"),
        good_practice_types=reader.several_listed("good_practice_types", "good_practice_types"),
        good_practice_source=reader.listed_or_none("good_practice_source", "good_practice_sources"),
        transferability=reader.texts("transferability", most=3000),
        results_evidence=reader.texts("results_evidence", most=3000),
        contexts=reader.several_listed("contexts", "contexts", most=3),
        integrated_rights=reader.several_listed("integrated_rights", "integrated_rights", most=5),
        groups=reader.several_listed("groups", "groups", least=1, most=8),
        scale=reader.listed("scale", "scale_bands"),
        actors=reader.several_listed("actors", "responsible_actors", most=5),
        actor_name=reader.text("actor_name", most=200),
        started_on=reader.partial_date("started_on", required=True) or "",
        ended_on=ended_on,
        ongoing=reader.flag("ongoing", default=ended_on is None),
        evidence_types=reader.several_listed("evidence_types", "evidence_types"),
        public_sources=reader.addresses("public_sources", most=20),
        domestic_steps=reader.texts("domestic_steps", most=3000),
        standard=reader.choice("standard", STANDARDS) or None,
        verification=reader.choice("verification", VERIFICATIONS, required=True),
        verification_statement=reader.texts("verification_statement", least=40, most=2000, required=True),
        status=reader.listed("status", "situation_statuses"),
        status_date=reader.day("status_date", required=True),
        licence=reader.choice("licence", LICENCES, default=LICENCES[0]),
        authority_replies=reader.records("authority_replies", _read_reply),
        follow_ups=reader.records("follow_ups", _read_follow_up),
        related=reader.records("related", _read_related),
        corrections=reader.records("corrections", _read_correction),
        image=reader.record("image", _read_picture),
        fictional=reader.flag("fictional", default=False),
    )


def _read_picture(reader: "Reader") -> Picture:
    return Picture(
        sha256=reader.matching("sha256", _SHA256),
        media_type=reader.choice("media_type", tuple(EXTENSIONS), required=True),
        width=reader.number("width", most=MAX_SIDE),
        height=reader.number("height", most=MAX_SIDE),
        path=reader.matching("path", _PATH),
        alt=reader.texts("alt", least=3, most=1000, required=True, one_line=True),
    )


def _read_reply(reader: "Reader") -> AuthorityReply:
    return AuthorityReply(
        date=reader.day("date", required=True),
        type=reader.listed("type", "authority_reply_types"),
        text=reader.texts("text", most=5000),
        source=reader.address("source"),
    )


def _read_follow_up(reader: "Reader") -> FollowUp:
    return FollowUp(
        date=reader.day("date", required=True),
        action=reader.listed("action", "requested_actions"),
        text=reader.texts("text", most=5000, required=True),
        link=reader.address("link"),
    )


def _read_related(reader: "Reader") -> Related:
    return Related(
        id=reader.address("id", required=True) or "",
        relation=reader.choice("relation", relations(), required=True),
    )


def _read_correction(reader: "Reader") -> Correction:
    return Correction(
        date=reader.day("date", required=True), text=reader.texts("text", most=5000, required=True)
    )


@cache
def relations() -> tuple[str, ...]:
    """Return the ways in which two cases can belong together."""
    item = form().field("related").validation["item"]
    named = item["relation"] if isinstance(item, dict) else ()
    return tuple(named)


# ---- rules that join fields ----------------------------------------------------------------------------------------


def _hold_against_rules(case: PublicCase, refuse: Callable[[str, str], None]) -> None:
    for key in ("title", "summary", "verification_statement"):
        if (words := getattr(case, key)) and case.language and case.language not in words:
            refuse(key, "The text is missing in the language of the case.")
    if case.image is not None and case.language and case.language not in case.image.alt:
        refuse("image", "Say in the language of the case what the picture shows.")
    _hold_kind(case, refuse)
    _hold_small_groups(case, refuse)
    if case.article_e != bool(case.discrimination_grounds):
        refuse("discrimination_grounds", "Article E and the grounds of discrimination go together.")
    if case.ended_on and case.ongoing:
        refuse("ended_on", "What goes on has no end yet.")
    if case.ended_on and _before(case.ended_on, case.started_on):
        refuse("ended_on", "The end lies before the beginning.")
    if case.status == "withdrawn":
        refuse("status", "A case is withdrawn by withdrawing it, not by its status.")
    if case.status == "resolved" and not any(
        item.link and not _before(item.date, case.started_on) for item in case.follow_ups
    ):
        refuse("follow_ups", "A resolved case names a dated follow-up with a source.")
    if case.state in case.other_states:
        refuse("other_states", "The State concerned is named already.")


def _hold_kind(case: PublicCase, refuse: Callable[[str, str], None]) -> None:
    needed = {
        "violation": ("violation_types", "actors"),
        "civic-space-restriction": ("civic_space_types", "actors"),
        "good-practice": ("good_practice_types",),
        "positive-story": ("actors",),
    }
    for key in needed.get(case.kind, ()):
        if not getattr(case, key):
            refuse(key, "This is needed.")
    belongs = {
        "violation_types": ("violation", "structural-pattern"),
        "civic_space_types": ("civic-space-restriction", "structural-pattern"),
        "good_practice_types": _GOOD,
        "good_practice_source": _GOOD,
        "transferability": _GOOD,
        "results_evidence": _GOOD,
    }
    for key, kinds in belongs.items():
        if case.kind and getattr(case, key) and case.kind not in kinds:
            refuse(key, "This does not belong to this kind of case.")
    if case.kind == "good-practice" and case.status and case.status != "published":
        refuse("status", "A good practice has the status 'published'.")
    if case.status == "published" and case.kind and case.kind not in _GOOD:
        refuse("status", "Only good practices and positive stories have the status 'published'.")


def _hold_small_groups(case: PublicCase, refuse: Callable[[str, str], None]) -> None:
    """A few people of a known group in a known place in a known month can be recognised."""
    special = any(_is_special(group) for group in case.groups)
    small = case.scale in SMALL_SCALES
    if case.region and (special or small):
        refuse("region", "So few people, or people of this group, could be recognised: name the State only.")
    if small and len(case.groups) > 3:
        refuse("groups", "For so few people, choose at most three groups.")
    if _only_the_year(case.kind, case.scale, special):
        for key in ("started_on", "ended_on"):
            if len(getattr(case, key) or "") > 4:
                refuse(key, "So few people could be recognised: give the year only.")


def _only_the_year(kind: object, scale: object, special: bool) -> bool:
    # A restriction of civic space concerns an organisation, not a person.
    return (scale in SMALL_SCALES and special) or (scale == "one" and kind != "civic-space-restriction")


def _is_special(group: object) -> bool:
    return (
        isinstance(group, str)
        and lists.has("groups", group)
        and lists.item("groups", group).is_special_category
    )


def _hold_against_calendar(case: PublicCase, today: date, refuse: Callable[[str, str], None]) -> None:
    now = today.isoformat()
    for key in ("started_on", "ended_on", "status_date"):
        if (written := getattr(case, key)) and _before(now, written):
            refuse(key, "This lies in the future.")
    for key in ("authority_replies", "follow_ups", "corrections"):
        if any(_before(now, item.date) for item in getattr(case, key)):
            refuse(key, "A date lies in the future.")


def _before(one: str, other: str) -> bool:
    """Compare dates of different precision by what both say."""
    length = min(len(one), len(other))
    return one[:length] < other[:length]


def _plain(value: object) -> object:
    match value:
        case Texts():
            return dict(value) or None
        case tuple():
            return [_plain(item) for item in value]
        case AuthorityReply() | FollowUp() | Related() | Correction() | Picture():
            return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        case _:
            return value
