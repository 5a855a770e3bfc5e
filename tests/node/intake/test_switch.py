"""The switch of the door: closed by hand, no alert is taken; mailboxes and what is there stay; opened, it is as before."""

from datetime import datetime

import pytest

from node import audit
from node.errors import Invalid, NotFound
from node.intake import mailbox
from node.intake.manifest import DoorClosed, current_manifest
from node.intake.receive import receive_alert
from node.intake.switch import MAX_ELSEWHERE, close_intake, closure, open_intake
from node.staff.accounts import NODE
from tests.rig.alerts import Door, a_recipient, an_alert, mailbox_token, sealed_to
from tests.rig.keys import keyring

ELSEWHERE = "Call the network's office (fictional)."


async def test_a_door_that_is_closed_by_hand_takes_nothing_and_hands_out_no_keys(
    door: Door, now: datetime
) -> None:
    async with door.database.begin() as session:
        await close_intake(session, f"  {ELSEWHERE}\r\n", by=NODE, now=now)

    async with door.database.begin() as session:
        with pytest.raises(DoorClosed):
            await current_manifest(session, door.terms, root=keyring("a").root(), now=now)
        with pytest.raises(DoorClosed):
            await receive_alert(session, an_alert(door.manifest), door.terms, now=now)
        shut = await closure(session)
    assert shut is not None
    assert shut.elsewhere == ELSEWHERE


async def test_who_has_written_reads_on_and_answers_while_the_door_is_closed(
    door: Door, now: datetime
) -> None:
    async with door.database.begin() as session:
        await receive_alert(session, an_alert(door.manifest), door.terms, now=now)
        await close_intake(session, "", by=NODE, now=now)

    async with door.database.begin() as session:
        message = sealed_to(a_recipient("dialogue one"), {"text": "fictional"})
        await mailbox.answer(session, mailbox_token(), seq=2, sealed=message, now=now)

        assert len((await mailbox.open_mailbox(session, mailbox_token())).objects) == 3


async def test_opened_again_it_takes_alerts_and_both_moves_stand_in_the_record(
    door: Door, now: datetime
) -> None:
    async with door.database.begin() as session:
        with pytest.raises(NotFound):
            await open_intake(session, by=NODE, now=now)
        await close_intake(session, "", by=NODE, now=now)
        await close_intake(session, ELSEWHERE, by=NODE, now=now)
        await open_intake(session, by=NODE, now=now)

        _, is_new = await receive_alert(session, an_alert(door.manifest), door.terms, now=now)
        said = [entry.action for entry in await audit.entries_of(session, "intake")]
    assert is_new
    assert said == ["intake.closed", "intake.closed", "intake.opened"]


async def test_what_is_told_has_a_length(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        with pytest.raises(Invalid):
            await close_intake(session, "x" * (MAX_ELSEWHERE + 1), by=NODE, now=now)
        assert await closure(session) is None
