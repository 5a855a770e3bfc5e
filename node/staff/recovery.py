"""The way back in with the twelve recovery words, when the passphrase is forgotten.

The words derive to a proof for the server and to the key of the vault's second copy; the proof alone opens nothing. With it a
browser fetches that copy, opens it, and hands in the same keys under a new passphrase. Nobody's history is lost by this.
An administrator's reset is something else: new keys, so what was sealed to the old ones stays closed until a colleague who can
open it gives access anew.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node import audit
from node.errors import Invalid
from node.staff.accounts import AUTH_BYTES, SALT_BYTES, Staff, auth_hash, fold, is_vault
from node.staff.entrance import NotSignedIn, end_sessions


class WrongRecoveryCode(NotSignedIn):
    """The name is unknown, its words are others, or it has none; which of them is not said."""

    public = "The name and the recovery words do not belong together."


@dataclass(frozen=True, slots=True)
class NewPassphrase:
    """The same keys under a new passphrase: a fresh salt, the proof that derives from it, the vault."""

    salt: bytes
    auth: bytes
    vault: bytes


async def recover(session: AsyncSession, *, name: str, proof: bytes, for_update: bool = False) -> Staff:
    """The account these recovery words belong to. The caller has counted the try.

    Raises WrongRecoveryCode, the same for a wrong proof, for an unknown name and for an account without words.
    """
    query = select(Staff).where(Staff.login == fold(name), Staff.is_active)
    staff = await session.scalar(query.with_for_update() if for_update else query)
    expected = None if staff is None else staff.recovery_auth_hash
    is_right = hmac.compare_digest(expected or auth_hash(b""), auth_hash(proof))
    if staff is None or expected is None or not is_right:
        raise WrongRecoveryCode("wrong name or recovery words")
    return staff


async def change_passphrase(
    session: AsyncSession, new: NewPassphrase, *, name: str, proof: bytes, now: datetime
) -> Staff:
    """Put a new passphrase in place of the forgotten one, and sign the account out everywhere.

    Raises WrongRecoveryCode, Invalid.
    """
    staff = await recover(session, name=name, proof=proof, for_update=True)
    if len(new.salt) != SALT_BYTES or len(new.auth) != AUTH_BYTES or not is_vault(new.vault):
        raise Invalid("salt, proof or vault", public="The new passphrase did not arrive whole. Try again.")
    staff.salt, staff.auth_hash, staff.vault = new.salt, auth_hash(new.auth), new.vault
    await end_sessions(session, staff.id)
    await audit.record(session, actor=staff.id, action="staff.recovered", subject=staff.id, now=now)
    return staff
