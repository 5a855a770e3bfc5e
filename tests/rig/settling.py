"""Waiting until a server that runs as a process has done what is due."""

import asyncio
from datetime import timedelta

from sqlalchemy import and_, func, or_, select

from node.outbox import Job, Lane
from tests.rig.processes import Served
from tests.rig.publications import behind


async def settled(server: Served) -> None:
    """Wait until everything was tried; chores may wait for their hour, and so may what a peer that has left did not take.

    However near that hour is: shortly before midnight the chores of the next day are due in minutes.
    """
    async with behind(server) as node:
        for _ in range(200):
            now = node.clock.now()
            soon = or_(
                Job.not_before <= now,
                and_(Job.not_before < now + timedelta(minutes=10), ~Job.lane.startswith("chore:")),
            )
            async with node.database.read() as session:
                waiting = (
                    select(func.count())
                    .select_from(Job)
                    .join(Lane, Lane.name == Job.lane)
                    .where(Job.dead_at.is_(None), Lane.failures == 0, soon)
                )
                if not await session.scalar(waiting):
                    return
            await asyncio.sleep(0.1)
    raise AssertionError("jobs are still waiting")


async def nothing_went_wrong(server: Served) -> None:
    """It has settled, still answers, and its log names no error."""
    await settled(server)
    assert server.is_ready()
    assert "Traceback" not in server.said()
