"""The desk's API for keys: who holds those of an alert or a case, giving them on, asking for them, making new ones.

Keys arrive as wraps that only their holder opens, each with its giver's signature; `node.casework.access` says who may.
"""

from datetime import date
from typing import Annotated

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
from web.pages.wire import Holder, Id, Reason, Recipient, Sealed, Wire, answer, path_id, read_json, takes
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


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses of keys."""
    api = "/api/v1/desk"
    return [
        Route(f"{api}/alerts/{{id}}/wraps", give_alert, methods=["POST"]),
        Route(f"{api}/alerts/{{id}}/requests", ask_alert, methods=["POST"]),
        Route(f"{api}/alerts/{{id}}/keys", rotate, methods=["POST"]),
        Route(f"{api}/cases/{{id}}/wraps", give_case, methods=["POST"]),
        Route(f"{api}/cases/{{id}}/requests", ask_case, methods=["POST"]),
        Route(f"{api}/cases/{{id}}/keys", rotate, methods=["POST"]),
        Route(f"{api}/requests/{{id}}/grant", grant, methods=["POST"]),
        Route(f"{api}/requests/{{id}}/refuse", refuse, methods=["POST"]),
    ]


@takes(Give)
async def give_alert(request: Request) -> Response:
    """Give colleagues keys of an alert."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Give)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        alert = await access.give_alert(
            session,
            path_id(request, "id"),
            _wraps(given.wraps),
            origin=node.settings.origin,
            by=me,
            now=now,
        )
        state = await shown(session, alert.id)
    return answer(state, 201)


@takes(Give)
async def give_case(request: Request) -> Response:
    """Give colleagues the keys of a case's records."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Give)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        case = await access.give_case(
            session,
            path_id(request, "id"),
            _wraps(given.wraps),
            origin=node.settings.origin,
            by=me,
            now=now,
        )
        state = await shown(session, case.id)
    return answer(state, 201)


@takes(Ask)
async def ask_alert(request: Request) -> Response:
    """Ask for access to an alert, or to who its source is."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Ask, max_bytes=8192)
    if given.compartment == Compartment.INTERNAL:
        raise HTTPException(404)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        alert = await find_alert(session, path_id(request, "id"))
        await requests.ask_for(
            session, alert.id, Compartment(given.compartment), given.reason, by=me, now=now
        )
        state = await shown(session, alert.id)
    return answer(state, 201)


@takes(Ask)
async def ask_case(request: Request) -> Response:
    """Ask for access to a case's records."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Ask, max_bytes=8192)
    if given.compartment != Compartment.INTERNAL:
        raise HTTPException(404)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        case = await session.get(Case, path_id(request, "id"))
        if case is None:
            raise NotFound("no such case")
        await requests.ask_for(session, case.id, Compartment.INTERNAL, given.reason, by=me, now=now)
        state = await shown(session, case.id)
    return answer(state, 201)


@takes(GrantIdentity)
async def grant(request: Request) -> Response:
    """A custodian lets somebody see who a source is, for some days."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, GrantIdentity)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        decided = await access.grant_identity(
            session,
            _request_id(request),
            _wraps(given.wraps),
            days=given.days,
            origin=node.settings.origin,
            by=me,
            now=now,
        )
        state = await shown(session, decided.of)
    return answer(state)


@takes(Refuse)
async def refuse(request: Request) -> Response:
    """A custodian says no, and why."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Refuse, max_bytes=8192)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        decided = await requests.refuse(session, _request_id(request), given.reason, by=me, now=now)
        state = await shown(session, decided.of)
    return answer(state)


@takes(NewKey)
async def rotate(request: Request) -> Response:
    """Take in a new key of a compartment; 409 when somebody else made it first."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, NewKey)
    is_case = "/cases/" in request.url.path
    if (given.compartment == Compartment.INTERNAL) != is_case or given.compartment == Compartment.IDENTITY:
        raise HTTPException(404)
    of: Id = path_id(request, "id")
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        await rotation.rotate(
            session,
            of,
            Compartment(given.compartment),
            epoch=given.epoch,
            recipient=given.recipient,
            wraps=_wraps(given.wraps),
            others=[SealedWrap(given.compartment, other.holder, other.sealed) for other in given.others],
            origin=node.settings.origin,
            by=me,
            now=now,
        )
        state = await shown(session, of)
    return answer(state, 201)


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
    return value[:26]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
