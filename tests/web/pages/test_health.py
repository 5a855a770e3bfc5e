"""What machines ask a node about itself: whether it answers, whether its database does, and counts for who has the token."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from node.clock import Clock
from node.runtime import Node, open_node
from tests.rig.keys import keyring
from tests.web.pages.readers import put, sample, withdraw
from web.app import make_app

TOKEN = "between-us-and-the-monitor"


async def test_who_has_no_token_is_shown_no_counts(node: Node, visitor: httpx.AsyncClient) -> None:
    """Where none is set, also nobody: an empty one opens nothing."""
    for given in ({}, {"authorization": "Bearer "}, {"authorization": f"Bearer {TOKEN}"}):
        assert (await visitor.get("/metrics", headers=given)).status_code == 404


async def test_counts_are_shown_to_who_has_the_token(
    settings: Callable[..., Any], clock: Clock, database: Any
) -> None:
    async with open_node(
        settings(metrics_token=TOKEN), clock=clock, keyring=keyring("a", born=clock.now())
    ) as node:
        url = await put(node, sample("01"))
        await put(node, sample("06"), "06")
        await withdraw(node, url, "factual-error")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(node))) as monitor:
            monitor.base_url = httpx.URL(node.settings.origin)
            answers = [
                await monitor.get("/metrics", headers={"authorization": f"Bearer {given}"})
                for given in (TOKEN, TOKEN[:-1])
            ]

    assert [answer.status_code for answer in answers] == [200, 404]
    lines = answers[0].text.splitlines()
    assert 'tracker_entries{state="live"} 1' in lines
    assert 'tracker_entries{state="withdrawn"} 1' in lines
    assert "tracker_jobs_dead 0" in lines


async def test_a_database_that_is_away_is_said(
    node: Node, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise OSError("nobody there")

    before = await visitor.get("/readyz")
    monkeypatch.setattr(node.database, "ping", away)
    after = await visitor.get("/readyz")

    assert (before.status_code, after.status_code) == (200, 503)
    assert after.text == "not ready\n"
    assert (await visitor.get("/healthz")).text == "ok\n"
