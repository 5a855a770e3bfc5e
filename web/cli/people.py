"""`tracker staff` and `tracker keys`: people of the organisation, and the keys of its server."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node.errors import Invalid
from node.keyring import Keyring, as_prover
from node.peers import changing
from node.peers.directory import find_remote
from node.peers.ours import say_alias
from node.runtime import Node
from node.staff.accounts import active_staff, invite
from node.staff.permissions import Role
from web.cli.frame import Answer, Verb, read_root, read_settings, with_node


def add_verbs(verb: Verb, verbs: Any) -> Any:
    """The commands; returns the group of `keys`. Any: argparse keeps the type of sub-parsers to itself."""
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
    replacing = verb(
        "replace-lost",
        "Make new federation keys where the old are lost or stolen; what they proved until then holds.",
        _keys_replace,
        keys,
    )
    replacing.add_argument(
        "--since", metavar="WHEN", help="when they were lost, such as 2027-03-01T12:00Z (default: now)"
    )
    replacing.add_argument("--stolen", action="store_true", help="they are still here, but not only here")
    replacing.add_argument(
        "--root", type=Path, metavar="root.pem", help="the organisation root, where it is kept offline"
    )
    moving = verb(
        "announce-move", "Tell followers that this server's actor lives elsewhere now.", _keys_move, keys
    )
    moving.add_argument("actor", help="the new actor's address; it must name this one as an earlier one")
    known = verb("also-known-as", "Say that this server's actor was another before.", _keys_known_as, keys)
    known.add_argument("actor", help="the old actor's address")
    return keys


def _staff_list(_options: argparse.Namespace) -> Answer:
    async def listed(node: Node) -> Answer:
        async with node.database.read() as session:
            return [
                {"id": person.id, "name": person.name, "roles": list(person.roles)}
                for person in await active_staff(session)
            ]

    return with_node(listed)


def _staff_invite(options: argparse.Namespace) -> Answer:
    async def invited(node: Node) -> Answer:
        async with node.database.begin() as session:
            token = await invite(session, roles=options.role, by=None, now=node.clock.now())
        return {"link": f"{node.settings.origin}/desk/welcome#{token}"}

    return with_node(invited)


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

    return with_node(shown)


def _keys_rotate(_options: argparse.Namespace) -> Answer:
    async def rotated(node: Node) -> Answer:
        renewed = await changing.rotate_keys(node)
        rsa, ed25519 = renewed.public_keys(node.settings.main_actor)
        return {
            "rsa": rsa.key_id,
            "ed25519": ed25519.key_id,
            "next": "A running server and its workers take them up within seconds. "
            f"Back up {node.settings.data / 'keys'} again.",
        }

    return with_node(rotated)


def _keys_replace(options: argparse.Namespace) -> Answer:
    settings, now = read_settings(), datetime.now(UTC)
    root = read_root(options.root) if options.root else None
    Keyring.replace_lost(
        settings, since=_moment(options.since) or now, now=now, stolen=options.stolen, root=root
    )

    async def told(node: Node) -> Answer:
        is_signed = await changing.tell_of_loss(node, root=as_prover(root) if root else None)
        rsa, ed25519 = node.keyring.public_keys(node.settings.main_actor)
        lost = node.keyring.former_keys(node.settings.main_actor)[0]
        return {
            "rsa": rsa.key_id,
            "ed25519": ed25519.key_id,
            "lost": {"id": lost.key_id, "since": lost.retired_at.isoformat()},
            "statement": f"{node.settings.origin}{changing.STATEMENT}" if is_signed else None,
            "next": "Say so publicly, too"
            + ("" if is_signed else ": no organisation root was at hand to sign it")
            + f". Then back up {node.settings.data / 'keys'} again.",
        }

    return with_node(told, settings)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{text} is no moment: write it like 2027-03-01T12:00Z") from error
    if moment.tzinfo is None:
        raise Invalid(f"{text} could mean any of 26 hours: end it with Z or a zone")
    return moment.astimezone(UTC)


def _keys_move(options: argparse.Namespace) -> Answer:
    async def moved(node: Node) -> Answer:
        await changing.announce_move(node, options.actor)
        return {
            "moved": options.actor,
            "next": "Keep this server running: what it published stays here, and followers ask it whether this is true.",
        }

    return with_node(moved)


def _keys_known_as(options: argparse.Namespace) -> Answer:
    async def known(node: Node) -> Answer:
        them = await find_remote(node, options.actor)
        async with node.database.begin() as session:
            await say_alias(session, node.settings.main_actor, them.id, "also-known-as", now=node.clock.now())
        return {"actor": node.settings.main_actor, "also known as": them.id}

    return with_node(known)
