"""An alert from both of its ends: composed for sending, opened at the desk, opened again with the receipt, answered.

This is what the browser does, in Python: for other clients, the door without JavaScript, offline tools and tests. The
JSON is that of the sealed-alert API (`/api/v1`).
"""

import hashlib
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from node.sealing.attachments import Attachment, File, Part, SealedUpload, open_file, seal_file
from node.sealing.dialogue import Entry, RefusedEntry, Submission, Voices, read_dialogue
from node.sealing.envelope import Document, from_base64, to_base64
from node.sealing.errors import (
    MalformedContent,
    ManifestOtherNode,
    NotForThisKey,
    SealingError,
    WrongSignature,
)
from node.sealing.manifest import VerifiedManifest
from node.sealing.objects import (
    FIRST,
    FIRST_EPOCH,
    Compartment,
    CompartmentKey,
    Next,
    ObjectType,
    Place,
    compose,
    generate_compartment,
    open_chain,
)
from node.sealing.receipts import SourceKeys, source_keys
from node.sealing.signing import SigningKey
from node.sealing.vault import HandlerKeys
from node.sealing.wraps import compose_wrap, open_wrap
from vocab.canonical import canonical
from vocab.sourceform import Purpose, bundled

Keys = Mapping[Compartment, CompartmentKey]
"""The keys of an alert's two compartments."""


@dataclass(frozen=True)
class ComposedAlert:
    """An alert ready to send: the parts first (PUT), then `body` (POST /api/v1/alerts)."""

    id: str
    source: SourceKeys
    body: bytes
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class OpenedMailbox:
    """A dialogue opened by one of its two sides.

    at  where the next message goes.
    """

    id: str
    node: str
    entries: tuple[Entry | RefusedEntry, ...]
    dialogue: CompartmentKey
    at: Next
    held: tuple[CompartmentKey, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class OpenedAlert(OpenedMailbox):
    """An alert opened at the desk.

    submission       None where it does not hold; the reason stands in `entries`.
    identity_fields  None when this person holds no key to them; the error where they do not hold.
    """

    submission: Submission | None
    identity_fields: Document | SealingError | None


def compose_alert(
    manifest: VerifiedManifest,
    node: str,
    answers: Mapping[str, object],
    identity_fields: Mapping[str, object],
    files: Sequence[File],
    receipt: str,
    day: date,
    *,
    language: str = "en",
    form: str | None = None,
) -> ComposedAlert:
    """Seal an alert for the handlers of a manifest and for the holder of the receipt.

    identity_fields  sealed apart for the custodians; may be empty, and an object is sent all the same.
    form             hash of the form the answers belong to; the one that comes along by default.
    Raises ManifestOtherNode, InvalidReceipt.
    """
    keys = new_keys()
    uploads = [seal_file(file, keys[Compartment.DIALOGUE].recipient) for file in files]
    composed = compose_around(
        manifest,
        node,
        answers,
        identity_fields,
        [(upload.attachment, upload.wire) for upload in uploads],
        receipt,
        day,
        keys=keys,
        language=language,
        form=form,
    )
    return replace(composed, parts=tuple(part for upload in uploads for part in upload.parts))


def new_keys() -> Keys:
    """Return fresh keys for an alert: made first, where its files are sealed before the rest."""
    return {Compartment.DIALOGUE: generate_compartment(), Compartment.IDENTITY: generate_compartment()}


def compose_around(
    manifest: VerifiedManifest,
    node: str,
    answers: Mapping[str, object],
    identity_fields: Mapping[str, object],
    attachments: Sequence[tuple[Attachment, Document]],
    receipt: str,
    day: date,
    *,
    keys: Keys,
    language: str = "en",
    form: str | None = None,
) -> ComposedAlert:
    """Seal an alert around files that were sealed to `keys` already, each as the submission and the server are told of it.

    Raises ManifestOtherNode, InvalidReceipt.
    """
    if manifest.manifest.node != node:
        raise ManifestOtherNode("the manifest is another node's")
    source, identifier = source_keys(receipt, node), secrets.token_hex(16)
    contents: dict[Compartment, tuple[ObjectType, Document]] = {
        Compartment.DIALOGUE: (
            ObjectType.SUBMISSION,
            {
                "form": form or bundled(Purpose.ALERT).sha256,
                "language": language,
                "answers": dict(answers),
                "attachments": [attachment.to_json() for attachment, _ in attachments],
            },
        ),
        Compartment.IDENTITY: (ObjectType.IDENTITY, {"fields": dict(identity_fields)}),
    }
    wraps: list[Document] = []
    objects: list[Document] = []
    for compartment, (kind, content) in contents.items():
        place, key = Place(node, identifier, compartment), keys[compartment]
        for holder, recipient in _holders(manifest, compartment, source):
            wrap = compose_wrap(key, recipient, place=place, by=source.signing, manifest=manifest.sha256)
            wraps.append({"compartment": str(compartment), "holder": holder, "sealed": to_base64(wrap)})
        sealed = compose(
            kind, content, place=place, recipient=key.recipient, at=FIRST, day=day, by=source.signing
        )
        objects.append({"compartment": str(compartment), "seq": FIRST.seq, "sealed": to_base64(sealed)})
    body = canonical(
        {
            "v": 1,
            "id": identifier,
            "manifest": manifest.sha256,
            "mailbox": source.mailbox,
            "source": {"age": source.recipient, "ed25519": source.signing.id},
            "compartments": {str(compartment): key.recipient for compartment, key in keys.items()},
            "wraps": wraps,
            "objects": objects,
            "attachments": [wire for _, wire in attachments],
        }
    )
    return ComposedAlert(identifier, source, body, ())


def open_alert(
    record: Mapping[str, object], keys: HandlerKeys, *, node: str, staff: Collection[str]
) -> OpenedAlert:
    """Open an alert at the desk.

    record  the JSON of GET /api/v1/desk/alerts/{id}.
    staff   key ids of the staff: whose replies and grants are believed.
    Raises NotForThisKey without a wrap for this person; MalformedContent, WrongPlace, WrongSignature.
    """
    identifier, source = _text_in(record, "id"), _text_in(_member(record, "source"), "ed25519")
    may_grant = {source, *staff}
    recipients = _member(record, "compartments")

    def keys_of(compartment: Compartment) -> tuple[CompartmentKey, ...]:
        first = _text_in(recipients, str(compartment))
        opened = [
            open_wrap(
                sealed,
                keys.identity,
                place=Place(node, identifier, compartment),
                may_grant=may_grant,
                recipient=first if epoch == FIRST_EPOCH else None,
                epoch=epoch,
            ).key
            for epoch, sealed in _wraps(record, compartment)
        ]
        return tuple(sorted(opened, key=lambda one: one.epoch))

    held = keys_of(Compartment.DIALOGUE)
    if not held:
        raise NotForThisKey("no wrap for this person")
    entries, at = read_dialogue(
        _sealed(record, "objects", Compartment.DIALOGUE),
        held,
        Place(node, identifier, Compartment.DIALOGUE),
        Voices(source, staff),
    )
    first = entries[0] if entries else None
    submission = first.content if isinstance(first, Entry) and isinstance(first.content, Submission) else None
    fields: Document | SealingError | None
    try:
        identity = keys_of(Compartment.IDENTITY)
        place = Place(node, identifier, Compartment.IDENTITY)
        # Without a custodian's grant the key may be here, for others, and the text is not.
        is_here = bool(identity) and any(True for _ in _sealed(record, "objects", Compartment.IDENTITY))
        fields = _identity_fields(record, identity, place, source) if is_here else None
    except SealingError as error:
        fields = error
    return OpenedAlert(identifier, node, entries, held[-1], at, submission, fields, held=held)


def open_mailbox(record: Mapping[str, object], source: SourceKeys, *, desk: Collection[str]) -> OpenedMailbox:
    """Open a mailbox with the keys of its receipt.

    record  the JSON of GET /api/v1/mailbox.
    desk    key ids of the handlers in a verified manifest: a reply signed by anybody else is refused.
    """
    place = Place(source.node, _text_in(record, "id"), Compartment.DIALOGUE)
    # The source granted the first wrap to itself: its signature also ties the mailbox to the alert's id. Later keys are made
    # at the desk when somebody leaves it, by people the organisation names in its list.
    opened = [
        open_wrap(
            sealed,
            source.identity,
            place=place,
            may_grant={source.signing.id} if epoch == FIRST_EPOCH else desk,
            epoch=epoch,
        ).key
        for epoch, sealed in _wraps(record, Compartment.DIALOGUE)
    ]
    held = tuple(sorted(opened, key=lambda one: one.epoch))
    if not held or held[0].epoch != FIRST_EPOCH:
        raise MalformedContent("a mailbox without its key")
    entries, at = read_dialogue(
        _sealed(record, "objects", Compartment.DIALOGUE), held, place, Voices(source.signing.id, desk)
    )
    return OpenedMailbox(place.case, source.node, entries, held[-1], at, held=held)


def compose_message(
    opened: OpenedMailbox, text: str, *, by: SigningKey, day: date, files: Sequence[SealedUpload] = ()
) -> Document:
    """Return the JSON that adds a message, from either side. `files` are sealed to the same key; their parts are sent before."""
    body: Document = {"text": text}
    if files:
        body["attachments"] = [file.attachment.to_json() for file in files]
    message = _in_dialogue(opened, ObjectType.MESSAGE, body, by=by, day=day)
    return message | {"attachments": [file.wire for file in files]} if files else message


def compose_consent_request(
    opened: OpenedMailbox, fields: Document, *, by: SigningKey, day: date
) -> Document:
    """Return the JSON that asks, from the desk, whether exactly these public fields may be published."""
    asked = _in_dialogue(opened, ObjectType.CONSENT_REQUEST, {"fields": fields}, by=by, day=day)
    return asked | {"text_sha256": hashlib.sha256(canonical(fields)).hexdigest()}


def _in_dialogue(
    opened: OpenedMailbox, kind: ObjectType, body: Document, *, by: SigningKey, day: date
) -> Document:
    sealed = compose(
        kind,
        body,
        place=Place(opened.node, opened.id, Compartment.DIALOGUE),
        recipient=opened.dialogue.recipient,
        epoch=opened.dialogue.epoch,
        at=opened.at,
        day=day,
        by=by,
    )
    return {"seq": opened.at.seq, "sealed": to_base64(sealed)}


def open_attachment(opened: OpenedMailbox, attachment: Attachment, sealed: bytes) -> bytes:
    """Return a file of the submission, only when it is whole and the one that was named."""
    for key in opened.held:
        try:
            return open_file([sealed], key.identity, attachment)
        except NotForThisKey:
            # A file stays under the key it was sealed to; another of the dialogue's keys may be the one.
            continue
    raise NotForThisKey("sealed to none of these keys")


def _holders(
    manifest: VerifiedManifest, compartment: Compartment, source: SourceKeys
) -> Iterator[tuple[str, str]]:
    for handler in manifest.manifest.holders(compartment):
        yield handler.id, handler.age
    yield "source", source.recipient
    if manifest.manifest.recovery is not None:
        yield "recovery", manifest.manifest.recovery


def _identity_fields(
    record: Mapping[str, object], keys: Sequence[CompartmentKey], place: Place, source: str
) -> Document:
    links, _ = open_chain(_sealed(record, "objects", Compartment.IDENTITY), keys, place)
    if not links:
        raise MalformedContent("no identity object")
    outcome = links[0].outcome
    if isinstance(outcome, SealingError):
        raise outcome
    fields = outcome.body.get("fields")
    if outcome.sender != source or not isinstance(fields, dict):
        raise WrongSignature("not the source's identity fields")
    return fields


def _wraps(record: Mapping[str, object], compartment: Compartment) -> Iterator[tuple[int, bytes]]:
    """Yield (epoch, sealed) of a record's wraps of one compartment."""
    listed = record.get("wraps")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and one.get("compartment") == str(compartment):
            epoch = one.get("epoch", FIRST_EPOCH)
            yield (epoch if isinstance(epoch, int) else 0), from_base64(one.get("sealed"))


def _sealed(record: Mapping[str, object], name: str, compartment: Compartment) -> Iterator[tuple[int, bytes]]:
    """Yield (seq, sealed) of a record's objects in one compartment."""
    listed = record.get(name)
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and one.get("compartment") == str(compartment):
            seq = one.get("seq", 0)
            yield (seq if isinstance(seq, int) else 0), from_base64(one.get("sealed"))


def _member(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = record.get(name)
    if not isinstance(value, Mapping):
        raise MalformedContent(f"{name} is missing")
    return value


def _text_in(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise MalformedContent(f"{name} is missing")
    return value
