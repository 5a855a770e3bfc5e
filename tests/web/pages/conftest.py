"""A visitor's client on the application of one open node."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.rig.alerts import a_member
from web.app import make_app


@pytest.fixture
async def visitor(node: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client without cookies of its own making, on `https://a.example`."""
    transport = httpx.ASGITransport(app=make_app(node))
    async with httpx.AsyncClient(transport=transport, base_url=node.settings.origin) as client:
        yield client


@pytest.fixture
async def people(node: Any) -> list[Any]:
    """Two people at the desk, the fewest to whom an alert can be sealed."""
    async with node.database.begin() as session:
        return [await a_member(session, name) for name in ("Ana", "Boris")]
