"""`make fuzz`: as many cases as asked for over every door, in stretches that can be repeated by their number.

python -m tests.fuzz --cases 1000000
python -m tests.fuzz --only inbox --stretch 17     the one that failed
"""

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS, Target

STRETCH = 5_000


def run(target: Target, number: int, examples: int) -> None:
    """Run one stretch: the same number gives the same cases."""
    with target.opened() as check:

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            # No shrinking at the inbox: what came before is part of the case there.
            phases=[Phase.generate] if target.name == "inbox" else [Phase.generate, Phase.shrink],
        )
        @given(target.strategy)
        def attempt(case: object) -> None:
            check(case)

        attempt()


def main() -> int:
    """Run, tell what was run, and stop at the first failure."""
    arguments = argparse.ArgumentParser(
        prog="make fuzz", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    arguments.add_argument("--cases", type=int, default=1_000_000)
    arguments.add_argument("--only", choices=[target.name for target in TARGETS])
    arguments.add_argument("--stretch", type=int, help="run only the stretch of this number")
    asked = arguments.parse_args()
    chosen = [target for target in TARGETS if asked.only in (None, target.name)]
    whole = sum(target.share for target in chosen)
    for target in chosen:
        cases = max(1, asked.cases * target.share // whole)
        stretches = [asked.stretch] if asked.stretch is not None else list(range(-(-cases // STRETCH)))
        started, done = time.monotonic(), 0
        for number in stretches:
            size = STRETCH if asked.stretch is not None else min(STRETCH, cases - done)
            try:
                run(target, number, size)
            except BaseException:
                sys.stderr.write(
                    f"\n{target.name}: failed; again: python -m tests.fuzz --only {target.name} --stretch {number}\n"
                )
                raise
            done += size
            rate = done / max(time.monotonic() - started, 0.001)
            sys.stdout.write(f"\r{target.name}: {done:,} of {cases:,} cases, {rate:,.0f} a second ")
            sys.stdout.flush()
        sys.stdout.write("· no unhandled exception\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
