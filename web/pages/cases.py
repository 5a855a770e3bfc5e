"""The desk's API for cases: one address for each move. What may be done, and by whom, `node.casework` says."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from node.casework import desk, triage
from node.casework.cases import Outcome
from node.casework.consenting import ask_about_text
from node.casework.desk import Approved
from node.casework.gates import Clearances
from node.casework.pictures import MAX_BYTES, draw_anew
from node.errors import WrongState
from node.intake.consent import consents_of
from node.intake.receive import SealedWrap
from node.publishing import publish as publishing
from node.publishing.publications import publication_of
from node.runtime import Node
from node.settings import Settings
from node.staff.accounts import Staff, names_of
from web.pages import access
from web.pages.mailbox import consents_shown
from web.pages.wire import (
    Holder,
    Id,
    Nothing,
    Reason,
    Recipient,
    Sealed,
    Seq,
    Sha256,
    Wire,
    answer,
    b64,
    path_id,
    read_bytes,
    read_json,
    takes,
)
from web.sessions import require_same_origin, signed_in

MAX_STAFF = 400
# A file as it is; not a type that a form of another site could send.
OCTETS = "application/octet-stream"

Standard = Annotated[str, msgspec.Meta(pattern="^(P[2-5]|N[12])$", max_length=2)]
# Read by PublicCase, which refuses what it does not name.
Fields = dict[str, Any]


class CaseWrap(Wire, frozen=True):
    """The case's internal identity, sealed to one member of staff."""

    holder: Holder
    sealed: Sealed


class NewCase(Wire, frozen=True):
    """A case to open on an alert."""

    id: Id
    internal: Recipient
    wraps: Annotated[tuple[CaseWrap, ...], msgspec.Meta(min_length=1, max_length=MAX_STAFF)]


class NewRecord(Wire, frozen=True):
    """A sealed check, note or assessment."""

    seq: Seq
    type: Annotated[str, msgspec.Meta(pattern="^(check|note|assessment)$", max_length=10)]
    sealed: Sealed


class Propose(Wire, frozen=True):
    """What the facts amount to."""

    standard: Standard


class Return(Wire, frozen=True):
    """Why a finding does not hold yet."""

    reason: Reason | None = None


class Draft(Wire, frozen=True):
    """The public text."""

    fields: Fields


class Submit(Wire, frozen=True):
    """What the drafter looked at and answers for."""

    cleared: dict[str, Reason] = msgspec.field(default_factory=dict)
    reply_waiver: Reason | None = None
    consent: bool = False


class Approve(Wire, frozen=True):
    """The hash of the text that was read; a withdrawal needs none."""

    sha256: Sha256 | None = None


class Reject(Wire, frozen=True):
    """Why not."""

    reason: Reason


class Correct(Wire, frozen=True):
    """A corrected text, and what was corrected: a sentence, or one for each language."""

    fields: Fields
    note: Reason | dict[str, Reason]
    cleared: dict[str, Reason] = msgspec.field(default_factory=dict)
    reply_waiver: Reason | None = None
    consent: bool = False


class AskSource(Wire, frozen=True):
    """The question whether exactly this text may be published, sealed to the source; the hash is the draft's."""

    seq: Seq
    sealed: Sealed
    text_sha256: Sha256


class Withdraw(Wire, frozen=True):
    """One of the reasons of the list `withdrawal_reasons`."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


Step = Callable[[AsyncSession, Node, str, Staff, datetime, Any], Awaitable[object]]


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses of cases."""
    one = "/api/v1/desk/cases/{id}"
    return [
        Route("/api/v1/desk/alerts/{id}/case", open_case, methods=["POST"]),
        Route("/api/v1/desk/cases", list_cases),
        Route(one, show_case),
        Route(f"{one}/records", _step(NewRecord, _record, status=201), methods=["POST"]),
        Route(f"{one}/propose", _step(Propose, _propose), methods=["POST"]),
        Route(f"{one}/confirm", _step(Nothing, _confirm), methods=["POST"]),
        Route(f"{one}/return", _step(Return, _return), methods=["POST"]),
        Route(f"{one}/draft", _step(Draft, _draft), methods=["PUT"]),
        Route(f"{one}/pictures", add_picture, methods=["POST"]),
        Route(f"{one}/pictures/{{sha256}}", show_picture),
        Route(f"{one}/consent", _step(AskSource, _ask_source, status=201), methods=["POST"]),
        Route(f"{one}/submit", _step(Submit, _submit), methods=["POST"]),
        Route(f"{one}/approve", _step(Approve, _approve), methods=["POST"]),
        Route(f"{one}/reject", _step(Reject, _reject), methods=["POST"]),
        Route(f"{one}/correct", _step(Correct, _correct), methods=["POST"]),
        Route(f"{one}/withdraw", _step(Withdraw, _withdraw), methods=["POST"]),
    ]


@takes(NewCase)
async def open_case(request: Request) -> Response:
    """Open a case on an alert."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, NewCase)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        wraps = [SealedWrap("internal", wrap.holder, wrap.sealed) for wrap in given.wraps]
        case = await triage.open_case(
            session,
            path_id(request, "id"),
            case_id=given.id,
            internal=given.internal,
            wraps=wraps,
            by=me,
            now=now,
        )
        shown = await _shown(session, case.id, me)
    return answer(shown, 201)


async def list_cases(request: Request) -> Response:
    """Every case: where it stands, and whose turn it is."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        found = await desk.list_cases(session, by=me)
    return answer(
        [
            {
                "id": case.id,
                "alert": case.alert_id,
                "state": case.state,
                "standard": case.standard,
                "kind": (case.draft or {}).get("kind"),
                "updated_on": case.updated_on.isoformat(),
                "waiting_for": desk.waiting_for(case),
            }
            for case in found
        ]
    )


async def show_case(request: Request) -> Response:
    """One case, with the moves open to whoever asks."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        shown = await _shown(session, path_id(request, "id"), me)
    return answer(shown)


@takes(OCTETS)
async def add_picture(request: Request) -> Response:
    """A picture for the public text, as a file: drawn anew, without whatever hung on it. It is in no text before one names it."""
    require_same_origin(request, OCTETS)
    node: Node = request.app.state.node
    case_id, now = path_id(request, "id"), node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        await desk.may_add_picture(session, case_id, by=me)
    drawn = await draw_anew(await read_bytes(request, max_bytes=MAX_BYTES))
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        kept = await desk.add_picture(session, case_id, drawn, by=me, now=now)
        shown = kept.fields()
    return answer(shown, 201)


async def show_picture(request: Request) -> Response:
    """A picture of a case as it was drawn anew, for those who write and approve its text."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        sha256 = request.path_params["sha256"][:64]
        kept = await desk.read_picture(session, path_id(request, "id"), sha256, by=me)
    policy = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(kept.body, media_type=kept.media_type, headers=policy)


def _step(kind: type[Wire], step: Step, *, status: int = 200) -> Callable[[Request], Awaitable[JSONResponse]]:
    """The address of one move: read, make the move, answer with the case as it is then. One transaction."""

    @takes(kind)
    async def endpoint(request: Request) -> JSONResponse:
        """One move of a case, and the case as it is then."""
        require_same_origin(request)
        node: Node = request.app.state.node
        body = await read_json(request, kind)
        case_id = path_id(request, "id")
        now = node.clock.now()
        async with node.database.begin() as session:
            me = await signed_in(request, session, now=now)
            await step(session, node, case_id, me, now, body)
            await session.flush()
            shown = await _shown(session, case_id, me)
        await node.bell.ring()
        return answer(shown, status)

    return endpoint


async def _record(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: NewRecord
) -> None:
    await desk.put_record(session, case, seq=body.seq, kind=body.type, sealed=body.sealed, by=me, now=now)


async def _propose(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Propose
) -> None:
    await desk.propose(session, case, body.standard, by=me, now=now)


async def _confirm(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Nothing
) -> None:
    await desk.confirm(session, case, by=me, now=now)


async def _return(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Return
) -> None:
    await desk.send_back(session, case, by=me, now=now, reason=body.reason)


async def _draft(session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Draft) -> None:
    await desk.save_draft(session, case, body.fields, by=me, now=now)


async def _ask_source(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: AskSource
) -> None:
    await ask_about_text(
        session, case, seq=body.seq, sealed=body.sealed, text_sha256=body.text_sha256, by=me, now=now
    )


async def _submit(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Submit
) -> None:
    await desk.submit(session, case, _clearances(body), by=me, now=now)


async def _reject(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Reject
) -> None:
    await desk.reject(session, case, body.reason, by=me, now=now)


async def _correct(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Correct
) -> None:
    language = body.fields.get("language")
    note = (
        {language if isinstance(language, str) else "en": body.note}
        if isinstance(body.note, str)
        else body.note
    )
    await desk.correct(session, case, body.fields, note, _clearances(body), by=me, now=now)


async def _withdraw(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Withdraw
) -> None:
    await desk.withdraw(session, case, body.reason, by=me, now=now)


async def _approve(
    session: AsyncSession, node: Node, case: str, me: Staff, now: datetime, body: Approve
) -> None:
    approved = await desk.approve(session, case, sha256=body.sha256, by=me, now=now)
    await session.flush()
    await _carry_out(session, node, approved, now=now)


async def _carry_out(session: AsyncSession, node: Node, approved: Approved, *, now: datetime) -> None:
    """Do in public what two people agreed on, in the transaction in which the second one said so."""
    if approved.outcome is Outcome.WITHDRAW:
        await publishing.withdraw(
            session,
            node.settings,
            node.keyring,
            case_id=approved.case.id,
            reason=approved.reason or "",
            proposed_by=approved.drafted_by,
            approved_by=approved.approved_by,
            now=now,
        )
        return
    if approved.text is None:
        raise WrongState("an approval without a text")
    make = publishing.publish if approved.outcome is Outcome.PUBLISH else publishing.correct
    await make(
        session,
        node.settings,
        node.keyring,
        case_id=approved.case.id,
        case=approved.text,
        drafted_by=approved.drafted_by,
        approved_by=approved.approved_by,
        now=now,
    )


def _clearances(body: Submit | Correct) -> Clearances:
    return Clearances(cleared=body.cleared, reply_waiver=body.reply_waiver, consent=body.consent)


async def _shown(session: AsyncSession, case_id: str, me: Staff) -> dict[str, object]:
    file = await desk.read_case(session, case_id, by=me)
    case = file.case
    publication = await publication_of(session, case.id)
    alert = await triage.find_alert(session, case.alert_id)
    people = {event.by for event in file.history} | {record.author for record in file.records}
    return {
        "id": case.id,
        "alert": case.alert_id,
        "state": case.state,
        "standard": case.standard,
        "internal": case.internal,
        "updated_on": case.updated_on.isoformat(),
        "waiting_for": desk.waiting_for(case),
        "wraps": [
            {"compartment": wrap.compartment, "epoch": wrap.epoch, "sealed": b64(wrap.sealed)}
            for wrap in file.wraps
        ],
        "access": await access.shown(session, case.id),
        "records": [
            {
                "seq": record.seq,
                "type": record.type,
                "author": record.author,
                "posted_on": record.posted_on.isoformat(),
                "sealed": b64(record.sealed),
            }
            for record in file.records
        ],
        "draft": None
        if case.draft is None
        else {
            "fields": case.draft,
            "sha256": case.draft_sha256,
            "by": case.drafted_by,
            "on": case.drafted_on.isoformat() if case.drafted_on else None,
            "reach": desk.reach_of(case),
        },
        "source": alert.source_ed25519,
        "consents": consents_shown(await consents_of(session, alert.id)),
        "withdrawal": None
        if case.withdrawal_by is None
        else {"by": case.withdrawal_by, "reason": case.withdrawal_reason},
        "history": [
            {"action": event.action, "by": event.by, "on": event.on.isoformat(), "reason": event.reason}
            for event in file.history
        ],
        "moves": [
            {"action": possible.move.value, "open": possible.is_open, "why": possible.why or ""}
            for possible in file.moves
        ],
        "people": await names_of(session, people),
        "publication": None if publication is None else {"url": publication.url, "state": publication.state},
    }
