"""The people of the organisation: rows, invitation by a one-time link, enrolment, leaving.

Private keys never come here: a member's browser makes them and hands in two sealed vaults, which only the passphrase
(or the printed recovery words) opens. Signing in is `node.staff.entrance`.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Date, String, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.errors import InvalidKey
from federation.keys import Algorithm, read_multibase
from node import audit
from node.database import Row
from node.errors import Conflict, Invalid, NotFound, WrongState
from node.ids import random_id, random_token
from node.sealing import is_hybrid_recipient
from node.staff.permissions import HANDLERS, Action, Role, require

INVITATION_LASTS = timedelta(days=7)
SALT_BYTES = 16
AUTH_BYTES = 32
MAX_VAULT_BYTES = 64 * 1024
MIN_NAME, MAX_NAME = 2, 60
# Who acts when the server's own terminal does, as in `tracker init`.
NODE = "node"


class Staff(Row):
    """One person of the organisation. No address, no telephone number: the name may be a pseudonym."""

    __tablename__ = "staff"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    # The name folded, so that "Ana" and "ana" are one account.
    login: Mapped[str] = mapped_column(String(2 * MAX_NAME), unique=True)
    roles: Mapped[list[str]]
    salt: Mapped[bytes]
    auth_hash: Mapped[str] = mapped_column(String(64))
    vault: Mapped[bytes]
    recovery_vault: Mapped[bytes]
    # Of the proof that the recovery words derive to; None for accounts whose browser made none.
    recovery_auth_hash: Mapped[str | None] = mapped_column(String(64))
    age: Mapped[str] = mapped_column(String(2100), unique=True)
    ed25519: Mapped[str] = mapped_column(String(64), unique=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    joined_on: Mapped[date] = mapped_column(Date)

    @property
    def is_handler(self) -> bool:
        """Whether alerts are sealed to this person."""
        return self.is_active and not HANDLERS.isdisjoint(self.roles)

    @property
    def is_custodian(self) -> bool:
        """Whether this person keeps the identity compartment when custodians are named."""
        return self.is_handler and Role.CUSTODIAN in self.roles

    def leave(self) -> None:
        """Close the account. Raises WrongState when it is closed."""
        if not self.is_active:
            raise WrongState("the account is closed already", public="This account is closed already.")
        self.is_active = False
        # What they did keeps their name; whoever comes back with new keys may have it again.
        self.login = f"left/{self.id}"


class Invitation(Row):
    """A link that makes one account, once. Only the hash of its token is kept."""

    __tablename__ = "invitations"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    roles: Mapped[list[str]]
    invited_by: Mapped[str] = mapped_column(String(26))
    expires_at: Mapped[datetime]
    used: Mapped[bool] = mapped_column(default=False)

    def is_live(self, *, now: datetime) -> bool:
        """Whether it was not used yet and is not too old."""
        return not self.used and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What a new member's browser hands in.

    recovery_auth  proof of the recovery words; without it they open the vault's second copy, and no door.
    """

    name: str
    salt: bytes
    auth: bytes
    vault: bytes
    recovery_vault: bytes
    age: str
    ed25519: str
    recovery_auth: bytes | None = None

    def problems(self) -> dict[str, str]:
        """Field → sentence, empty when all holds."""
        found: dict[str, str] = {}
        name = self.name.strip()
        if not MIN_NAME <= len(name) <= MAX_NAME or not name.isprintable():
            found["name"] = f"A name has {MIN_NAME} to {MAX_NAME} characters."
        if len(self.salt) != SALT_BYTES:
            found["salt"] = f"The salt has {SALT_BYTES} bytes."
        if len(self.auth) != AUTH_BYTES:
            found["auth"] = f"The proof of the passphrase has {AUTH_BYTES} bytes."
        if self.recovery_auth is not None and len(self.recovery_auth) != AUTH_BYTES:
            found["recovery_auth"] = f"The proof of the recovery code has {AUTH_BYTES} bytes."
        for field, vault in (("vault", self.vault), ("recovery_vault", self.recovery_vault)):
            if not is_vault(vault):
                found[field] = "A vault is an age file of at most 64 KiB."
        # A classical recipient would undo the post-quantum sealing of every case this person is given.
        if not is_hybrid_recipient(self.age):
            found["age"] = "The recipient is not a hybrid one (age1pq…)."
        if not _is_ed25519(self.ed25519):
            found["ed25519"] = "The signing key is not an Ed25519 key (z6Mk…)."
        return found


async def invite(session: AsyncSession, *, roles: Iterable[str], by: Staff | None, now: datetime) -> str:
    """Make an invitation and return its token, which is shown once.

    by  the administrator who invites; None stands for the server's own terminal.
    Raises NotAllowed, Invalid.
    """
    if by is not None:
        require(by.roles, Action.MANAGE_STAFF)
    given = sorted(set(roles))
    if not given or not set(given) <= set(Role):
        raise Invalid("unknown roles", problems={"roles": "Choose at least one of the known roles."})
    token = random_token()
    inviter = NODE if by is None else by.id
    session.add(
        Invitation(
            token_hash=token_hash(token),
            roles=given,
            invited_by=inviter,
            expires_at=now + INVITATION_LASTS,
            used=False,
        )
    )
    await audit.record(session, actor=inviter, action="staff.invited", subject=",".join(given)[:64], now=now)
    return token


async def invite_first(session: AsyncSession, *, now: datetime) -> str:
    """The link for the first administrator, made at the server's own terminal. Raises WrongState when there is one."""
    if any(Role.ADMINISTRATOR in one.roles for one in await active_staff(session)):
        raise WrongState(
            "there is an administrator",
            public="There is an administrator already; `tracker staff invite` makes another link.",
        )
    return await invite_more(session, roles=[Role.ADMINISTRATOR], now=now)


async def invite_more(session: AsyncSession, *, roles: Iterable[str], now: datetime) -> str:
    """A link for one more person, made at the server's own terminal. Raises Invalid."""
    return await invite(session, roles=roles, by=None, now=now)


async def enrol(session: AsyncSession, enrolment: Enrolment, *, token: str, now: datetime) -> Staff:
    """Turn an invitation into an account.

    Raises NotFound (no such link, used or expired), Invalid, Conflict (the name or a key is taken).
    """
    invitation = await session.get(Invitation, token_hash(token), with_for_update=True)
    if invitation is None or not invitation.is_live(now=now):
        # Before anything else is looked at: a dead link must not serve to try out which names are taken.
        raise NotFound("no live invitation", public="This link was used, or is too old. Ask for a new one.")
    if problems := enrolment.problems():
        raise Invalid("the enrolment does not hold", problems=problems)
    name = enrolment.name.strip()
    login = fold(name)
    taken = await session.scalar(
        select(func.count())
        .select_from(Staff)
        .where((Staff.login == login) | (Staff.age == enrolment.age) | (Staff.ed25519 == enrolment.ed25519))
    )
    if taken:
        raise Conflict("name or key in use", public="This name or key is in use. Choose another.")
    invitation.used = True
    staff = Staff(
        id=random_id(),
        name=name,
        login=login,
        roles=list(invitation.roles),
        salt=enrolment.salt,
        auth_hash=auth_hash(enrolment.auth),
        vault=enrolment.vault,
        recovery_vault=enrolment.recovery_vault,
        recovery_auth_hash=None if enrolment.recovery_auth is None else auth_hash(enrolment.recovery_auth),
        age=enrolment.age,
        ed25519=enrolment.ed25519,
        is_active=True,
        joined_on=now.date(),
    )
    session.add(staff)
    await session.flush()
    await audit.record(session, actor=staff.id, action="staff.enrolled", subject=staff.id, now=now)
    return staff


async def active_staff(session: AsyncSession) -> list[Staff]:
    """Everybody who has an account, by name."""
    found = await session.scalars(select(Staff).where(Staff.is_active).order_by(Staff.login))
    return list(found)


async def former_staff(session: AsyncSession) -> list[Staff]:
    """Everybody who had an account once: what they signed then still holds."""
    found = await session.scalars(select(Staff).where(~Staff.is_active).order_by(Staff.name, Staff.id))
    return list(found)


async def names_of(session: AsyncSession, ids: Collection[str]) -> dict[str, str]:
    """Id → name, of people who left too: what they did keeps their name."""
    found = await session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(ids)))
    return {id_: name for id_, name in found}


async def close_account(session: AsyncSession, staff_id: str, *, by: Staff | None, now: datetime) -> Staff:
    """Close an account; its sessions end with the next request, because only active people are let in.

    Raises NotAllowed, NotFound, WrongState (closed already, or the last administrator).
    """
    if by is not None:
        require(by.roles, Action.MANAGE_STAFF)
    staff = await session.get(Staff, staff_id, with_for_update=True)
    if staff is None:
        raise NotFound("no such member of staff")
    others = [one for one in await active_staff(session) if one.id != staff.id]
    if Role.ADMINISTRATOR in staff.roles and not any(Role.ADMINISTRATOR in one.roles for one in others):
        raise WrongState(
            "the last administrator",
            public="This is the last administrator. Invite another one first.",
        )
    staff.leave()
    await audit.record(
        session, actor=NODE if by is None else by.id, action="staff.left", subject=staff.id, now=now
    )
    return staff


def fold(name: str) -> str:
    """The form of a name under which it is looked up."""
    return name.strip().casefold()[: 2 * MAX_NAME]


def token_hash(token: str) -> str:
    """What is kept of a link's or a session's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def auth_hash(auth: bytes) -> str:
    """What is kept of the proof of a passphrase, which is itself 256 bits out of Argon2id and HKDF."""
    return hashlib.sha256(auth).hexdigest()


def is_vault(vault: bytes) -> bool:
    """Whether this can be a vault, seen from outside."""
    return vault.startswith(b"age-encryption.org/v1\n") and len(vault) <= MAX_VAULT_BYTES


def _is_ed25519(key: str) -> bool:
    # One spelling only: the key id is compared as text.
    if not key.startswith("z6Mk"):
        return False
    try:
        return read_multibase(key).algorithm is Algorithm.ED25519
    except InvalidKey:
        return False
