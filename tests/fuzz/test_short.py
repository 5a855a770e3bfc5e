"""A few hundred cases for each door, every time; `make fuzz` runs a million."""

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.targets import TARGETS, Target

SHORT = {"signatures": 500, "documents": 400, "age": 400, "inbox": 250}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_a_stranger_sends_breaks_the_reader(target: Target) -> None:
    run(target, 1, SHORT[target.name])
