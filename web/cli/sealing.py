"""`tracker seal` and `tracker open`: sealed files on a machine of one's own, without a server."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from federation.client import exchange, open_client
from node.errors import Invalid, NodeError
from node.intake.answers import read_answers
from node.intake.packing import pack
from node.sealing.errors import SealingError
from node.sealing.manifest import named_in, verify_manifest
from node.sealing.objects import read_opened
from node.sealing.receipts import digits_of, entropy_of, new_receipt
from vocab.sourceform import Purpose, bundled
from web.cli.frame import Answer, Verb

MANIFEST_PATH = "/.well-known/social-rights-tracker/intake"
MAX_MANIFEST_BYTES = 256 * 1024


def add_verbs(verb: Verb) -> None:
    """The commands."""
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
    sealing.add_argument("--urgent", action="store_true", help="the short form, for what cannot wait")
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
        given = (
            json.loads(options.answers.read_bytes())
            if options.answers
            else _asked(ASKED_URGENTLY if options.urgent else ASKED)
        )
    except ValueError as error:
        raise Invalid(f"{options.answers} is not JSON") from error
    if not isinstance(given, dict):
        raise Invalid("the answers are one JSON object: question → answer")
    receipt = new_receipt()
    source = bundled(Purpose.URGENT) if options.urgent else None
    try:
        size = pack(
            manifest,
            read_answers(given, source),
            options.attach,
            receipt,
            day=now.date(),
            language=options.language,
            out=options.out,
            form=source.sha256 if source else None,
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


ASKED = {
    "kind": "What is it about? (violation, civic-space-restriction, good-practice, positive-story)",
    "state": "In which State? (two letters)",
    "summary": "What happened?",
    "confidential_account": "What should only the checkers know?",
    "sender_contact_name": "Your name, if you want to give it",
}
ASKED_URGENTLY = {
    "urgency": "How fast must something happen? (imminent: within two days, high: within two weeks, normal)",
    "summary": "What is happening?",
    "own_request": "What do you ask for?",
    "risk_notes": "What must not be done?",
    "state": "In which State? (two letters)",
    "sender_contact_name": "Your name, if you want to give it",
}


def _asked(questions: Mapping[str, str]) -> dict[str, object]:
    if not sys.stdin.isatty():
        raise Invalid("give the answers with --answers FILE")
    print("The first questions need an answer. An empty line leaves a question open.")
    answers = {key: input(f"{question}\n> ").strip() for key, question in questions.items()}
    return {key: answer for key, answer in answers.items() if answer}
