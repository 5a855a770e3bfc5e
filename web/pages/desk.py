"""The desk: pages without data, and the API their scripts call. People, sessions and alerts here; cases in `pages/cases.py`.

Each request is one transaction. Whoever is not signed in learns nothing but that.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from node import audit
from node.audit import BrokenChain
from node.casework import triage
from node.casework.requests import may_open_identity
from node.casework.team import deactivate
from node.intake.consent import consents_of
from node.intake.uploads import check_files, part_blobs
from node.runtime import Node
from node.settings import Settings
from node.staff.accounts import Enrolment, Staff, active_staff, enrol, former_staff, invite, names_of
from node.staff.entrance import Throttle, WrongPassphrase, salt_for, sign_in, sign_out
from node.staff.permissions import Action, require
from web.pages import access, asking, cases, deliveries, positions, recovery, replies
from web.pages.mailbox import NewMessage, consents_shown, sealed_parts
from web.pages.rendering import render, speech_of
from web.pages.sending import sealed_files
from web.pages.wire import NO_STORE, KeyId, Recipient, Wire, answer, b64, path_id, read_json, takes
from web.sessions import drop_cookie, require_same_origin, set_cookie, signed_in, token_of

SALT_SECRET = b"social-rights-tracker/invented-salts/v1"
MAX_NAME = 120

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Vault = Annotated[bytes, msgspec.Meta(min_length=1, max_length=64 * 1024)]
Token = Annotated[str, msgspec.Meta(min_length=20, max_length=100)]


class SignIn(Wire, frozen=True):
    """A name, and the proof that its passphrase is known."""

    name: Name
    auth: Bytes32


class Welcome(Wire, frozen=True):
    """What a new member's browser hands in, with the token of the one-time link."""

    token: Token
    name: Name
    salt: Bytes16
    auth: Bytes32
    vault: Vault
    recovery_vault: Vault
    age: Recipient
    ed25519: KeyId
    recovery_auth: Bytes32 | None = None


class Invite(Wire, frozen=True):
    """The roles of somebody who is invited."""

    roles: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=10)]


class Close(Wire, frozen=True):
    """Why an alert is closed without a case."""

    reason: Annotated[str, msgspec.Meta(pattern="^(out-of-scope|duplicate|spam|referred)$", max_length=20)]


def routes(settings: Settings) -> list[BaseRoute]:
    """The desk's addresses. One memory of sign-in tries per application."""
    throttle = Throttle()
    api = "/api/v1/desk"
    return [
        Route("/desk", desk_page),
        Route("/desk/welcome", welcome_page),
        Route(f"{api}/salt", salt),
        Route(f"{api}/session", partial(open_session, throttle=throttle), methods=["POST"]),
        Route(f"{api}/session", show_session),
        Route(f"{api}/session", close_session, methods=["DELETE"]),
        Route(f"{api}/welcome", welcome, methods=["POST"]),
        Route(f"{api}/staff", list_staff),
        Route(f"{api}/staff", invite_staff, methods=["POST"]),
        Route(f"{api}/staff/{{id}}", close_staff, methods=["DELETE"]),
        Route(f"{api}/staff/{{id}}/reset", reset_staff, methods=["POST"]),
        Route(f"{api}/audit", show_audit),
        Route(f"{api}/alerts", list_alerts),
        Route(f"{api}/alerts/{{id}}", show_alert),
        Route(f"{api}/alerts/{{id}}/attachments/{{upload}}", show_attachment),
        Route(f"{api}/alerts/{{id}}/messages", ask_source, methods=["POST"]),
        Route(f"{api}/alerts/{{id}}/close", close_alert, methods=["POST"]),
        *cases.routes(settings),
        *access.routes(settings),
        *recovery.routes(settings),
        *deliveries.routes(settings),
        *replies.routes(settings),
        *positions.routes(settings),
    ]


# ---- pages ---------------------------------------------------------------------------------------------------------


async def desk_page(request: Request) -> Response:
    """The desk's page: its script signs in, opens the vault and asks the API."""
    return _page(request, "desk/desk.html")


async def welcome_page(request: Request) -> Response:
    """Where a one-time link leads: the new member's browser makes its keys."""
    return _page(request, "desk/welcome.html")


# ---- people --------------------------------------------------------------------------------------------------------


async def salt(request: Request) -> Response:
    """The salt of an account, or an invented one that stays the same."""
    node: Node = request.app.state.node
    name = request.query_params.get("name", "")[:MAX_NAME]
    # Known to this server only, and the same after a restart and a rotation: an invented salt that changes is told from a real one.
    secret = node.keyring.secret(SALT_SECRET)
    async with node.database.read() as session:
        found = await salt_for(session, name, secret=secret)
    return answer({"salt": b64(found)})


@takes(SignIn)
async def open_session(request: Request, *, throttle: Throttle) -> Response:
    """Sign in. 401 for a wrong name and for a wrong passphrase alike, 429 after too many tries on one name."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, SignIn, max_bytes=4096)
    now = node.clock.now()
    throttle.count(given.name, now=now)
    try:
        async with node.database.begin() as session:
            staff, token = await sign_in(session, name=given.name, auth=given.auth, now=now)
    except WrongPassphrase as error:
        return answer({"error": error.public}, 401)
    throttle.forget(given.name)
    response = answer(_me(staff))
    set_cookie(response, token, node.settings)
    return response


async def show_session(request: Request) -> Response:
    """Who is signed in."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        staff = await signed_in(request, session, now=node.clock.now())
    return answer(_me(staff))


async def close_session(request: Request) -> Response:
    """Sign out; harmless when nobody is signed in."""
    require_same_origin(request)
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        await sign_out(session, token_of(request))
    response = Response(status_code=204, headers=NO_STORE)
    drop_cookie(response, node.settings)
    return response


@takes(Welcome)
async def welcome(request: Request) -> Response:
    """Turn a one-time link into an account."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Welcome, max_bytes=256 * 1024)
    enrolment = Enrolment(
        name=given.name,
        salt=given.salt,
        auth=given.auth,
        vault=given.vault,
        recovery_vault=given.recovery_vault,
        age=given.age,
        ed25519=given.ed25519,
        recovery_auth=given.recovery_auth,
    )
    async with node.database.begin() as session:
        staff = await enrol(session, enrolment, token=given.token, now=node.clock.now())
    return answer(_person(staff), 201)


async def list_staff(request: Request) -> Response:
    """Everybody of the desk, with the recipients keys are wrapped for; and who left, because what they signed holds."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.SEE_STAFF)
        people = [*await active_staff(session), *await former_staff(session)]
    return answer(
        [_person(one) | {"age": one.age, "ed25519": one.ed25519, "left": not one.is_active} for one in people]
    )


@takes(Invite)
async def invite_staff(request: Request) -> Response:
    """A one-time link for one more person."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Invite, max_bytes=4096)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        token = await invite(session, roles=given.roles, by=me, now=now)
    # Behind the "#": the token is in no request line and so in no log.
    return answer({"link": f"{node.settings.origin}/desk/welcome#{token}"}, 201)


async def close_staff(request: Request) -> Response:
    """Close an account and forget the keys that were wrapped for it."""
    require_same_origin(request)
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        await deactivate(session, request.path_params["id"][:26], by=me, now=now)
    return Response(status_code=204, headers=NO_STORE)


async def reset_staff(request: Request) -> Response:
    """A link with which somebody begins anew: other keys, so what was sealed to the old ones stays closed to them."""
    require_same_origin(request)
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        closed = await deactivate(session, request.path_params["id"][:26], by=me, now=now)
        token = await invite(session, roles=closed.roles, by=me, now=now)
    return answer({"link": f"{node.settings.origin}/desk/welcome#{token}"}, 201)


async def show_audit(request: Request) -> Response:
    """What was done, by whom and on which day, a page at a time; `holds` says whether the chain is whole."""
    node: Node = request.app.state.node
    after = request.query_params.get("after", "0")
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.READ_AUDIT)
        entries = await audit.entries_after(
            session, int(after) if after.isdecimal() and len(after) < 10 else 0
        )
        head = await audit.head(session)
        people = await names_of(session, {entry.actor for entry in entries})
        try:
            await audit.verify(session)
            holds = True
        except BrokenChain:
            holds = False
    return answer(
        {
            "entries": [
                {
                    "seq": entry.seq,
                    "by": entry.actor,
                    "action": entry.action,
                    "subject": entry.subject,
                    "on": entry.day.isoformat(),
                    "hash": entry.hash,
                }
                for entry in entries
            ],
            "people": people,
            "head": {"seq": head.seq, "hash": head.hash},
            "holds": holds,
        }
    )


# ---- alerts --------------------------------------------------------------------------------------------------------


async def list_alerts(request: Request) -> Response:
    """Every alert: day, state, size, nothing of what it says."""
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        lines = await triage.list_alerts(session, by=me)
    return answer(
        [
            {
                "id": line.alert.id,
                "received_on": line.alert.received_on.isoformat(),
                "state": line.alert.state,
                "mode": line.alert.mode,
                "is_blocked": line.alert.is_blocked,
                "case": line.alert.case_id,
                "size": line.size,
                "attachments": line.attachments,
            }
            for line in lines
        ]
    )


async def show_alert(request: Request) -> Response:
    """One alert's ciphertext, and the reader's own wraps."""
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        found = await triage.read_alert(session, path_id(request, "id"), by=me, now=now)
        keys = await access.shown(session, found.alert.id)
        may_open = await may_open_identity(session, found.alert.id, by=me, now=now)
        consents = consents_shown(await consents_of(session, found.alert.id))
    alert = found.alert
    return answer(
        {
            "id": alert.id,
            "state": alert.state,
            "mode": alert.mode,
            "is_blocked": alert.is_blocked,
            "received_on": alert.received_on.isoformat(),
            "case": alert.case_id,
            "closed_for": alert.closed_for,
            "source": {"age": alert.source_age, "ed25519": alert.source_ed25519},
            "compartments": {"dialogue": alert.dialogue, "identity": alert.identity},
            "may_open_identity": may_open,
            "access": keys,
            "consents": consents,
            **sealed_parts(found),
        }
    )


async def show_attachment(request: Request) -> Response:
    """The ciphertext of one file, its parts put together."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.READ_ALERTS)
        names = await part_blobs(session, path_id(request, "id"), path_id(request, "upload"))
    if not names:
        raise HTTPException(404)

    async def parts() -> AsyncIterator[bytes]:
        for name in names:
            async for chunk in node.blobs.stream(name):
                yield chunk

    # A sealed file has no type and is never shown by the browser itself.
    return StreamingResponse(
        parts(),
        media_type="application/octet-stream",
        headers=NO_STORE | {"Content-Disposition": "attachment"},
    )


@takes(NewMessage)
async def ask_source(request: Request) -> Response:
    """A question to the source, sealed; 409 when its place is taken."""
    require_same_origin(request)
    node: Node = request.app.state.node
    message = await read_json(request, NewMessage)
    files = sealed_files(message.attachments)
    now = node.clock.now()
    async with node.database.read() as session:
        await signed_in(request, session, now=now)
        await check_files(session, node.blobs, files)
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        alert = await triage.ask_source(
            session,
            path_id(request, "id"),
            seq=message.seq,
            sealed=message.sealed,
            files=files,
            by=me,
            now=now,
        )
    return answer({"id": alert.id, "state": alert.state}, 201)


@takes(Close)
async def close_alert(request: Request) -> Response:
    """Close an alert without a case."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Close, max_bytes=4096)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        alert = await triage.close_alert(session, path_id(request, "id"), given.reason, by=me, now=now)
    return answer({"id": alert.id, "state": alert.state})


# ---- private -------------------------------------------------------------------------------------------------------


def _page(request: Request, template: str) -> Response:
    node: Node = request.app.state.node
    return render(
        request,
        template,
        headers=NO_STORE,
        root_key=node.keyring.root_id or "",
        **asking.context(speech_of(request).language),
    )


def _me(staff: Staff) -> dict[str, object]:
    return {"staff": _person(staff), "vault": b64(staff.vault)}


def _person(staff: Staff) -> dict[str, object]:
    return {"id": staff.id, "name": staff.name, "roles": list(staff.roles)}
