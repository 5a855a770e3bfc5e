"""The people around a case: who alerts are sealed to now, and what happens to the keys of somebody who leaves."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from node.casework.rotation import ask_for_new_keys
from node.intake.alerts import Wrap
from node.intake.manifest import Handler, Terms
from node.intake.recovery import recovery_recipient
from node.settings import Settings
from node.staff.accounts import Staff, active_staff, close_account
from node.staff.entrance import end_sessions
from node.staff.permissions import Action, require


async def intake_terms(
    session: AsyncSession,
    settings: Settings,
    *,
    bundle_sha256: str | None = None,
    recovery: str | None = None,
) -> Terms:
    """What the intake manifest says now: everybody active who reads alerts, and the organisation's recovery key."""
    return Terms(
        node=settings.origin,
        organisation=settings.organisation,
        handlers=tuple(
            Handler(id=one.id, age=one.age, ed25519=one.ed25519, custodian=one.is_custodian)
            for one in await active_staff(session)
            if one.is_handler
        ),
        recovery=recovery or await recovery_recipient(session),
        bundle_sha256=bundle_sha256,
    )


async def deactivate(session: AsyncSession, staff_id: str, *, by: Staff | None, now: datetime) -> Staff:
    """Close an account and forget every key that was wrapped for it.

    What the person could read before must be taken for known; what comes after is not sealed to them: the next intake
    manifest leaves them out, and those who remain are asked to make new keys for what is still open.
    Raises NotAllowed, NotFound, WrongState.
    """
    if by is not None:
        require(by.roles, Action.MANAGE_STAFF)
    await ask_for_new_keys(session, staff_id, now=now)
    await session.execute(delete(Wrap).where(Wrap.holder == staff_id))
    staff = await close_account(session, staff_id, by=by, now=now)
    await end_sessions(session, staff_id)
    return staff
