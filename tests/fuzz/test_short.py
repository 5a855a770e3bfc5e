"""A few hundred cases for each door, every time; `make fuzz` runs a million."""

import pytest

from tests.federation.requests_to_us import RSA, judge, reason
from tests.fuzz import cases
from tests.fuzz.__main__ import run
from tests.fuzz.targets import TARGETS, Target

SHORT = {"signatures": 500, "documents": 400, "age": 400, "inbox": 250}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_a_stranger_sends_breaks_the_reader(target: Target) -> None:
    run(target, 1, SHORT[target.name])


def test_what_is_changed_was_honest_before() -> None:
    assert [reason(judge(request, signer=RSA)) for request in cases.requests()] == ["verified"] * 5
