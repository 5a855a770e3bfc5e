"""For operators: is it alive, is it ready, what does it count. Metrics need the token of the settings and are off without one."""

import hmac

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from node.entries.search import by_state
from node.errors import NotFound
from node.hub.quarantine import Waiting
from node.outbox import Job, Lane
from node.runtime import Node
from node.settings import Settings


def routes(_settings: Settings) -> list[Route]:
    """The operators' addresses."""
    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


async def readyz(request: Request) -> Response:
    """The database answers too."""
    node: Node = request.app.state.node
    try:
        await node.database.ping()
    except Exception:  # any trouble of the database means the same here
        return PlainTextResponse("not ready\n", 503, headers={"Cache-Control": "no-store"})
    return PlainTextResponse("ready\n", headers={"Cache-Control": "no-store"})


async def metrics(request: Request) -> Response:
    """Counts in Prometheus' text format; nothing about any source, alert or person."""
    node: Node = request.app.state.node
    token = node.settings.metrics_token
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(token.encode(), given.encode()):
        raise NotFound("metrics are not shown without their token")
    async with node.database.read() as session:
        waiting = await session.scalar(select(func.count()).select_from(Job).where(Job.dead_at.is_(None)))
        dead = await session.scalar(select(func.count()).select_from(Job).where(Job.dead_at.is_not(None)))
        failing = await session.scalar(select(func.count()).select_from(Lane).where(Lane.failures > 0))
        kept_out = await session.scalar(select(func.count()).select_from(Waiting))
        entries = await by_state(session)
    lines = [
        "# TYPE tracker_jobs_waiting gauge",
        f"tracker_jobs_waiting {waiting}",
        "# TYPE tracker_jobs_dead gauge",
        f"tracker_jobs_dead {dead}",
        "# TYPE tracker_lanes_failing gauge",
        f"tracker_lanes_failing {failing}",
        "# TYPE tracker_cases_kept_out gauge",
        f"tracker_cases_kept_out {kept_out}",
        "# TYPE tracker_entries gauge",
        *(f'tracker_entries{{state="{state}"}} {n}' for state, n in sorted(entries.items())),
    ]
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": "no-store"})
