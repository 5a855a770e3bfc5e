"""Finds what looks like personal data in a text that is about to be public. Pure; errs on the side of asking a person.

Spec: case-form.json, publication gate `no-personal-data`; `seed` SRT-19. Names cannot be found this way: people look for them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NUMBER = r"\d{1,4}\s?[a-zA-Z]?"
NAME = r"[\w'’.-]+(?:\s[\w'’.-]+){0,4}"

PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # Begun where a word begins, not at each of its letters: a word without end would be gone through once for each.
    ("an e-mail address", re.compile(r"(?<!\w)[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+", re.I)),
    ("an IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,4})?\b")),
    (
        "a number that identifies somebody",
        re.compile(
            r"\b[1-478]\s?\d{2}\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?[\dAB]{2}\s?\d{3}\s?\d{3}(?:\s?\d{2})?\b"
        ),
    ),
    ("a telephone number", re.compile(r"(?<![\w/.-])(?:\+|00)\d(?:[\s()./-]*\d){7,14}(?!\w)")),
    ("a telephone number", re.compile(r"(?<![\w/.,-])\(?0\d(?:[\s()./-]?\d){7,10}(?![\w,])")),
    # National numbers of identity and social security, written in one or in their usual groups.
    ("a number that identifies somebody", re.compile(r"\b[A-Z]{0,3}[-\s]?\d{8,}[-\s]?[A-Z]?\b")),
    ("a number that identifies somebody", re.compile(r"\b\d{6}[-+]\d{3,4}[A-Z]?\b|\b\d{3}-\d{2}-\d{4}\b")),
    ("a number that identifies somebody", re.compile(r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b")),
    (
        "a date of birth",
        re.compile(
            r"\b(?:born|née?|nacid[oa]|geboren|nat[oa]|nascid[oa]|date of birth|d\.o\.b\.|date de naissance"
            r"|fecha de nacimiento|geburtsdatum)\b[^.\n]{0,24}\d{1,2}[\s./-]+(?:\d{1,2}|\w{3,10})[\s./-]+(?:19|20)?\d{2}",
            re.I,
        ),
    ),
    (
        "an exact address",
        re.compile(
            rf"\b{NUMBER},?\s(?:bis\s|ter\s)?(?:rue|avenue|av\.|boulevard|bd\.?|impasse|allée|chemin|quai|place)\s{NAME}",
            re.I,
        ),
    ),
    (
        "an exact address",
        re.compile(
            r"\b\d{1,4}[a-zA-Z]?\s(?:[A-Z][\w'’-]+\s){1,3}(?:Street|St\.|Road|Rd\.?|Avenue|Ave\.?|Lane|Drive|Close|Terrace|Square|Court)\b"
        ),
    ),
    (
        "an exact address",
        re.compile(
            rf"\b(?:calle|c/|avenida|avda\.?|plaza|paseo|via|viale|piazza|corso|rua|travessa|ul\.|ulica|str\.|strada|вул\.|ул\.|οδός)\s{NAME},?\s(?:n[.º°]?\s?)?\d{{1,4}}\b",
            re.I,
        ),
    ),
    (
        "an exact address",
        re.compile(
            r"\b[\w-]+(?:straße|strasse|gasse|weg|platz|straat|laan|gatan|vägen|gade|vej|utca)\s\d{1,4}\b",
            re.I,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found, in words, and where."""

    what: str
    text: str


def personal_data(text: str) -> Iterator[Hit]:
    """What in this text looks like personal data; each place once."""
    seen: list[tuple[int, int]] = []
    for what, pattern in PATTERNS:
        for match in pattern.finditer(text):
            if not any(start < match.end() and match.start() < end for start, end in seen):
                seen.append(match.span())
                yield Hit(what, match.group())
