"""The desk's API for keys: who holds those of an alert or a case, giving them on, asking for them, making new ones.

Keys arrive as wraps that only their holder opens, each with its giver's signature; `node.casework.access` says who may.
"""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.casework import access, requests, rotation
from node.casework.cases import Case
from node.casework.triage import find_alert
from node.errors import NotFound
from node.intake.alerts import Compartment
from node.intake.receive import SealedWrap
from node.runtime import Node
from node.settings import Settings
from node.staff.accounts import Staff
from web.pages.wire import Holder, Reason, Recipient, Sealed, Wire, answer, path_id, read_json, takes
from web.sessions import require_same_origin, signed_in

MAX_WRAPS = 400

Epoch = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Signature = Annotated[str, msgspec.Meta(min_length=80, max_length=100)]
Named = Annotated[str, msgspec.Meta(pattern="^(dialogue|identity|internal)$", max_length=8)]


class Given(Wire, frozen=True):
    """A compartment's identity, sealed to one member of staff, and the giver's signature over the grant."""

    compartment: Named
    epoch: Epoch
    holder: Holder
    sealed: Sealed
    day: date
    signature: Signature
    until: date | None = None


Wraps = Annotated[tuple[Given, ...], msgspec.Meta(max_length=MAX_WRAPS)]


class Give(Wire, frozen=True):
    """Keys for colleagues."""

    wraps: Annotated[tuple[Given, ...], msgspec.Meta(min_length=1, max_length=MAX_WRAPS)]


class Ask(Wire, frozen=True):
    """What somebody asks their colleagues for; an identity needs a reason."""

    compartment: Named
    reason: Reason | None = None


class GrantIdentity(Wire, frozen=True):
    """A custodian's yes, for some days."""

    days: Annotated[int, msgspec.Meta(ge=1, le=requests.LONGEST_DAYS)]
    wraps: Wraps = ()


class Refuse(Wire, frozen=True):
    """A custodian's no."""

    reason: Reason


class ForOthers(Wire, frozen=True):
    """The new key, sealed to the source or to the recovery key."""

    holder: Annotated[str, msgspec.Meta(pattern="^(source|recovery)$", max_length=8)]
    sealed: Sealed


class NewKey(Wire, frozen=True):
    """A later key of a compartment, for everybody who holds the present one."""

    compartment: Named
    epoch: Epoch
    recipient: Recipient
    wraps: Wraps
    others: Annotated[tuple[ForOthers, ...], msgspec.Meta(max_length=2)] = ()


Move = Callable[[AsyncSession, Node, str, Staff, datetime, Any], Awaitable[str]]


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses of keys."""
    api = "/api/v1/desk"
    return [
        Route(f"{api}/alerts/{{id}}/wraps", _move(Give, _give_alert), methods=["POST"]),
        Route(f"{api}/alerts/{{id}}/requests", _move(Ask, _ask_alert), methods=["POST"]),
        Route(f"{api}/alerts/{{id}}/keys", _move(NewKey, _rotate_alert), methods=["POST"]),
        Route(f"{api}/cases/{{id}}/wraps", _move(Give, _give_case), methods=["POST"]),
        Route(f"{api}/cases/{{id}}/requests", _move(Ask, _ask_case), methods=["POST"]),
        Route(f"{api}/cases/{{id}}/keys", _move(NewKey, _rotate_case), methods=["POST"]),
        Route(
            f"{api}/requests/{{id}}/grant",
            _move(GrantIdentity, _grant, names_request=True, status=200),
            methods=["POST"],
        ),
        Route(
            f"{api}/requests/{{id}}/refuse",
            _move(Refuse, _refuse, names_request=True, status=200),
            methods=["POST"],
        ),
    ]


def _move(
    kind: type[Wire], move: Move, *, names_request: bool = False, status: int = 201
) -> Callable[[Request], Awaitable[Response]]:
    """The address of one move of keys: read, make the move, answer with who holds what then. One transaction.

    move   returns the id of the alert or case concerned.
    """

    @takes(kind)
    async def endpoint(request: Request) -> Response:
        require_same_origin(request)
        node: Node = request.app.state.node
        body = await read_json(request, kind)
        one = _request_id(request) if names_request else path_id(request, "id")
        now = node.clock.now()
        async with node.database.begin() as session:
            me = await signed_in(request, session, now=now)
            of = await move(session, node, one, me, now, body)
            state = await shown(session, of)
        return answer(state, status)

    endpoint.__doc__ = move.__doc__
    return endpoint


async def _give_alert(
    session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: Give
) -> str:
    """Give colleagues keys of an alert."""
    given = _wraps(body.wraps)
    alert = await access.give_alert(session, of, given, origin=node.settings.origin, by=me, now=now)
    return alert.id


async def _give_case(session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: Give) -> str:
    """Give colleagues the keys of a case's records."""
    given = _wraps(body.wraps)
    case = await access.give_case(session, of, given, origin=node.settings.origin, by=me, now=now)
    return case.id


async def _ask_alert(session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: Ask) -> str:
    """Ask for access to an alert, or to who its source is."""
    if body.compartment == Compartment.INTERNAL:
        raise HTTPException(404)
    alert = await find_alert(session, of)
    await requests.ask_for(session, alert.id, Compartment(body.compartment), body.reason, by=me, now=now)
    return alert.id


async def _ask_case(session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: Ask) -> str:
    """Ask for access to a case's records."""
    if body.compartment != Compartment.INTERNAL:
        raise HTTPException(404)
    case = await session.get(Case, of)
    if case is None:
        raise NotFound("no such case")
    await requests.ask_for(session, case.id, Compartment.INTERNAL, body.reason, by=me, now=now)
    return case.id


async def _grant(
    session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: GrantIdentity
) -> str:
    """A custodian lets somebody see who a source is, for some days."""
    given, origin = _wraps(body.wraps), node.settings.origin
    decided = await access.grant_identity(session, of, given, days=body.days, origin=origin, by=me, now=now)
    return decided.of


async def _refuse(session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: Refuse) -> str:
    """A custodian says no, and why."""
    return (await requests.refuse(session, of, body.reason, by=me, now=now)).of


async def _rotate_alert(
    session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: NewKey
) -> str:
    """Take in a new key of an alert's exchange; 409 when somebody else made it first."""
    if body.compartment != Compartment.DIALOGUE:
        raise HTTPException(404)
    return await _rotate(session, node, of, me, now, body)


async def _rotate_case(
    session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: NewKey
) -> str:
    """Take in a new key of a case's records; 409 when somebody else made it first."""
    if body.compartment != Compartment.INTERNAL:
        raise HTTPException(404)
    return await _rotate(session, node, of, me, now, body)


async def _rotate(session: AsyncSession, node: Node, of: str, me: Staff, now: datetime, body: NewKey) -> str:
    await rotation.rotate(
        session,
        of,
        Compartment(body.compartment),
        epoch=body.epoch,
        recipient=body.recipient,
        wraps=_wraps(body.wraps),
        others=[SealedWrap(body.compartment, other.holder, other.sealed) for other in body.others],
        origin=node.settings.origin,
        by=me,
        now=now,
    )
    return of


async def shown(session: AsyncSession, of: str) -> dict[str, object]:
    """Who holds the keys of an alert or a case, who gave them, who asks, and what waits for a new key."""
    return {
        "holders": await access.holders_of(session, of),
        "recovery": await access.kept_for_recovery(session, of),
        "grants": [
            {
                "id": one.id,
                "compartment": one.compartment,
                "epoch": one.epoch,
                "holder": one.holder,
                "by": one.given_by,
                "on": one.given_on.isoformat(),
                "until": _day(one.until),
            }
            for one in await access.grants_of(session, of)
        ],
        "requests": [
            {
                "id": one.id,
                "compartment": one.compartment,
                "by": one.asked_by,
                "on": one.asked_on.isoformat(),
                "reason": one.reason,
                "state": one.state,
                "decided_by": one.decided_by,
                "decided_on": _day(one.decided_on),
                "until": _day(one.until),
                "refusal": one.refusal,
            }
            for one in await requests.requests_of(session, of)
        ],
        "keys": [
            {"compartment": one.compartment, "epoch": one.epoch, "recipient": one.recipient}
            for one in await rotation.keys_of(session, of)
        ],
        "due": [
            {"compartment": one.compartment, "left": one.who_left, "since": one.since.isoformat()}
            for one in await rotation.due_for(session, of)
        ],
    }


def _wraps(given: Wraps) -> list[access.GivenWrap]:
    return [
        access.GivenWrap(
            compartment=one.compartment,
            epoch=one.epoch,
            holder=one.holder,
            sealed=one.sealed,
            day=one.day,
            signature=one.signature,
            until=one.until,
        )
        for one in given
    ]


def _request_id(request: Request) -> str:
    value: str = request.path_params["id"]
    if not value.isascii() or not value.isalnum():
        raise HTTPException(404)
    return value[:26]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
