"""Take in a sealed alert: refuse what is not sealed to the right people, keep the rest as it came.

The server holds no key that opens any of it; it reads age headers only, to be sure that everything has exactly one hybrid
recipient and that each handler, the source and the recovery key got their wrap.
Spec: C2SP age §"Header".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import InvalidKey
from federation.keys import Algorithm, read_multibase
from node.errors import Conflict, Invalid
from node.intake import uploads
from node.intake.alerts import SOURCE, Alert, AlertState, Compartment, Mode, SealedObject, Wrap
from node.intake.duty import begin_duty
from node.intake.manifest import Terms, accepted_manifest, required_holders
from node.intake.seals import require_hybrid, require_sealed, require_wrap
from node.intake.uploads import SealedFile
from node.outbox import enqueue

# The place of the first object in a compartment: the submission, the identity fields.
FIRST_SEQ = 1
MAX_OBJECT_BYTES = 512 * 1024
NOTIFY = "notify-desk"


@dataclass(frozen=True, slots=True)
class SealedWrap:
    compartment: str
    holder: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SealedPiece:
    compartment: str
    seq: int
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAlert:
    """What a source's client sends, parsed but not yet judged.

    request_sha256  of the bytes of the request: the same again is the same alert.
    urgent          its client says in clear that it is: kept only where an answer is promised.
    """

    id: str
    request_sha256: str
    manifest: str
    mailbox: str
    source_age: str
    source_ed25519: str
    dialogue: str
    identity: str
    wraps: Sequence[SealedWrap]
    objects: Sequence[SealedPiece]
    attachments: Sequence[SealedFile] = ()
    urgent: bool = False


async def receive_alert(
    session: AsyncSession, sealed: SealedAlert, terms: Terms, *, now: datetime, mode: Mode = Mode.SEALED
) -> tuple[Alert, bool]:
    """Store a sealed alert; returns it, and whether it is new.

    sealed  age v1 files throughout; their payloads stay ciphertext.
    terms   who can read alerts now.
    now     aware UTC; only the day is kept, and the hour of what is urgent where an answer is promised.
    mode    by which door it came.
    Enqueues one `notify-desk` job in the caller's transaction, keyed by day; safe to repeat with the same bytes.
    Raises  UnknownManifest, DoorClosed, Conflict (the id or the mailbox is another alert's), Invalid, TooLarge.
    """
    if known := await judge_alert(session, sealed, terms, now=now):
        return known, False
    alert = Alert(
        id=sealed.id,
        mailbox=sealed.mailbox,
        request_sha256=sealed.request_sha256,
        manifest_sha256=sealed.manifest,
        source_age=sealed.source_age,
        source_ed25519=sealed.source_ed25519,
        dialogue=sealed.dialogue,
        identity=sealed.identity,
        received_on=now.date(),
        state=AlertState.RECEIVED,
        mode=mode,
    )
    try:
        async with session.begin_nested():
            session.add(alert)
    except IntegrityError:
        # Another request was quicker, with this id or this mailbox.
        if known := await _same(session, sealed):
            return known, False
        raise Conflict("the mailbox is another alert's") from None
    for wrap in sealed.wraps:
        session.add(Wrap(of=sealed.id, compartment=wrap.compartment, holder=wrap.holder, sealed=wrap.sealed))
    for piece in sealed.objects:
        session.add(
            SealedObject(
                alert_id=sealed.id,
                compartment=piece.compartment,
                seq=piece.seq,
                author=SOURCE,
                posted_on=now.date(),
                sealed=piece.sealed,
            )
        )
    await uploads.claim(session, sealed.attachments, alert_id=sealed.id)
    if sealed.urgent:
        await begin_duty(session, alert.id, mode=mode, now=now)
    await notify_desk(session, now=now)
    return alert, True


async def judge_alert(
    session: AsyncSession, sealed: SealedAlert, terms: Terms, *, now: datetime
) -> Alert | None:
    """Judge all of an alert but its files: asked before those are read, because it costs next to nothing.

    Returns the alert that these bytes are already, None for a new one. Raises as `receive_alert` does.
    """
    if known := await _same(session, sealed):
        return known
    manifest = await accepted_manifest(session, sealed.manifest, terms, now=now)
    _check_keys(sealed)
    _check_wraps(sealed.wraps, required_holders(manifest))
    _check_objects(sealed.objects)
    uploads.require_distinct(sealed.attachments)
    return None


async def notify_desk(session: AsyncSession, *, now: datetime) -> None:
    """Ask for one notice a day, without a subject and without a time: neither the job table nor the log may tell who wrote when.

    It is due when the day is over: whatever is written into a log at once bears the moment in which a source wrote.
    """
    midnight = datetime.combine(now.date(), time(), UTC) + timedelta(days=1)
    day = now.date().isoformat()
    await enqueue(session, NOTIFY, {"day": day}, lane=NOTIFY, key=f"{NOTIFY}/{day}", now=midnight)


async def _same(session: AsyncSession, sealed: SealedAlert) -> Alert | None:
    known = await session.get(Alert, sealed.id, populate_existing=True)
    if known is not None and known.request_sha256 != sealed.request_sha256:
        raise Conflict("the id is another alert's")
    return known


def _check_keys(sealed: SealedAlert) -> None:
    for recipient in (sealed.source_age, sealed.dialogue, sealed.identity):
        require_hybrid(recipient)
    if len({sealed.source_age, sealed.dialogue, sealed.identity}) != 3:
        raise Invalid("one key for several purposes", public="Each compartment has its own key.")
    try:
        is_right = (
            sealed.source_ed25519.startswith("z6Mk")
            and read_multibase(sealed.source_ed25519).algorithm is Algorithm.ED25519
        )
    except InvalidKey:
        is_right = False
    if not is_right:
        raise Invalid("not an Ed25519 key", public="The source's signing key is not an Ed25519 key.")


def _check_wraps(wraps: Sequence[SealedWrap], required: dict[str, frozenset[str]]) -> None:
    given = [(wrap.compartment, wrap.holder) for wrap in wraps]
    wanted = {(compartment, holder) for compartment, holders in required.items() for holder in holders}
    if len(given) != len(set(given)) or set(given) != wanted:
        raise Invalid(
            "wraps are missing, doubled or for strangers",
            public="The keys must be sealed to each reader of the manifest, to the source, and to nobody else.",
        )
    for wrap in wraps:
        require_wrap(wrap.sealed)


def _check_objects(objects: Sequence[SealedPiece]) -> None:
    places = sorted((piece.compartment, piece.seq) for piece in objects)
    if places != [(Compartment.DIALOGUE, FIRST_SEQ), (Compartment.IDENTITY, FIRST_SEQ)]:
        raise Invalid(
            "not one submission and one identity object",
            public="An alert holds one submission and one identity object.",
        )
    for piece in objects:
        require_sealed(piece.sealed, "an object", max_bytes=MAX_OBJECT_BYTES)
