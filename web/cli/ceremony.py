"""`tracker keys root …` and `tracker keys recovery …`: what is done with keys that are not kept on a server.

Some of these run on a machine without a network, and read no settings and no database there.
"""

import argparse
import base64
import getpass
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from node.casework.access import export_for_recovery, take_recovered
from node.errors import Invalid, Misconfigured, NotFound
from node.intake.offline import list_to_sign, read_to_sign, sign_list, take_signed
from node.intake.recovery import RecoveryKey, add_recovery
from node.runtime import Node
from node.sealing.errors import SealingError
from node.sealing.recovering import fingerprint, make_recovery, recovery_identity, rewrap
from node.sealing.shares import read_share
from node.staff.accounts import Staff, active_staff, fold
from web.cli.frame import Answer, Verb, read_root, with_node
from web.pages.sending import terms_now

EXPORT = "social-rights-tracker/wraps-for-recovery/v1"
RECOVERED = "social-rights-tracker/wraps-recovered/v1"


def add_verbs(verb: Verb, keys: Any) -> None:
    """Add the commands below `tracker keys`."""
    root = keys.add_parser(
        "root", help="The organisation root, and lists of keys signed offline."
    ).add_subparsers(metavar="COMMAND", required=True)
    exporting = verb("export", "Write the list of keys that is to be signed into a file.", _export, root)
    exporting.add_argument("file", type=Path)
    removing = verb("remove", "Move the root's private key away from this server.", _remove, root)
    removing.add_argument("copy", type=Path, help="where to, such as a stick that leaves with you")
    signing = verb(
        "sign", "Sign a list of keys, on the machine where the root is kept. Needs no server.", _sign, root
    )
    signing.add_argument("file", type=Path)
    signing.add_argument("--key", type=Path, required=True, metavar="root.pem")
    signing.add_argument("--out", type=Path, help="default: the file's name with .signed")
    signing.add_argument("--yes", action="store_true", help="the people named were compared")
    importing = verb("import", "Take in a signed list of keys, and serve it.", _import, root)
    importing.add_argument("file", type=Path)

    recovery = keys.add_parser(
        "recovery", help="The organisation's recovery key, which is on paper only."
    ).add_subparsers(metavar="COMMAND", required=True)
    making = verb("make", "Make a recovery key and print it in shares, once.", _make, recovery)
    making.add_argument("--shares", default="2-of-3", choices=["2-of-3", "3-of-5"])
    making.add_argument("--replace", action="store_true", help="retire the present one")
    giving = verb(
        "export", "Write what the recovery key can open into a file, for a new member.", _give, recovery
    )
    giving.add_argument("file", type=Path)
    giving.add_argument("--for", dest="name", required=True, metavar="NAME", help="who is to be given access")
    using = verb(
        "use",
        "Put shares together and seal what was exported to the new member. Needs no server.",
        _use,
        recovery,
    )
    using.add_argument("file", type=Path)
    using.add_argument(
        "--share", type=Path, action="append", default=[], help="a file with a share; else asked for"
    )
    using.add_argument("--out", type=Path, help="default: the file's name with .recovered")
    using.add_argument("--yes", action="store_true", help="the new member's eight words were compared")
    taking = verb("import", "Take in what the recovery key sealed to the new member.", _take, recovery)
    taking.add_argument("file", type=Path)


# ---- the organisation root -----------------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> Answer:
    async def export(node: Node) -> Answer:
        root = node.keyring.root_id
        if root is None:
            raise Misconfigured("nothing is known of the organisation root; bring keys/root.pub back")
        async with node.database.read() as session:
            data = await list_to_sign(
                session, await terms_now(session, node), root=root, now=node.clock.now()
            )
        options.file.write_bytes(data)
        return {
            "file": str(options.file),
            "next": f"Carry it to the machine with the root: tracker keys root sign {options.file.name} --key root.pem",
        }

    return with_node(export)


def _remove(options: argparse.Namespace) -> Answer:
    async def remove(node: Node) -> Answer:
        node.keyring.take_root_away(node.settings, options.copy)
        return {
            "root": node.keyring.root_id,
            "copy": str(options.copy),
            "next": "Start the server anew. It serves the last signed list until that runs out, in three weeks at most: "
            "sign the next one before (`tracker doctor` says when). Take the key out of backups of this server too.",
        }

    return with_node(remove)


def _sign(options: argparse.Namespace) -> Answer:
    waiting = read_to_sign(options.file.read_bytes())
    people = [
        f"{one['id']}: {fingerprint(age=one['age'], ed25519=one['ed25519'])}"
        for one in waiting.body["handlers"]
    ]
    if not options.yes:
        _agree(
            "This list lets these people open what sources send:",
            people,
            "Did you compare the words with them?",
        )
    signer = read_root(options.key)
    signed = sign_list(waiting, signer.signer(signer.public.multibase), now=datetime.now(UTC))
    out = options.out or options.file.with_suffix(options.file.suffix + ".signed")
    out.write_bytes(signed)
    return {
        "file": str(out),
        "epoch": waiting.body["epoch"],
        "until": waiting.body["not_after"],
        "people": people,
        "next": f"Carry it back to the server: tracker keys root import {out.name}",
    }


def _import(options: argparse.Namespace) -> Answer:
    async def take(node: Node) -> Answer:
        root = node.keyring.root_id
        if root is None:
            raise Misconfigured("nothing is known of the organisation root; bring keys/root.pub back")
        body = options.file.read_bytes()
        async with node.database.begin() as session:
            terms = await terms_now(session, node)
            row = await take_signed(session, body, terms, root=root, now=node.clock.now())
        return {"ok": True, "epoch": row.epoch, "until": row.not_after.date().isoformat()}

    return with_node(take)


# ---- the organisation's recovery key -------------------------------------------------------------------------------


def _make(options: argparse.Namespace) -> Answer:
    needed, _, total = options.shares.partition("-of-")

    async def make(node: Node) -> Answer:
        made = make_recovery(needed=int(needed), total=int(total))
        async with node.database.begin() as session:
            await add_recovery(
                session, made.recipient, shares=options.shares, replace=options.replace, now=node.clock.now()
            )
        return {
            **{f"share {share.number}": str(share) for share in made.shares},
            "next": f"Write each share on paper of its own and give it to another person; any {needed} of them open what "
            "is sealed from now on. They are not shown again and are kept nowhere. What came before is not sealed to it.",
        }

    return with_node(make)


def _give(options: argparse.Namespace) -> Answer:
    async def export(node: Node) -> Answer:
        async with node.database.read() as session:
            person = await _person(session, options.name)
            recipients = list(await session.scalars(select(RecoveryKey.recipient)))
            wraps = await export_for_recovery(session)
        document = {
            "what": EXPORT,
            "node": node.settings.origin,
            "recovery": recipients,
            "for": {"id": person.id, "name": person.name, "age": person.age, "ed25519": person.ed25519},
            "wraps": [_entry(one.of, one.compartment, one.epoch, one.sealed) for one in wraps],
        }
        options.file.write_text(json.dumps(document, indent=1), "utf-8")
        return {
            "file": str(options.file),
            "keys": len(wraps),
            "words": fingerprint(age=person.age, ed25519=person.ed25519),
            "next": f"Carry it to a machine without a network: tracker keys recovery use {options.file.name}",
        }

    return with_node(export)


def _use(options: argparse.Namespace) -> Answer:
    document = _document(options.file, EXPORT)
    person = document["for"]
    words = fingerprint(age=person["age"], ed25519=person["ed25519"])
    if not options.yes:
        _agree(
            f"What is recovered will be sealed to {person['name']}:",
            [words],
            "Did they read these words to you?",
        )
    texts = [path.read_text("utf-8") for path in options.share] or _asked_shares()
    try:
        identity = recovery_identity([read_share(text) for text in texts], document["recovery"])
    except SealingError as error:
        raise Invalid(str(error)) from error
    recovered, closed = [], 0
    for one in document["wraps"]:
        try:
            sealed = rewrap(base64.b64decode(one["sealed"]), identity, person["age"])
        except SealingError:
            # Sealed to an earlier recovery key, or not what it should be: named in the count, never passed on.
            closed += 1
            continue
        recovered.append(_entry(one["of"], one["compartment"], one["epoch"], sealed))
    out = options.out or options.file.with_suffix(options.file.suffix + ".recovered")
    out.write_text(
        json.dumps({"what": RECOVERED, "for": person["id"], "wraps": recovered}, indent=1), "utf-8"
    )
    return {
        "file": str(out),
        "recovered": len(recovered),
        "not opened": closed,
        "next": f"Carry it back to the server: tracker keys recovery import {out.name}. Then destroy this file and the "
        "exported one, and bring the shares back to where they were.",
    }


def _take(options: argparse.Namespace) -> Answer:
    document = _document(options.file, RECOVERED)

    async def take(node: Node) -> Answer:
        wraps = [
            (str(one["of"]), str(one["compartment"]), int(one["epoch"]), base64.b64decode(one["sealed"]))
            for one in document["wraps"]
        ]
        async with node.database.begin() as session:
            person = await session.get(Staff, str(document["for"]))
            if person is None or not person.is_active:
                raise NotFound("the member these keys are for has no account any more")
            count = await take_recovered(session, wraps, holder=person, now=node.clock.now())
        return {"ok": True, "for": person.name, "keys": count}

    return with_node(take)


# ---- private -------------------------------------------------------------------------------------------------------


async def _person(session: Any, name: str) -> Staff:
    for one in await active_staff(session):
        if one.login == fold(name) and one.is_handler:
            return one
    raise NotFound(
        f"nobody called {name} reads alerts here; `tracker staff invite --role intake` makes a link"
    )


def _entry(of: str, compartment: str, epoch: int, sealed: bytes) -> dict[str, Any]:
    return {"of": of, "compartment": compartment, "epoch": epoch, "sealed": base64.b64encode(sealed).decode()}


def _document(path: Path, what: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise Invalid(f"{path} is not such a file") from error
    if not isinstance(document, dict) or document.get("what") != what:
        raise Invalid(f"{path} is not such a file")
    return document


def _agree(says: str, lines: list[str], question: str) -> None:
    if not sys.stdin.isatty():
        raise Invalid("compare the words with the people first, then say so with --yes")
    print(says, *lines, sep="\n    ")
    if input(f"{question} Type yes: ").strip().lower() != "yes":
        raise Invalid("nothing was done")


def _asked_shares() -> list[str]:
    if not sys.stdin.isatty():
        raise Invalid("give each share in a file with --share")
    shares: list[str] = []
    while True:
        # Not echoed: a share must not stay in the scrollback of a terminal.
        text = getpass.getpass(f"Share {len(shares) + 1} (empty when all were given): ")
        if not text.strip():
            return shares
        try:
            read_share(text)
        except SealingError as error:
            print(f"Not taken: {error}. Once more, please.")
            continue
        shares.append(text)
