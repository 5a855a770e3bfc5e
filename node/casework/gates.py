"""The publication gates: what must hold before a text can go to a second person, and again when that person says yes. Pure.

What a text can be held against alone (complete, coarse enough for small groups) is PublicCase's; here stand the gates that
need the case around it. Consent and risk are sealed with the alert and no server can read them: whoever submits says that they
were read and cover this text, and the second person, who holds the same keys, can look.
Spec: case-form.json `publication_gates`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from node.casework.personal import personal_data
from vocab import lists
from vocab.publiccase import PublicCase

MIN_CHECKERS = 2
# What each standard of proof can carry, weakest first.
LEVELS = ("documented", "corroborated", "confirmed")
CARRIES = {"P3": "documented", "P4": "corroborated", "P5": "confirmed"}
WITHOUT_STANDARD = frozenset({"good-practice", "positive-story"})
TEXTS = (
    "title",
    "summary",
    "content",
    "content_warning",
    "verification_statement",
    "transferability",
    "results_evidence",
    "domestic_steps",
)
MIN_REASON, MAX_REASON = 10, 500
# What is said of a whole text that is too long, and under which name: it is the fault of no field alone.
SIZE = "size"
TOO_LONG = "Together these texts are too long to be sent to other servers. Please shorten some, or leave a language out."


@dataclass(frozen=True, slots=True)
class Clearances:
    """What a person has looked at and answers for, with the reason.

    cleared       field → why a hit of the personal-data scan may stand.
    reply_waiver  why a named private company could not be asked first: urgency, safety.
    consent       the drafter read the sealed consent and it covers publication.
    """

    cleared: Mapping[str, str] = field(default_factory=dict)
    reply_waiver: str | None = None
    consent: bool = False

    def problems(self) -> dict[str, str]:
        """Field → sentence, empty when each reason is one."""
        reasons = dict(self.cleared) | (
            {"reply_waiver": self.reply_waiver} if self.reply_waiver is not None else {}
        )
        return {
            key: f"Give a reason of {MIN_REASON} to {MAX_REASON} characters."
            for key, reason in reasons.items()
            if not MIN_REASON <= len(reason.strip()) <= MAX_REASON
        }

    def as_reason(self) -> str | None:
        """One line for the history; None when there was nothing to clear."""
        said = [f"{key}: {reason.strip()}" for key, reason in sorted(self.cleared.items())]
        if self.reply_waiver:
            said.append(f"right of reply waived: {self.reply_waiver.strip()}")
        if self.consent:
            said.append("consent was read and covers this text")
        return "; ".join(said)[:1000] or None


def closed_gates(
    case: PublicCase, *, standard: str | None, checkers: Collection[str], clearances: Clearances
) -> dict[str, str]:
    """Field → sentence for each gate that keeps this text from being published; empty when all are open."""
    problems = clearances.problems()
    problems |= dict(_verified(case, standard))
    if len(set(checkers)) < MIN_CHECKERS:
        problems["verification"] = "Two people have to check a case before its text can be published."
    if not clearances.consent:
        problems["consent"] = (
            "Read what the source answered about consent and danger, and say that it covers this text."
        )
    problems |= dict(_reply(case, clearances))
    problems |= dict(_personal(case, clearances))
    return problems


def _verified(case: PublicCase, standard: str | None) -> Iterator[tuple[str, str]]:
    carried = CARRIES.get(standard or "")
    if carried is None:
        yield "standard", "The confirmed finding is below reasonable grounds to believe (P3)."
        return
    if case.standard != standard and not (case.standard is None and case.kind in WITHOUT_STANDARD):
        yield "standard", f"The confirmed finding is {standard}; the text says something else."
    if LEVELS.index(case.verification) > LEVELS.index(carried):
        yield "verification", f"The confirmed finding ({standard}) carries “{carried}” at most."


def _reply(case: PublicCase, clearances: Clearances) -> Iterator[tuple[str, str]]:
    names_company = case.actor_name and any(
        lists.item("responsible_actors", actor).family == "private" for actor in case.actors
    )
    if names_company and not case.authority_replies and not clearances.reply_waiver:
        yield (
            "actor_name",
            "A company that is named is asked first. Add its reply or its silence, or say why it was not asked.",
        )


def _personal(case: PublicCase, clearances: Clearances) -> Iterator[tuple[str, str]]:
    for key, text in _public_texts(case):
        if key in clearances.cleared:
            continue
        found = next(personal_data(text), None)
        if found is not None:
            yield key, f"This looks like {found.what}: “{found.text}”. Take it out, or say why it may stand."


def _public_texts(case: PublicCase) -> Iterator[tuple[str, str]]:
    for key in TEXTS:
        for text in getattr(case, key).values():
            yield key, text
    for key in ("region", "actor_name"):
        if text := getattr(case, key):
            yield key, text
    for key in ("authority_replies", "follow_ups", "corrections"):
        for item in getattr(case, key):
            for text in item.text.values():
                yield key, text
    if case.image is not None:
        for text in case.image.alt.values():
            yield "image", text
