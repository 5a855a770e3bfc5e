"""Coming back to the door of last resort: the words of a receipt are posted for one request, which reads, answers or decides.

The server derives the keys, does what was asked, shows the exchange and forgets. A no, and deleting everything, are open to
whoever has the words. A yes only where the alert says for ever that this server sealed it: elsewhere whoever publishes may rely
on a yes having been signed on the source's own device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.errors import Conflict, Invalid, NodeError, NotAllowed, NotFound
from node.intake import mailbox
from node.intake.alerts import Consent, Mode
from node.intake.consent import Answer, consents_of, keep_consent, statement
from node.intake.manifest import ever_named
from node.intake.receive import notify_desk
from node.runtime import Node
from node.sealing.alerts import OpenedMailbox, compose_message, open_mailbox
from node.sealing.dialogue import ConsentRequest, Entry
from node.sealing.envelope import from_base64
from node.sealing.errors import InvalidReceipt, SealingError
from node.sealing.receipts import SourceKeys, source_keys
from node.settings import Settings
from web.pages.mailbox import burn_all, sealed_parts
from web.pages.rendering import render, speech_of
from web.pages.wholetext import lines_of
from web.pages.wire import NO_STORE, read_bytes

MAX_FORM_BYTES = 128 * 1024
MAX_ANSWER_CHARACTERS = 20_000


class Move(StrEnum):
    """What a source may do besides reading and writing. The first two are about the exact text that was asked about last."""

    TEXT_YES = "text-yes"
    TEXT_NO = "text-no"
    YES = "yes"
    NO = "no"
    SHARE_YES = "share-yes"
    SHARE_NO = "share-no"
    BURN = "burn"


# What each of them answers, and about which use.
ANSWERS = {
    Move.TEXT_YES: ("publish", "yes"),
    Move.TEXT_NO: ("publish", "no"),
    Move.YES: ("publish", "yes"),
    Move.NO: ("publish", "no"),
    Move.SHARE_YES: ("share", "yes"),
    Move.SHARE_NO: ("share", "no"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What came with the form. `about` is the hash of the text that was on the page."""

    words: str = field(repr=False)
    text: str = field(repr=False)
    move: Move | None
    about: str
    is_sure: bool


def routes(settings: Settings) -> list[BaseRoute]:
    """The address; none where this door is closed."""
    if not settings.plain_door:
        return []
    return [
        Route("/alert/plain/receipt", receipt_page),
        Route("/alert/plain/receipt", post_receipt, methods=["POST"]),
    ]


async def receipt_page(request: Request) -> Response:
    """Where the words of a receipt are handed over for one request."""
    return _receipt(request)


async def post_receipt(request: Request) -> Response:
    """Open the mailbox, do what was asked, show the dialogue, forget the words."""
    node: Node = request.app.state.node
    asked = await _read(request)
    try:
        keys = source_keys(asked.words, node.settings.origin)
    except InvalidReceipt:
        return _receipt(request, problem="receipt", status=400, answer=asked.text)
    if len(asked.text) > MAX_ANSWER_CHARACTERS:
        return _receipt(request, problem="too-large", status=413, answer=asked.text)
    if asked.move is Move.BURN and not asked.is_sure:
        return _receipt(request, problem="not-sure", status=400, answer=asked.text)
    try:
        if asked.move is Move.BURN:
            await burn_all(node, _token(keys))
            return render(request, "intake/plain-burnt.html", headers=NO_STORE, root_key="")
        await _do(node, keys, asked)
        found, opened, consents = await _opened(node, keys)
    except NotFound:
        return _receipt(request, problem="not-found", status=404, answer=asked.text)
    except TextReplaced:
        return _receipt(request, problem="text-replaced", status=409, answer=asked.text)
    except NotAllowed:
        return _receipt(request, problem="own-device", status=403, answer=asked.text)
    except SealingError:
        return _receipt(request, problem="broken", status=409, answer=asked.text)
    except NodeError:
        return _receipt(request, problem="not-sent", status=409, answer=asked.text)
    language = speech_of(request).language
    latest = _latest(opened)
    return render(
        request,
        "intake/plain-mailbox.html",
        headers=NO_STORE,
        root_key="",
        alert=found.alert,
        entries=opened.entries,
        latest=latest,
        text=[] if latest is None else lines_of(latest.fields, language),
        consent=next((one for one in reversed(consents) if one.use == "publish"), None),
        share=next((one for one in reversed(consents) if one.use == "share"), None),
        may_agree=_may_agree(found),
        answered=bool(asked.text),
        decided=asked.move is not None,
    )


class TextReplaced(Conflict):
    """The desk has asked about another text since the page was shown."""


async def _do(node: Node, keys: SourceKeys, asked: Asked) -> None:
    """Add the consent and the message that were asked for, both or neither."""
    if asked.move is None and not asked.text:
        return
    now = node.clock.now()
    async with node.database.begin() as session:
        found = await mailbox.open_mailbox(session, _token(keys))
        opened = open_mailbox(_record(found), keys, desk=await ever_named(session))
        if asked.move is not None:
            seq = len(await consents_of(session, found.alert.id)) + 1
            unsigned = Answer(seq, *ANSWERS[asked.move], _about(found, opened, asked), now.date(), "")
            said = statement(unsigned, node=node.settings.origin, alert_id=found.alert.id)
            given = replace(unsigned, signature=keys.signing.sign(said))
            await keep_consent(session, found.alert, given, node=node.settings.origin, now=now)
            await notify_desk(session, now=now)
        if asked.text:
            message = compose_message(opened, asked.text, by=keys.signing, day=now.date())
            sealed = from_base64(message["sealed"])
            await mailbox.answer(session, _token(keys), seq=opened.at.seq, sealed=sealed, now=now)
    await node.bell.ring()


def _about(found: mailbox.Contents, opened: OpenedMailbox, asked: Asked) -> str | None:
    """The hash an answer names; None where it is about publication as such. Raises NotAllowed, TextReplaced."""
    if asked.move in {Move.TEXT_YES, Move.YES, Move.SHARE_YES} and not _may_agree(found):
        raise NotAllowed("a yes without scripts to an alert that was sealed elsewhere")
    if asked.move not in {Move.TEXT_YES, Move.TEXT_NO}:
        return None
    latest = _latest(opened)
    if latest is None or latest.sha256 != asked.about:
        raise TextReplaced("another text was asked about since")
    return latest.sha256


def _may_agree(found: mailbox.Contents) -> bool:
    return found.alert.mode == Mode.SERVER_SEALED


def _latest(opened: OpenedMailbox) -> ConsentRequest | None:
    """The text the desk asked about last; those before it were replaced."""
    return next(
        (
            entry.content
            for entry in reversed(opened.entries)
            if isinstance(entry, Entry) and isinstance(entry.content, ConsentRequest)
        ),
        None,
    )


async def _opened(node: Node, keys: SourceKeys) -> tuple[mailbox.Contents, OpenedMailbox, Sequence[Consent]]:
    async with node.database.read() as session:
        found = await mailbox.open_mailbox(session, _token(keys))
        # Also of those who left: this server took their words in while they were here.
        opened = open_mailbox(_record(found), keys, desk=await ever_named(session))
        return found, opened, await consents_of(session, found.alert.id)


def _record(found: mailbox.Contents) -> dict[str, object]:
    return {"id": found.alert.id, "state": found.alert.state, **sealed_parts(found)}


def _token(keys: SourceKeys) -> bytes:
    return bytes.fromhex(keys.mailbox_token)


async def _read(request: Request) -> Asked:
    """A short form in memory. Raises HTTPException 415, TooLarge, Invalid."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = await read_bytes(request, max_bytes=MAX_FORM_BYTES)
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=8, errors="strict")
        form = {name: values[0] for name, values in found.items()}
        move = Move(form["move"]) if "move" in form else None
    except ValueError:
        raise Invalid("not a form") from None
    text = form.get("answer", "").replace("\r\n", "\n").strip()
    return Asked(form.get("words", ""), text, move, form.get("about", ""), "sure" in form)


def _receipt(request: Request, *, problem: str = "", status: int = 200, answer: str = "") -> Response:
    """`answer` is what was typed: nothing of it is lost to a slip in the words, which are not shown again."""
    return render(
        request,
        "intake/plain-receipt.html",
        status=status,
        headers=NO_STORE,
        root_key="",
        problem=problem,
        answer=answer,
    )
