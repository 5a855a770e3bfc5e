"""What a source agrees to: yes or no to a use, or to the exact public text, signed with the key of its receipt; the last one counts.

The answer stands outside the ciphertext on purpose: it says nothing but yes or no, and the gates of publication read it without
anybody's word in between. The question, with the text, travels sealed in the dialogue; that it was asked, about which hash, is a
step of the case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from node.errors import Conflict, Invalid
from node.intake.alerts import Alert, Consent
from node.sealing.signing import holds

USES = frozenset({"publish", "share"})
ANSWERS = frozenset({"yes", "no"})
MAX_CONSENTS = 200
PATIENCE = timedelta(days=14)
NO = "The source does not agree to publication. Ask again, or leave it."
SILENCE = (
    f"The source was asked about this text and has not answered. After {PATIENCE.days} days without an answer "
    "it may stand for a reason."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source's client sends. `day` is its own; it may be a day off."""

    seq: int
    use: str
    answer: str
    text_sha256: str | None
    day: date
    signature: str


def statement(given: Answer, *, node: str, alert_id: str) -> dict[str, object]:
    """What is signed: bound to this node, this alert and this place in the row of answers."""
    return {
        "v": 1,
        "type": "consent",
        "node": node,
        "case": alert_id,
        "seq": given.seq,
        "use": given.use,
        "answer": given.answer,
        "text_sha256": given.text_sha256,
        "day": given.day.isoformat(),
    }


async def keep_consent(
    session: AsyncSession, alert: Alert, given: Answer, *, node: str, now: datetime
) -> Consent:
    """Add an answer; the same one again is harmless. Raises Invalid, Conflict (its place is taken, or leaves a gap)."""
    if given.use not in USES or given.answer not in ANSWERS:
        raise Invalid("no such use or answer", public="A consent is yes or no, to a use.")
    if abs(given.day - now.date()) > timedelta(days=1):
        raise Invalid("another day", public="The clock of the device that signed this is wrong.")
    if not holds(statement(given, node=node, alert_id=alert.id), given.signature, alert.source_ed25519):
        raise Invalid("not signed by the source", public="This is not signed with the words of this alert.")
    known = await consents_of(session, alert.id)
    if given.seq <= len(known) and known[given.seq - 1].signature == given.signature:
        return known[given.seq - 1]
    if given.seq != len(known) + 1 or given.seq > MAX_CONSENTS:
        raise Conflict("the place is taken, or leaves a gap")
    row = Consent(
        alert_id=alert.id,
        seq=given.seq,
        use=given.use,
        answer=given.answer,
        text_sha256=given.text_sha256,
        answered_on=given.day,
        signature=given.signature,
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Conflict("the place is taken") from None
    return row


async def consents_of(session: AsyncSession, alert_id: str) -> Sequence[Consent]:
    """Every answer of a source, first to last."""
    found = await session.scalars(select(Consent).where(Consent.alert_id == alert_id).order_by(Consent.seq))
    return found.all()


@dataclass(frozen=True, slots=True)
class Asked:
    """The desk asked about the public text with this hash, on that day."""

    text_sha256: str
    on: date


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a text may not be published. `may_stand`: two people may let it pass for a reason they write down."""

    why: str
    may_stand: bool = False


def objection_to(
    text_sha256: str | None,
    *,
    answers: Sequence[Consent],
    asked: Sequence[Asked],
    is_correction: bool,
    now: datetime,
) -> Objection | None:
    """What the source's own answers say against publishing this text; None where nothing does.

    A source that was never asked here has answered in its form, which is sealed: somebody reads that and says so. Once it was
    asked about a text, only a yes to the very text opens the way. Silence may pass after PATIENCE, or at once for a correction
    of what is public; a no never does.
    """
    last = next((one for one in reversed(answers) if one.use == "publish"), None)
    if last is not None and last.answer == "no":
        return Objection(
            NO
            if last.text_sha256 in {None, text_sha256}
            else "The source said no to another text. Ask about this one."
        )
    if last is not None and last.text_sha256 is not None:
        if last.text_sha256 == text_sha256:
            return None
        why = "The source agreed to another text than this one. Ask about this one."
    elif not asked:
        return None
    else:
        why = "The source was asked about another text than this one. Ask about this one."
    since = next((one.on for one in asked if one.text_sha256 == text_sha256), None)
    if since is None:
        return Objection(why, may_stand=is_correction)
    return Objection(SILENCE, may_stand=is_correction or now.date() >= since + PATIENCE)
