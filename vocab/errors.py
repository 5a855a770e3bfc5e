"""What can go wrong on this floor.

    VocabError
    ├── Malformed            the bytes are not the JSON we accept
    │   └── TooLarge         … because there is too much of it, or it is too deep
    ├── NotAnAddress         a text that stands for an address and is none
    ├── NotUnderstood        well-formed, but not the kind of document that was asked for
    │   ├── NotAnActivity
    │   ├── NotAnActor
    │   ├── NotAnObject
    │   └── NotACase
    ├── UnknownContext       a JSON-LD context that is not bundled; none is ever fetched
    ├── NotCanonical         a value that has no canonical form, or only at a price nobody should pay
    ├── InvalidForm          a form that cannot be put to a source as it stands; names each part
    └── InvalidCase          a public case that may not be published as it stands; names each field

`str(error)` speaks to the operator; `error.public` is one sentence that is safe in a reply.
"""

from collections.abc import Mapping


class VocabError(Exception):
    """The root of the family."""

    public = "The document could not be read."


class Malformed(VocabError):
    """The body is not strict JSON with an object at its top."""

    public = "The body is not valid JSON."


class TooLarge(Malformed):
    """The body is longer, deeper or wider than the limits."""

    public = "The document is too large."


class NotAnAddress(VocabError, ValueError):
    """A text that stands where an address is expected, and names no host."""


class NotUnderstood(VocabError):
    """The document is not of the kind that was asked for."""


class NotAnActivity(NotUnderstood):
    """No usable `type`, `actor` or `id`."""

    public = "The document is not an activity we can read."


class NotAnActor(NotUnderstood):
    """No usable `type`, `inbox` or `id`."""

    public = "The document is not an actor we can read."


class NotAnObject(NotUnderstood):
    """No usable `type`."""

    public = "The document is not an object we can read."


class NotACase(NotUnderstood):
    """Not an Article with the terms of a public case."""

    public = "The object is not a case of this network."


class UnknownContext(VocabError):
    """The document names a JSON-LD context that is not bundled."""

    public = "The document uses a JSON-LD context that is not known here."

    def __init__(self, url: str) -> None:
        super().__init__(f"JSON-LD context {url!r} is not bundled, and none is fetched")
        self.url = url


class NotCanonical(VocabError):
    """The value has no canonical form within the limits."""

    public = "The document has no canonical form."


class InvalidForm(VocabError):
    """`problems` says for every part of the form what is wrong with it, each by the name of a reason."""

    public = "The form cannot be used as it stands."

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{place}: {why}" for place, why in sorted(problems.items())))
        self.problems = dict(problems)


class InvalidCase(VocabError):
    """A public case with problems.

    problems    field name → one sentence for the editor.
    """

    public = "Some fields of the case need another look."

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {sentence}" for field, sentence in sorted(problems.items())))
        self.problems = dict(problems)
