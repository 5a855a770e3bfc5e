"""`tracker`: the terminal is one more door. Every verb calls down into the node; nothing below imports this."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from federation.errors import FederationError
from node import __version__
from node.errors import NodeError
from web.cli import backups, ceremony, peers, people, running, sealing
from web.cli.frame import Answer, show
from web.serve import configure_logs

DESCRIPTION = """\
A node of the Social Rights Tracker network: it takes in sealed alerts, lets people check them, and publishes what
two of them have verified as signed ActivityPub objects.

To see it all at once:        tracker demo
To run a node of your own:    tracker init, then tracker serve
Settings are environment variables TRACKER_…; the handbook in deploy/ describes each.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits non-zero with one sentence on failure."""
    options = parser().parse_args(arguments)
    configure_logs(json=os.environ.get("LOG_FORMAT") == "json")
    try:
        answer = options.run(options)
    except (NodeError, FederationError) as error:
        sys.exit(f"tracker: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"tracker: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    if answer is not None:
        show(answer, as_json=options.json)
    if isinstance(answer, dict) and answer.get("ok") is False:
        sys.exit(1)


def parser() -> argparse.ArgumentParser:
    """The grammar of `tracker`, which is also its help."""
    shape = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    top = argparse.ArgumentParser(
        "tracker", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"tracker {__version__}")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(
        name: str, says: str, run: Callable[[argparse.Namespace], Answer], under: Any = verbs
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = under.add_parser(name, help=says, description=says, **shape)
        added.add_argument("--json", action="store_true", help="print machine-readable output")
        added.set_defaults(run=run)
        return added

    running.add_verbs(verb)
    keys = people.add_verbs(verb, verbs)
    backups.add_verbs(verb, keys)
    ceremony.add_verbs(verb, keys)
    peers.add_verbs(verb, verbs)
    running.add_audit(verb, verbs)
    running.add_intake(verb, verbs)
    sealing.add_verbs(verb)
    return top
