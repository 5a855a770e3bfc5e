"""The running nodes that tests of pages share: one for sources alone, and one for each file in which people work at the desk."""

from collections.abc import Iterator

import pytest

from tests.rig.processes import Served
from tests.web.door import running_organisation


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node that takes alerts which nobody reads; one for the whole run, so no test may count what lies in it."""
    with running_organisation(tmp_path_factory.mktemp("door")) as server:
        yield server


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node of the file's own, with Berta and Carl at its desk."""
    with running_organisation(tmp_path_factory.mktemp("organisation")) as server:
        yield server
