"""`tracker`: the terminal is one more door. Every verb calls down into the node; nothing below imports this.

The environment is read here and nowhere else.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federation.client import exchange, open_client
from federation.errors import FederationError
from node import __version__, audit
from node.errors import Invalid, Misconfigured, NodeError, NotFound
from node.intake.answers import read_answers
from node.intake.packing import pack
from node.migrations import migrate
from node.peers import blocklists, changing, follows, hosts, reports
from node.peers.actors import RemoteActor
from node.peers.directory import find_actor, find_by_handle
from node.peers.ours import LocalActor, local_actor_at, say_alias
from node.runtime import Node
from node.sealing.errors import SealingError
from node.sealing.manifest import named_in, verify_manifest
from node.sealing.objects import read_opened
from node.sealing.receipts import digits_of, entropy_of, new_receipt
from node.settings import Settings
from node.staff.accounts import active_staff, invite
from node.staff.permissions import Role
from web import ceremony
from web.serve import configure_logs, opened, serve, work

Answer = dict[str, Any] | list[Any] | None

MANIFEST_PATH = "/.well-known/social-rights-tracker/intake"
MAX_MANIFEST_BYTES = 256 * 1024

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
        _print(answer, as_json=options.json)
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
    verb("doctor", "Check configuration, clock, keys, database, queue and reachability.", _doctor)
    verb("migrate", "Bring the database to the newest shape.", _migrate)

    staff = verbs.add_parser("staff", help="People of the organisation.").add_subparsers(
        metavar="COMMAND", required=True
    )
    verb("list", "List the people of the desk, without their keys.", _staff_list, staff)
    invited = verb("invite", "Make a one-time link with which a person joins the desk.", _staff_invite, staff)
    invited.add_argument("--role", action="append", required=True, choices=[str(role) for role in Role])

    keys = verbs.add_parser("keys", help="Keys of this server.").add_subparsers(
        metavar="COMMAND", required=True
    )
    verb("show", "Show the public keys and their fingerprints.", _keys_show, keys)
    verb(
        "rotate",
        "Make new federation keys; the old ones stay known for what they proved.",
        _keys_rotate,
        keys,
    )
    moving = verb(
        "announce-move", "Tell followers that this server's actor lives elsewhere now.", _keys_move, keys
    )
    moving.add_argument("actor", help="the new actor's address; it must name this one as an earlier one")
    known = verb("also-known-as", "Say that this server's actor was another before.", _keys_known_as, keys)
    known.add_argument("actor", help="the old actor's address")
    ceremony.add_verbs(verb, keys)

    for name, says in (
        ("members", "Organisations this hub aggregates."),
        ("peers", "Servers we speak with."),
    ):
        group = verbs.add_parser(name, help=says).add_subparsers(metavar="COMMAND", required=True)
        verb("list", "List whom we follow, and how it stands.", _peers_list, group)
        adding = verb(
            "add" if name == "members" else "follow",
            "Follow an organisation: @cases@host, or its actor's address.",
            _peers_follow,
            group,
        )
        adding.add_argument("actor")
        leaving = verb(
            "remove" if name == "members" else "unfollow",
            "Stop following an organisation.",
            _peers_unfollow,
            group,
        )
        leaving.add_argument("actor")
        for decision, policy, sentence in (
            ("block", "block", "Take nothing from a host and all below it, and send it nothing."),
            ("limit", "limit", "Let a host follow, but add nothing here: no replies, no likes, no cases."),
            ("allow", "allow", "Let a host write, whatever a list advises and where only members may."),
            ("unblock", None, "Lift what was decided about a host."),
        ):
            deciding = verb(decision, sentence, _peers_decide, group)
            deciding.add_argument("host")
            deciding.add_argument("--reason", default="", help="why; shown to administrators")
            deciding.set_defaults(policy=policy)
    verb("reports", "List what others have reported to us.", _peers_reports, group)
    closing = verb("close-report", "Say that a report has been looked at.", _peers_close_report, group)
    closing.add_argument("report")
    reporting = verb(
        "report", "Report an actor to their own server; nobody here is named.", _peers_report, group
    )
    reporting.add_argument("actor")
    reporting.add_argument(
        "--object", action="append", default=[], help="address of something of theirs; may be repeated"
    )
    reporting.add_argument("--text", default="", help="what is wrong")
    verb("hosts", "List what was decided about hosts, and why.", _peers_hosts, group)
    exporting = verb(
        "export", "Write blocks and limits as Mastodon's domain_blocks.csv.", _peers_export, group
    )
    exporting.add_argument("file", type=Path)
    importing = verb(
        "import", "Take over the blocks and limits of such a file; own decisions stand.", _peers_import, group
    )
    importing.add_argument("file", type=Path)
    following = verb(
        "subscribe", "Follow a signed list of blocked hosts, read every day.", _peers_subscribe, group
    )
    following.add_argument("url", help="such as https://hub.example/actors/hub/blocklist")
    ending = verb("unsubscribe", "Follow such a list no more.", _peers_unsubscribe, group)
    ending.add_argument("url")

    log = verbs.add_parser("audit", help="The record of who did what.").add_subparsers(
        metavar="COMMAND", required=True
    )
    verb("verify", "Check that no entry of the record was changed or taken out.", _audit_verify, log)

    sealing = verb(
        "seal", "Seal an alert on this machine into one file, for a node's upload form. Sends nothing.", _seal
    )
    sealing.add_argument(
        "--manifest",
        required=True,
        metavar="ORIGIN|FILE",
        help="the node, or a file with its signed list of keys",
    )
    sealing.add_argument(
        "--root",
        metavar="KEY",
        help="the organisation's root key (z6Mk…); shown and asked about where not given",
    )
    sealing.add_argument(
        "--answers", type=Path, metavar="FILE", help="JSON of the form's answers; asked for where not given"
    )
    sealing.add_argument("--attach", type=Path, action="append", default=[], metavar="FILE")
    sealing.add_argument("--language", default="en", help="the language the alert is written in (default en)")
    sealing.add_argument(
        "--out", type=Path, default=Path("alert.sealed"), metavar="FILE", help="default alert.sealed"
    )

    opening = verb("open", "Open a sealed file offline, with an identity file.", _open)
    opening.add_argument("file", type=Path)
    opening.add_argument(
        "--identity", type=Path, required=True, help="file with an AGE-SECRET-KEY-PQ-1… line"
    )
    return top


# ---- commands ------------------------------------------------------------------------------------------------------


def _settings() -> Settings:
    return Settings.read(os.environ)


def _init(options: argparse.Namespace) -> Answer:
    settings = _settings()
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

    return _with_node(init, settings)


def _serve(_options: argparse.Namespace) -> Answer:
    asyncio.run(serve(_settings()))
    return None


def _worker(_options: argparse.Namespace) -> Answer:
    asyncio.run(work(_settings()))
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

    return _with_node(examine)


def _migrate(_options: argparse.Namespace) -> Answer:
    migrate(_settings().database_url)
    return {"ok": True}


def _staff_list(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            return [
                {"id": person.id, "name": person.name, "roles": list(person.roles)}
                for person in await active_staff(session)
            ]

    return _with_node(listed)


def _staff_invite(options: argparse.Namespace) -> Answer:
    async def invited(node: Node) -> Answer:
        async with node.database.begin() as session:
            token = await invite(session, roles=options.role, by=None, now=node.clock.now())
        return {"link": f"{node.settings.origin}/desk/welcome#{token}"}

    return _with_node(invited)


def _keys_show(_options: argparse.Namespace) -> Answer:
    async def shown(node: Node) -> Answer:
        rsa, ed25519 = node.keyring.public_keys(node.settings.main_actor)
        return {
            "root": node.keyring.root_id,
            "rsa": {"id": rsa.key_id, "pem": rsa.public},
            "ed25519": {"id": ed25519.key_id, "multibase": ed25519.public},
            "former": [
                {"id": one.key_id, "multibase": one.public, "retired": one.retired_at.isoformat()}
                for one in node.keyring.former_keys(node.settings.main_actor)
            ],
        }

    return _with_node(shown)


def _keys_rotate(_options: argparse.Namespace) -> Answer:
    async def rotated(node: Node) -> Answer:
        renewed = await changing.rotate_keys(node)
        rsa, ed25519 = renewed.public_keys(node.settings.main_actor)
        return {
            "rsa": rsa.key_id,
            "ed25519": ed25519.key_id,
            "next": "Start the server and its workers anew: until then they sign with the old keys. "
            f"Then back up {node.settings.data / 'keys'} again.",
        }

    return _with_node(rotated)


def _keys_move(options: argparse.Namespace) -> Answer:
    async def moved(node: Node) -> Answer:
        await changing.announce_move(node, options.actor)
        return {
            "moved": options.actor,
            "next": "Keep this server running: what it published stays here, and followers ask it whether this is true.",
        }

    return _with_node(moved)


def _keys_known_as(options: argparse.Namespace) -> Answer:
    async def known(node: Node) -> Answer:
        them = await _remote(node, options.actor)
        async with node.database.begin() as session:
            await say_alias(session, node.settings.main_actor, them.id, "also-known-as", now=node.clock.now())
        return {"actor": node.settings.main_actor, "also known as": them.id}

    return _with_node(known)


def _peers_list(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            found = await follows.followed_by(session, node.settings.main_actor)
        return [{"actor": actor.id, "name": actor.name, "state": follow.state} for follow, actor in found]

    return _with_node(listed)


def _peers_follow(options: argparse.Namespace) -> Answer:
    async def followed(node: Node) -> Answer:
        them = await _remote(node, options.actor)
        async with node.database.begin() as session:
            follow = await follows.follow(
                session, node.settings, node.keyring, us=_main(node), them=them, now=node.clock.now()
            )
        await node.bell.ring()
        return {"actor": them.id, "name": them.name, "state": follow.state}

    return _with_node(followed)


def _peers_unfollow(options: argparse.Namespace) -> Answer:
    async def left(node: Node) -> Answer:
        them = await _remote(node, options.actor)
        async with node.database.begin() as session:
            gone = await follows.unfollow(
                session, node.settings, node.keyring, us=_main(node), them=them, now=node.clock.now()
            )
        if not gone:
            raise NotFound(f"{them.id} is not followed")
        await node.bell.ring()
        return {"actor": them.id, "state": "undone"}

    return _with_node(left)


def _peers_decide(options: argparse.Namespace) -> Answer:
    async def decided(node: Node) -> Answer:
        async with node.database.begin() as session:
            host = await hosts.decide(
                session, options.host, options.policy, reason=options.reason, now=node.clock.now()
            )
        return {"host": host.name, "policy": host.policy}

    return _with_node(decided)


def _peers_reports(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            return [
                {
                    "id": one.id,
                    "by": one.reporter,
                    "on": one.received_at.date().isoformat(),
                    "objects": one.objects,
                    "text": one.text,
                }
                for one in await reports.open_reports(session)
            ]

    return _with_node(listed)


def _peers_close_report(options: argparse.Namespace) -> Answer:
    async def closed(node: Node) -> Answer:
        async with node.database.begin() as session:
            report = await reports.close_report(session, options.report, now=node.clock.now())
        return {"id": report.id, "state": "closed"}

    return _with_node(closed)


def _peers_report(options: argparse.Namespace) -> Answer:
    async def reported(node: Node) -> Answer:
        them = await _remote(node, options.actor)
        async with node.database.begin() as session:
            sent = await reports.send_report(
                session,
                node.settings,
                node.keyring,
                them=them,
                objects=options.object,
                text=options.text,
                now=node.clock.now(),
            )
        await node.bell.ring()
        return {"actor": them.id, "activity": sent.id}

    return _with_node(reported)


def _peers_hosts(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            found = await hosts.decisions(session)
            lists = await blocklists.subscriptions(session)
        return [
            *({"host": host.name, "policy": host.policy, "reason": host.reason} for host in found),
            *(
                {"list": one.url, "read": str(one.read_at or "never"), "trouble": one.trouble}
                for one in lists
            ),
        ]

    return _with_node(listed)


def _peers_export(options: argparse.Namespace) -> Answer:
    async def exported(node: Node) -> Answer:
        async with node.database.read() as session:
            content = await blocklists.export_csv(session)
        options.file.write_text(content, "utf-8")
        return {"file": str(options.file), "hosts": content.count("\n") - 1}

    return _with_node(exported)


def _peers_import(options: argparse.Namespace) -> Answer:
    content = options.file.read_text("utf-8")

    async def imported(node: Node) -> Answer:
        async with node.database.begin() as session:
            done = await blocklists.import_csv(session, content, now=node.clock.now())
        return {"added": done.added, "kept": done.kept, "skipped": done.skipped}

    return _with_node(imported)


def _peers_subscribe(options: argparse.Namespace) -> Answer:
    async def subscribed(node: Node) -> Answer:
        named = await blocklists.subscribe(node, options.url)
        return {"list": options.url, "hosts": named}

    return _with_node(subscribed)


def _peers_unsubscribe(options: argparse.Namespace) -> Answer:
    async def unsubscribed(node: Node) -> Answer:
        async with node.database.begin() as session:
            await blocklists.unsubscribe(session, options.url)
        return {"list": options.url, "state": "undone"}

    return _with_node(unsubscribed)


def _audit_verify(_options: argparse.Namespace) -> Answer:
    async def verified(node: Node) -> Answer:
        async with node.database.read() as session:
            head = await audit.verify(session)
        return {"ok": True, "entries": head.seq, "head": head.hash}

    return _with_node(verified)


def _open(options: argparse.Namespace) -> Answer:
    identity = next(
        (
            line
            for line in options.identity.read_text("utf-8").split()
            if line.startswith("AGE-SECRET-KEY-PQ-1")
        ),
        None,
    )
    if identity is None:
        raise Invalid(f"{options.identity} holds no AGE-SECRET-KEY-PQ-1… line")
    return read_opened(options.file.read_bytes(), identity)


def _seal(options: argparse.Namespace) -> Answer:
    now = datetime.now(UTC)
    body = asyncio.run(_manifest(options.manifest))
    try:
        named = named_in(body)
        root = options.root or _trusted(named.root, named.organisation)
        manifest = verify_manifest(body, node=named.node, root=root, now=now)
    except SealingError as error:
        raise Invalid(f"the list of keys cannot be believed: {error}") from error
    try:
        given = json.loads(options.answers.read_bytes()) if options.answers else _asked()
    except ValueError as error:
        raise Invalid(f"{options.answers} is not JSON") from error
    if not isinstance(given, dict):
        raise Invalid("the answers are one JSON object: question → answer")
    receipt = new_receipt()
    try:
        size = pack(
            manifest,
            read_answers(given),
            options.attach,
            receipt,
            day=now.date(),
            language=options.language,
            out=options.out,
        )
    except Invalid as error:
        said = "; ".join(f"{key}: {why}" for key, why in error.problems.items())
        raise Invalid(said or str(error)) from error
    return {
        "file": str(options.out),
        "bytes": size,
        "words": str(receipt),
        "digits": digits_of(entropy_of(receipt)),
        "next": f"Write the twelve words down; nobody can give them again. Then hand the file in at "
        f"{named.node}/alert/sealed before {named.not_after:%Y-%m-%d}.",
    }


async def _manifest(place: str) -> bytes:
    if not place.startswith(("https://", "http://")):
        return await asyncio.to_thread(Path(place).read_bytes)
    async with open_client(allow_loopback=place.startswith("http://")) as http:
        url = place if MANIFEST_PATH in place else f"{place.rstrip('/')}{MANIFEST_PATH}"
        answer = await exchange(http, "GET", url, max_body_bytes=MAX_MANIFEST_BYTES)
    if answer.status != 200:
        raise NodeError(f"{url} answered {answer.status}: no list of keys is to be had there now")
    return answer.body


def _trusted(root: str, organisation: str) -> str:
    if not sys.stdin.isatty():
        raise Invalid(f"give the organisation's root key with --root; this list is signed by {root}")
    print(f"This list of keys says it is of {organisation}, and is signed by\n\n    {root}\n")
    print("Compare this key with the one the organisation publishes elsewhere.")
    if input("Is it the same? Type yes: ").strip().lower() != "yes":
        raise Invalid("nothing was sealed")
    return root


def _asked() -> dict[str, object]:
    if not sys.stdin.isatty():
        raise Invalid("give the answers with --answers FILE")
    print("Three questions need an answer. An empty line leaves a question open.")
    asked = {
        "kind": "What is it about? (violation, civic-space-restriction, good-practice, positive-story)",
        "state": "In which State? (two letters)",
        "summary": "What happened?",
        "confidential_account": "What should only the checkers know?",
        "sender_contact_name": "Your name, if you want to give it",
    }
    answers = {key: input(f"{question}\n> ").strip() for key, question in asked.items()}
    return {key: answer for key, answer in answers.items() if answer}


# ---- the way in ----------------------------------------------------------------------------------------------------


def _with_node(use: Callable[[Node], Awaitable[Answer]], settings: Settings | None = None) -> Answer:
    async def run() -> Answer:
        async with opened(settings or _settings()) as node:
            return await use(node)

    return asyncio.run(run())


async def _remote(node: Node, text: str) -> RemoteActor:
    if text.startswith(("https://", "http://")):
        return await find_actor(node, text, invited=True)
    return await find_by_handle(node, text)


def _main(node: Node) -> LocalActor:
    found = local_actor_at(node.settings, node.settings.main_actor)
    if found is None:
        raise Misconfigured("the main actor is missing")
    return found


def _cell(value: object) -> str:
    """A value in a line for people."""
    if isinstance(value, bool):
        return "ok" if value else "MEND"
    return f"{value:<20}" if isinstance(value, str) and len(value) < 20 else str(value)


def _print(answer: dict[str, Any] | list[Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    rows = answer if isinstance(answer, list) else [answer]
    for row in rows:
        for key, value in row.items() if isinstance(row, dict) else [("", row)]:
            if isinstance(value, list) and value and isinstance(value[0], dict):
                for one in value:
                    print("  ".join(_cell(cell) for cell in one.values()))
            else:
                print(f"{key:12} {_cell(value)}" if key else value)
        if len(rows) > 1:
            print()
