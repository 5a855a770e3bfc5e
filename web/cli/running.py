"""`tracker init, serve, worker, demo, doctor, migrate, audit`: a server's life."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import uvloop

from node import audit
from node.errors import Misconfigured, NodeError
from node.intake.switch import close_intake, open_intake
from node.migrations import migrate
from node.runtime import Node
from node.staff.accounts import NODE, invite
from node.staff.permissions import Role
from web.cli.frame import Answer, Verb, read_settings, with_node
from web.serve import serve, work


def add_verbs(verb: Verb) -> None:
    """The commands of a server's life."""
    init = verb(
        "init", "Make the data directory, the keys and a one-time link for the first administrator.", _init
    )
    init.add_argument("--if-missing", action="store_true", help="do nothing where there is a node already")
    verb("serve", "Run the web server, with the worker inside unless a Redis is configured.", _serve)
    verb("worker", "Run a worker of the scale profile (PostgreSQL and Redis).", _worker)
    shown = verb("demo", "Run a hub and nodes on this machine, filled through the real flow.", _demo)
    shown.add_argument(
        "--nodes", type=int, default=2, metavar="N", help="how many national nodes (default 2)"
    )
    shown.add_argument(
        "--port", type=int, default=8700, metavar="P", help="the hub's port; nodes follow (default 8700)"
    )
    shown.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the data here (default: a temporary directory)"
    )
    shown.add_argument(
        "--once",
        action="store_true",
        help="drive the flow, print the summary, stop; fails unless every step was seen",
    )
    verb("doctor", "Check configuration, clock, keys, database, queue, backups and reachability.", _doctor)
    verb("migrate", "Bring the database to the newest shape.", _migrate)


def add_audit(verb: Verb, verbs: Any) -> None:
    """`tracker audit`. Any: argparse keeps the type of sub-parsers to itself."""
    log = verbs.add_parser("audit", help="The record of who did what.").add_subparsers(
        metavar="COMMAND", required=True
    )
    verb("verify", "Check that no entry of the record was changed or taken out.", _audit_verify, log)


def add_intake(verb: Verb, verbs: Any) -> None:
    """`tracker intake`. Any: argparse keeps the type of sub-parsers to itself."""
    door = verbs.add_parser("intake", help="The door for alerts.").add_subparsers(
        metavar="COMMAND", required=True
    )
    closing = verb(
        "close", "Take no alerts from now on; public pages, desk and mailboxes stay.", _intake_close, door
    )
    closing.add_argument("--elsewhere", default="", help="where else to go: told to whoever comes")
    verb("open", "Take alerts again.", _intake_open, door)


def _init(options: argparse.Namespace) -> Answer:
    settings = read_settings()
    if (settings.data / "keys").exists():
        if options.if_missing:
            return None
        raise Misconfigured(f"{settings.data} holds a node already; `tracker serve` starts it")

    async def init(node: Node) -> Answer:
        async with node.database.begin() as session:
            token = await invite(session, roles=[Role.ADMINISTRATOR], by=None, now=node.clock.now())
        return {
            "data": str(settings.data),
            "origin": settings.origin,
            "role": settings.role,
            "actor": settings.main_actor,
            "root": node.keyring.root_id,
            "welcome": f"{settings.origin}/desk/welcome#{token}",
            "next": "Start `tracker serve`, then open the welcome link once to become the first administrator. "
            f"Back up {settings.data / 'keys'} now, offline: nobody can make these keys again.",
        }

    return with_node(init, settings)


def _serve(_options: argparse.Namespace) -> Answer:
    uvloop.run(serve(read_settings()))
    return None


def _worker(_options: argparse.Namespace) -> Answer:
    uvloop.run(work(read_settings()))
    return None


def _demo(options: argparse.Namespace) -> Answer:
    # Here and not above: a server that only serves need not carry it.
    from web import demo

    summary = asyncio.run(
        demo.run(
            nodes=options.nodes, port=options.port, data=options.data, once=options.once, quiet=options.json
        )
    )
    if not options.json and not summary["ok"]:
        raise NodeError("not every step was seen at its far end")
    return summary if options.json else None


def _doctor(_options: argparse.Namespace) -> Answer:
    from web.doctor import examine

    return with_node(examine)


def _migrate(_options: argparse.Namespace) -> Answer:
    migrate(read_settings().database_url)
    return {"ok": True}


def _audit_verify(_options: argparse.Namespace) -> Answer:
    async def verified(node: Node) -> Answer:
        async with node.database.read() as session:
            head = await audit.verify(session)
        return {"ok": True, "entries": head.seq, "head": head.hash}

    return with_node(verified)


def _intake_close(options: argparse.Namespace) -> Answer:
    async def closed(node: Node) -> Answer:
        async with node.database.begin() as session:
            row = await close_intake(session, options.elsewhere, by=NODE, now=node.clock.now())
        return {"intake": "closed", "on": row.closed_on.isoformat(), "elsewhere": row.elsewhere}

    return with_node(closed)


def _intake_open(_options: argparse.Namespace) -> Answer:
    async def opened(node: Node) -> Answer:
        async with node.database.begin() as session:
            await open_intake(session, by=NODE, now=node.clock.now())
        return {"intake": "open"}

    return with_node(opened)
