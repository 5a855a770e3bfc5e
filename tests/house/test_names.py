"""The four top-level names are ours, and nobody else's."""

from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("vocab", "federation", "node", "web")


@pytest.mark.parametrize("name", NAMES)
def test_the_name_comes_from_this_checkout(name: str) -> None:
    spec = find_spec(name)

    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_owns_the_name(name: str) -> None:
    owners = set(packages_distributions().get(name, []))

    assert owners <= {"social-rights-tracker"}
