"""The way back in with the recovery words, and who it is closed to."""

from datetime import datetime

import pytest
from sqlalchemy import select

from node import audit
from node.database import Database
from node.errors import Invalid
from node.staff.accounts import close_account, enrol, invite
from node.staff.entrance import StaffSession, WrongPassphrase, sign_in
from node.staff.recovery import NewPassphrase, WrongRecoveryCode, change_passphrase, recover
from tests.rig.alerts import a_member, a_person, an_enrolment, seeded

ANA = a_person("Ana")
NEW = NewPassphrase(seeded("new salt")[:16], seeded("new auth"), b"age-encryption.org/v1\nfictional")


@pytest.mark.parametrize(
    ("name", "proof"),
    [("Ana", b"wrong" * 8), ("Nobody", ANA.recovery_auth), ("Ana", ANA.auth), ("", b""), ("Boris", b"")],
)
async def test_wrong_words_and_an_unknown_name_are_the_same(
    database: Database, now: datetime, name: str, proof: bytes
) -> None:
    async with database.begin() as session:
        await a_member(session, "Ana")
        with pytest.raises(WrongRecoveryCode) as refused:
            await recover(session, name=name, proof=proof)

    assert str(refused.value) == "wrong name or recovery words"


async def test_an_account_without_words_has_no_such_door(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        token = await invite(session, roles=["intake"], by=None, now=now)
        await enrol(session, an_enrolment("Ana", recovery_auth=None), token=token, now=now)
        for proof in (b"", ANA.recovery_auth):
            with pytest.raises(WrongRecoveryCode):
                await recover(session, name="Ana", proof=proof)


async def test_a_closed_account_stays_closed(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        ana = await a_member(session, "Ana")
        await close_account(session, ana.id, by=None, now=now)
        with pytest.raises(WrongRecoveryCode):
            await recover(session, name="Ana", proof=ANA.recovery_auth)


@pytest.mark.parametrize(
    "new",
    [
        NewPassphrase(b"short", NEW.auth, NEW.vault),
        NewPassphrase(NEW.salt, b"short", NEW.vault),
        NewPassphrase(NEW.salt, NEW.auth, b"not sealed"),
    ],
)
async def test_what_is_not_a_vault_replaces_none(
    database: Database, now: datetime, new: NewPassphrase
) -> None:
    async with database.begin() as session:
        ana = await a_member(session, "Ana")
        kept = ana.vault
        with pytest.raises(Invalid):
            await change_passphrase(session, new, name="Ana", proof=ANA.recovery_auth, now=now)

        assert ana.vault == kept


async def test_a_new_passphrase_ends_every_session_and_the_old_one_opens_nothing(
    database: Database, now: datetime
) -> None:
    async with database.begin() as session:
        ana = await a_member(session, "Ana")
        await sign_in(session, name="Ana", auth=ANA.auth, now=now)

        await change_passphrase(session, NEW, name="Ana", proof=ANA.recovery_auth, now=now)

        assert (await session.scalars(select(StaffSession))).all() == []
        with pytest.raises(WrongPassphrase):
            await sign_in(session, name="Ana", auth=ANA.auth, now=now)
        staff, _ = await sign_in(session, name="Ana", auth=NEW.auth, now=now)
        actions = [entry.action for entry in await audit.entries_of(session, ana.id)]
    assert (staff.vault, staff.age) == (NEW.vault, ANA.recipient)
    assert "staff.recovered" in actions
