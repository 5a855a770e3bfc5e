"""`python -m tests.bench [--only NAME] [--quick]`: measures, says how it goes, and writes build/bench/."""

import argparse
import asyncio
import importlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tests.bench.figures import Bench, Figure, table, write
from tests.bench.loopback import stay_off
from tests.rig.nodejs import node_executable

NAMES = ("sealing", "idle", "outbox", "inbox", "deliver", "publish", "hub", "reading")
OUTPUT = Path(__file__).parents[2] / "build" / "bench"


def main() -> int:
    """Run what was asked for; 1 when a benchmark could not be run."""
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="run this one; may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the work: shows that it runs, measures little"
    )
    options = parser.parse_args()
    stay_off()

    figures: list[Figure] = []
    skipped: dict[str, str] = {}
    started = time.monotonic()
    for name in options.only or NAMES:

        def say(text: str, name: str = name) -> None:
            print(f"  {time.monotonic() - started:6.1f} s  {name}: {text}", file=sys.stderr, flush=True)

        with tempfile.TemporaryDirectory(prefix="srt-bench-") as directory:
            bench = Bench(Path(directory), say, options.quick)
            try:
                module = importlib.import_module(f"tests.bench.{name}")
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    found: list[Figure] = runner.run(module.run(bench))
            except (Exception, SystemExit) as error:
                say(f"could not be run: {error}")
                skipped[name] = f"{type(error).__name__}: {str(error)[:300]}"
                continue
        for figure in found:
            say(f"{figure.name} {figure.value:,.1f} {figure.unit}")
        figures += found
    node = subprocess.run([node_executable(), "--version"], capture_output=True, text=True, check=True)
    write(OUTPUT, figures, skipped, node=node.stdout.strip())
    print(table(figures))
    print(f"\nWritten: {OUTPUT / 'report.json'}, report.md and plots.")
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
