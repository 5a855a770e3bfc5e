"""Asking a source whether exactly one public text may be published, and holding a text against what it answered.

The question travels sealed, with the whole text; the server learns the hash it is about, which is that of the draft it has. The
answer is the source's signature over that hash. A text that changes by a letter has another hash and needs another yes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.casework.cases import TOO_EARLY, Case, CaseEvent, CaseState
from node.casework.history import note_step
from node.casework.triage import ask_source
from node.errors import Conflict, NotFound, WrongState
from node.intake.alerts import Alert
from node.intake.consent import Asked, consents_of, objection_to
from node.staff.accounts import Staff

ASKED = "consent-asked"
WHILE = frozenset({CaseState.DRAFTING, CaseState.IN_REVIEW})


async def ask_about_text(
    session: AsyncSession,
    case_id: str,
    *,
    seq: int,
    sealed: bytes,
    text_sha256: str,
    by: Staff,
    now: datetime,
) -> Alert:
    """Put the sealed question into the mailbox and note about which text it is.

    Raises NotAllowed, NotFound, WrongState, Conflict (the text is another one by now, or the place is taken), Invalid, TooLarge.
    """
    case = await session.get(Case, case_id, with_for_update=True)
    if case is None:
        raise NotFound("no such case")
    alert = await ask_source(session, case.alert_id, seq=seq, sealed=sealed, by=by, now=now)
    if case.state not in WHILE:
        raise WrongState(f"asked in {case.state}", public=TOO_EARLY)
    if case.draft_sha256 != text_sha256:
        raise Conflict(
            "the text changed", public="The text is not the one you saw. Read it again, then ask about it."
        )
    await note_step(session, case, ASKED, by=by, now=now, reason=text_sha256)
    return alert


async def asked_about(session: AsyncSession, case_id: str) -> Sequence[Asked]:
    """Each question that was put about a text of this case, first to last."""
    events = await session.scalars(
        select(CaseEvent)
        .where(CaseEvent.case_id == case_id, CaseEvent.action == ASKED)
        .order_by(CaseEvent.seq)
    )
    return [Asked(event.reason or "", event.on) for event in events]


async def against(
    session: AsyncSession, case: Case, *, cleared: Mapping[str, str], is_correction: bool, now: datetime
) -> dict[str, str]:
    """Field → sentence where the source's own answer keeps the draft from being published; empty where it does not.

    What the source answered itself, signed, stands above what anybody says it answered.
    """
    objection = objection_to(
        case.draft_sha256,
        answers=await consents_of(session, case.alert_id),
        asked=await asked_about(session, case.id),
        is_correction=is_correction,
        now=now,
    )
    if objection is None:
        return {}
    if not objection.may_stand:
        return {"consent": objection.why}
    return {} if "consent_text" in cleared else {"consent_text": objection.why}
