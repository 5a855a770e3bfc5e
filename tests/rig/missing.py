"""Names what a machine lacks: the tests that need it are skipped, and the last lines of the run say so with its cure."""

from collections import Counter
from collections.abc import Iterable

import pytest

MARK = "not run, this machine lacks "


def missing(part: str, command: str) -> BaseException:
    """What to raise in a test because `part` is absent; `command` installs it."""
    return pytest.skip.Exception(f"{MARK}{part}; to install it: {command}", _use_item_location=True)


def summary(reasons: Iterable[str]) -> list[str]:
    """The closing lines for the reasons of all skipped tests: one per missing part."""
    counted = Counter(reason[reason.index(MARK) :] for reason in reasons if MARK in reason)
    return [f"{count} {'test' if count == 1 else 'tests'} {reason}" for reason, count in counted.items()]
