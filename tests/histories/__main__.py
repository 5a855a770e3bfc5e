"""`make histories`: as many histories of the whole federation as asked for, in stretches that can be repeated by their number.

python -m tests.histories --cases 2000
python -m tests.histories --stretch 17     the one that failed
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.histories.laws import check
from tests.histories.steps import Step, histories
from tests.histories.world import opened
from tests.rig.servers import Servers

STRETCH = 50
CHAPTERS = 6
# Every so many stretches one lives on PostgreSQL, which is slower.
ON_POSTGRESQL = 8


async def live(steps: Sequence[Step], servers: Servers | None = None) -> None:
    """One history, and what has to hold after it. servers: whose PostgreSQL is used; without them, SQLite."""
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory), servers) as world:
            for step in steps:
                world.clock.forward(seconds=1)
                await step(world)
                await world.note()
            await world.mend()
            await check(world)
            if await world.widen():
                await world.mend()
                await check(world)


def run(
    number: int,
    examples: int,
    *,
    chapters: int = CHAPTERS,
    shrinks: bool = True,
    servers: Servers | None = None,
) -> None:
    """Run one stretch: the same number gives the same histories. servers: as `live` takes them."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
    )
    @given(histories(chapters))
    def attempt(steps: list[Step]) -> None:
        asyncio.run(live(steps, servers))

    attempt()


def main() -> int:
    """Run, tell what was run, and stop at the first failure."""
    arguments = argparse.ArgumentParser(prog="make histories", description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--cases", type=int, default=2_000)
    arguments.add_argument("--stretch", type=int, help="run only the stretch of this number")
    asked = arguments.parse_args()
    stretches = [asked.stretch] if asked.stretch is not None else range(-(-asked.cases // STRETCH))
    started, done = time.monotonic(), 0
    servers = Servers.prepare()
    for number in stretches:
        try:
            run(number, STRETCH, servers=servers if number % ON_POSTGRESQL == 1 else None)
        except BaseException:
            servers.stop()
            sys.stderr.write(f"\nfailed; again: python -m tests.histories --stretch {number}\n")
            raise
        done += STRETCH
        rate = done / max(time.monotonic() - started, 0.001)
        sys.stdout.write(f"\r{done:,} histories, {rate:.1f} a second ")
        sys.stdout.flush()
    servers.stop()
    sys.stdout.write("· every law held\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
