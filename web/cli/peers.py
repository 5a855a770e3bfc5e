"""`tracker peers` and `tracker members`: whom we follow, what we hold against hosts, and what was reported."""

import argparse
from pathlib import Path
from typing import Any

from node.effects.proving import RefusedActivity
from node.effects.taking import fetch_case
from node.errors import Invalid, NotFound
from node.hub import quarantine
from node.peers import blocklists, follows, hosts, reports
from node.peers.directory import find_remote
from node.runtime import Node
from node.staff.accounts import NODE
from vocab.errors import VocabError
from web.cli.frame import Answer, Verb, main_actor, with_node


def add_verbs(verb: Verb, verbs: Any) -> None:
    """The commands. Any: argparse keeps the type of sub-parsers to itself."""
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
        if name == "members":
            verb("waiting", "List cases that are kept out, and why.", _members_waiting, group)
            letting = verb(
                "let-in",
                "Take in a case that waits, as its own address shows it now.",
                _members_let_in,
                group,
            )
            letting.add_argument("case", help="its address")
            refusing = verb("turn-away", "Forget a case that waits.", _members_turn_away, group)
            refusing.add_argument("case", help="its address")
        for decision, policy, sentence in (
            ("block", "block", "Take nothing from a host and all below it, and send it nothing."),
            ("limit", "limit", "Let a host follow, but add nothing here: no replies, no likes, no cases."),
            ("allow", "allow", "Let a host write, whatever a list advises and where only members may."),
            ("trim", None, "Let a host do what others may, but for its media or its reports."),
            ("unblock", None, "Lift what was decided about a host."),
        ):
            deciding = verb(decision, sentence, _peers_trim if decision == "trim" else _peers_decide, group)
            deciding.add_argument("host")
            deciding.add_argument(
                "--reason",
                default="",
                help="why; shown to administrators, and on a hub to everybody: it publishes what it blocks and limits",
            )
            deciding.set_defaults(policy=policy, no_media=False, no_reports=False)
            if decision in ("limit", "allow", "trim"):
                deciding.add_argument(
                    "--no-media", action="store_true", help="show no pictures and files of it"
                )
                deciding.add_argument("--no-reports", action="store_true", help="take no reports of it")
    verb("reports", "List what others have reported to us.", _peers_reports, group)
    closing = verb("close-report", "Say that a report has been looked at.", _peers_close_report, group)
    closing.add_argument("report")
    closing.add_argument("--note", default="", help="what came of it")
    reporting = verb(
        "report", "Report an actor to their own server; nobody here is named.", _peers_report, group
    )
    reporting.add_argument("actor")
    reporting.add_argument(
        "--object", action="append", default=[], help="address of something of theirs; may be repeated"
    )
    reporting.add_argument("--text", default="", help="what is wrong")
    verb("hosts", "List what was decided about hosts, and why.", _peers_hosts, group)
    exporting = verb("export", "Write decisions as Mastodon's domain_blocks.csv.", _peers_export, group)
    exporting.add_argument("file", type=Path)
    importing = verb(
        "import", "Take over the decisions of such a file; own ones stand.", _peers_import, group
    )
    importing.add_argument("file", type=Path)
    following = verb(
        "subscribe", "Follow a signed list of blocked hosts, read every day.", _peers_subscribe, group
    )
    following.add_argument("url", help="such as https://hub.example/actors/hub/blocklist")
    ending = verb("unsubscribe", "Follow such a list no more.", _peers_unsubscribe, group)
    ending.add_argument("url")


def _peers_list(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            found = await follows.followed_by(session, node.settings.main_actor)
        return [{"actor": actor.id, "name": actor.name, "state": follow.state} for follow, actor in found]

    return with_node(listed)


def _peers_follow(options: argparse.Namespace) -> Answer:
    async def followed(node: Node) -> Answer:
        them = await find_remote(node, options.actor)
        async with node.database.begin() as session:
            follow = await follows.follow(
                session, node.settings, node.keyring, us=main_actor(node), them=them, now=node.clock.now()
            )
        await node.bell.ring()
        return {"actor": them.id, "name": them.name, "state": follow.state}

    return with_node(followed)


def _peers_unfollow(options: argparse.Namespace) -> Answer:
    async def left(node: Node) -> Answer:
        them = await find_remote(node, options.actor)
        async with node.database.begin() as session:
            gone = await follows.unfollow(
                session, node.settings, node.keyring, us=main_actor(node), them=them, now=node.clock.now()
            )
        if not gone:
            raise NotFound(f"{them.id} is not followed")
        await node.bell.ring()
        return {"actor": them.id, "state": "undone"}

    return with_node(left)


def _members_waiting(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            found = await quarantine.waiting(session)
        return [
            {
                "case": one.id,
                "by": one.actor,
                "on": one.received_at.date().isoformat(),
                "reason": one.reason,
            }
            for one in found
        ]

    return with_node(listed)


def _members_let_in(options: argparse.Namespace) -> Answer:
    async def taken(node: Node) -> Answer:
        async with node.database.read() as session:
            case = await quarantine.waits(session, options.case)
        try:
            await fetch_case(node, case.id, invited=True)
        except (RefusedActivity, VocabError) as refusal:
            raise Invalid(f"{case.id} cannot be let in: {refusal}") from refusal
        return {"case": case.id, "state": "taken in"}

    return with_node(taken)


def _members_turn_away(options: argparse.Namespace) -> Answer:
    async def forgotten(node: Node) -> Answer:
        async with node.database.begin() as session:
            case = await quarantine.waits(session, options.case)
            await quarantine.let_go(session, case.id)
        return {"case": options.case, "state": "forgotten"}

    return with_node(forgotten)


def _peers_decide(options: argparse.Namespace) -> Answer:
    async def decided(node: Node) -> Answer:
        if options.policy or options.no_media or options.no_reports:
            hosts.other_host(node.settings, options.host)
        async with node.database.begin() as session:
            host = await hosts.decide(
                session,
                options.host,
                options.policy,
                reason=options.reason,
                now=node.clock.now(),
                no_media=options.no_media,
                no_reports=options.no_reports,
            )
        await node.bell.ring()
        return _decision(host)

    return with_node(decided)


def _peers_trim(options: argparse.Namespace) -> Answer:
    if not (options.no_media or options.no_reports):
        raise Invalid("say what is not taken: --no-media, --no-reports, or both")
    return _peers_decide(options)


def _decision(host: hosts.Host) -> dict[str, object]:
    return {
        "host": host.name,
        "policy": host.policy,
        "no_media": host.no_media,
        "no_reports": host.no_reports,
        "reason": host.reason,
    }


def _peers_reports(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            return [
                {
                    "id": one.id,
                    "by": one.reporter,
                    "on": one.received_at.date().isoformat(),
                    "objects": one.objects,
                    "may_name_more": one.may_name_more,
                    "text": one.text,
                }
                for one in await reports.open_reports(session)
            ]

    return with_node(listed)


def _peers_close_report(options: argparse.Namespace) -> Answer:
    async def closed(node: Node) -> Answer:
        async with node.database.begin() as session:
            report = await reports.close_report(
                session, options.report, options.note, by=NODE, now=node.clock.now()
            )
        return {"id": report.id, "state": "closed"}

    return with_node(closed)


def _peers_report(options: argparse.Namespace) -> Answer:
    async def reported(node: Node) -> Answer:
        them = await find_remote(node, options.actor)
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

    return with_node(reported)


def _peers_hosts(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            found = await hosts.decisions(session)
            lists = await blocklists.subscriptions(session)
        return [
            *(_decision(host) for host in found),
            *(
                {"list": one.url, "read": str(one.read_at or "never"), "trouble": one.trouble}
                for one in lists
            ),
        ]

    return with_node(listed)


def _peers_export(options: argparse.Namespace) -> Answer:
    async def exported(node: Node) -> Answer:
        async with node.database.read() as session:
            file = await blocklists.export_csv(session)
        options.file.write_text(file.content, "utf-8")
        return {"file": str(options.file), "hosts": file.hosts}

    return with_node(exported)


def _peers_import(options: argparse.Namespace) -> Answer:
    try:
        content = options.file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{options.file} is no text in UTF-8") from error

    async def imported(node: Node) -> Answer:
        async with node.database.begin() as session:
            done = await blocklists.import_csv(session, node.settings, content, now=node.clock.now())
        return {"added": done.added, "kept": done.kept, "skipped": done.skipped}

    return with_node(imported)


def _peers_subscribe(options: argparse.Namespace) -> Answer:
    async def subscribed(node: Node) -> Answer:
        named = await blocklists.subscribe(node, options.url)
        return {"list": options.url, "hosts": named}

    return with_node(subscribed)


def _peers_unsubscribe(options: argparse.Namespace) -> Answer:
    async def unsubscribed(node: Node) -> Answer:
        async with node.database.begin() as session:
            await blocklists.unsubscribe(session, options.url, now=node.clock.now())
        return {"list": options.url, "state": "undone"}

    return with_node(unsubscribed)
