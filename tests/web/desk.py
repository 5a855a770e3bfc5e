"""A colleague's hands at the desk without a browser: opens an alert with a test person's keys and asks a question."""

from datetime import UTC, datetime

from sqlalchemy import select

from node.intake.mailbox import ask, contents, find_alert
from node.sealing.alerts import OpenedAlert, compose_message, open_alert
from node.sealing.envelope import from_base64
from node.sealing.receipts import source_keys
from node.sealing.recipients import Identity
from node.sealing.signing import signing_key
from node.sealing.vault import HandlerKeys
from node.staff.accounts import Staff
from tests.rig.alerts import a_person
from tests.rig.keys import ed25519_seed
from tests.rig.processes import Served
from tests.rig.publications import behind
from web.pages.mailbox import sealed_parts


def keys_of(name: str) -> HandlerKeys:
    """The keys of a person made by `tests.rig.alerts.a_member`."""
    person = a_person(name)
    return HandlerKeys(
        Identity(person.identity), person.recipient, signing_key(ed25519_seed(f"person {name}"))
    )


async def read_alert(server: Served, words: str, name: str, *, question: str = "") -> OpenedAlert:
    """What that person reads in the alert with these words; with a question, it waits for the source afterwards."""
    keys = keys_of(name)
    async with behind(server) as node, node.database.begin() as session:
        token = bytes.fromhex(source_keys(words, server.origin).mailbox_token)
        alert = await find_alert(session, token)
        staff = (await session.scalars(select(Staff))).all()
        holder = next(one.id for one in staff if one.name == name)
        record = {
            "id": alert.id,
            "source": {"ed25519": alert.source_ed25519},
            "compartments": {"dialogue": alert.dialogue, "identity": alert.identity},
            **sealed_parts(await contents(session, alert, holder=holder)),
        }
        opened = open_alert(record, keys, node=server.origin, staff={one.ed25519 for one in staff})
        if question:
            now = datetime.now(UTC)
            message = compose_message(opened, question, by=keys.signing, day=now.date())
            await ask(session, alert, seq=opened.at.seq, sealed=from_base64(message["sealed"]), now=now)
    return opened
