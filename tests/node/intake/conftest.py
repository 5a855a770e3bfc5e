"""A node's people and their manifest, for alerts to be sealed to."""

from datetime import datetime

import pytest

from node.database import Database
from tests.rig.alerts import Door, an_open_door


@pytest.fixture
async def door(database: Database, now: datetime) -> Door:
    """Two people who read alerts, and the manifest that names them."""
    return await an_open_door(database, now=now)
