"""The door of last resort: a form without scripts whose answers this server seals at once. Closed unless an operator opens it.

Pages say what that means, before and after. Nothing that is typed here is logged, kept or written in clear; bodies are read
by our own parser, because the framework's spools to disk.
"""

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.errors import Invalid, NodeError, NoRoom, NotFound, Throttled, TooLarge
from node.intake.alerts import Mode
from node.intake.answers import MAX_TEXT_BYTES, read_answers
from node.intake.duty import promise
from node.intake.forms import form_of
from node.intake.manifest import DoorClosed
from node.intake.serversealed import Sealing, believed, count_modes
from node.intake.tickets import WaitNeeded
from node.intake.uploads import MAX_FILE_BYTES, MAX_FILES
from node.runtime import Node
from node.sealing.receipts import digits_of, entropy_of
from node.settings import Settings
from vocab.sourceform import Purpose, SourceForm
from web.pages import asking
from web.pages.intake import door_now, form_now
from web.pages.multipart import Begin, Data, End, read_form
from web.pages.rendering import render, speech_of
from web.pages.sending import manifest_now, take_in
from web.pages.turns import FIELD as TICKET
from web.pages.turns import Turn, retry_header
from web.pages.wire import NO_STORE

FILES = "attachments"
MAX_BYTES = MAX_FILES * MAX_FILE_BYTES + MAX_TEXT_BYTES
MAX_PASSED_OVER_BYTES = 64 * 1024 * 1024
FORM = "form"
PAGES = {"/alert/plain": Purpose.ALERT, "/alert/plain/urgent": Purpose.URGENT}


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses of this door where something is sent; none where it is closed."""
    if not settings.plain_door:
        return []
    return [
        *(Route(path, plain_page) for path in PAGES),
        *(Route(path, post_plain, methods=["POST"], max_body_size=MAX_BYTES) for path in PAGES),
    ]


# ---- sending -------------------------------------------------------------------------------------------------------


async def plain_page(request: Request) -> Response:
    """The form, and what its reader has to know."""
    source = await form_now(request.app.state.node, PAGES[request.url.path])
    return await _form(request, source, Turn(request))


async def post_plain(request: Request) -> Response:
    """Seal what arrives, store it, show the twelve words once."""
    node: Node = request.app.state.node
    sealing = Sealing(node)
    source = await form_now(node, PAGES[request.url.path])
    turn = Turn(request)
    try:
        with turn:
            # A door that closed meanwhile refuses what was typed only when all of it is read, so that it can be handed back.
            await _read(request, sealing, turn, refused=await _closed(node))
            manifest = await manifest_now(node)
            named = sealing.texts.pop(FORM, [source.sha256])[0]
            # Judged by the form it answers, which may have been replaced since the page was fetched.
            source = await _form_named(node, named, source)
            given = _given(sealing.texts, source)
            answers = read_answers(given, source)
            now = node.clock.now()
            body, receipt = sealing.close(
                believed(node, manifest.body, now=now),
                answers,
                form=source.sha256,
                day=now.date(),
                language=str(given.get("language") or speech_of(request).language),
            )
            is_urgent = source.purpose is Purpose.URGENT
            await take_in(node, body, mode=Mode.SERVER_SEALED, urgent=is_urgent)
    except NodeError as error:
        return await _form(request, source, turn, error=error, typed=sealing.texts)
    return render(
        request,
        "intake/plain-arrived.html",
        headers=NO_STORE,
        root_key="",
        words=str(receipt).split(),
        digits=digits_of(entropy_of(receipt)),
    )


class UnknownForm(NodeError):
    """What was typed answers a form that this server does not know."""


async def _form_named(node: Node, sha256: str, now: SourceForm) -> SourceForm:
    """The form somebody answered. Raises UnknownForm."""
    try:
        async with node.database.read() as session:
            found = await form_of(session, sha256)
    except NotFound:
        raise UnknownForm from None
    if found.purpose is not now.purpose:
        raise UnknownForm
    return found


def _given(texts: Mapping[str, Sequence[str]], source: SourceForm) -> dict[str, object]:
    """What was typed, as the values the form asks for. What cannot be one stays a text, and is refused as such."""
    types = {question.key: question.type for question in source.questions}

    def value(key: str, typed: Sequence[str]) -> object:
        match types.get(key):
            case "multi":
                return list(typed)
            case "url-list":
                return typed[0].split()
            case "boolean":
                return {"true": True, "false": False}.get(typed[0], typed[0])
            case "integer":
                return (
                    int(typed[0])
                    if typed[0].isascii() and typed[0].isdigit() and len(typed[0]) < 10
                    else typed[0]
                )
            case _:
                return typed[0]

    return {key: value(key, typed) for key, typed in texts.items() if typed}


async def _closed(node: Node) -> DoorClosed | None:
    try:
        await manifest_now(node)
    except DoorClosed as error:
        return error
    return None


async def _read(request: Request, sealing: Sealing, turn: Turn, *, refused: NodeError | None) -> None:
    """Take the form in as it comes. What is refused while it comes has its files passed over, so that nothing typed is lost.

    refused  why nothing can be taken, as far as that is known before. Raised at the end, like what is found on the way.
    """
    name, is_file, text = "", False, bytearray()
    passed_over = 0
    async for event in read_form(request):
        match event:
            case Begin(name=name, filename=filename, media_type=media_type):
                is_file, text = filename is not None, bytearray()
                # An input without a file sends an empty name.
                if filename and name == FILES and refused is None:
                    try:
                        turn.require()
                        sealing.begin_file(filename, media_type)
                    except NodeError as error:
                        refused = error
            case Data(content=content) if is_file and refused is not None:
                passed_over += len(content)
                if passed_over > MAX_PASSED_OVER_BYTES:
                    raise refused
            case Data(content=content) if is_file:
                try:
                    await sealing.write(content)
                except NodeError as error:
                    refused = error
            case Data(content=content):
                text += content
                if len(text) > MAX_TEXT_BYTES:
                    raise TooLarge("a text is too long")
            case End() if is_file and refused is None:
                try:
                    await sealing.end_file()
                except NodeError as error:
                    refused = error
            case End() if is_file:
                pass
            case End() if name == TICKET:
                turn.bring(bytes(text))
            case End():
                sealing.add_text(name, bytes(text))
    if refused is not None:
        raise refused
    turn.require()


# ---- pages ---------------------------------------------------------------------------------------------------------


async def _form(
    request: Request,
    source: SourceForm,
    turn: Turn,
    *,
    error: NodeError | None = None,
    typed: Mapping[str, Sequence[str]] | None = None,
) -> Response:
    node: Node = request.app.state.node
    async with node.database.read() as session:
        counted, hours = await count_modes(session), await promise(session)
    asked = {question.key for question in source.questions}
    return render(
        request,
        "intake/plain.html",
        status=_status(error),
        headers=NO_STORE | retry_header(error),
        # Its ticket is new each time and worth nothing to anybody else; what was typed is the secret.
        holds_no_secret=typed is None,
        root_key="",
        **await door_now(node),
        problem=_why(error),
        **turn.after(error),
        problems=error.problems if isinstance(error, Invalid) else {},
        typed=typed or {},
        # Nothing typed is lost, not even the answer to a question that is gone.
        homeless=[
            text for key, texts in (typed or {}).items() if key not in asked | {FORM} for text in texts
        ],
        counted=counted,
        **asking.context(speech_of(request).language, source, promised=hours),
    )


def _why(error: NodeError | None) -> str:
    match error:
        case None:
            return ""
        case DoorClosed():
            return "closed"
        case TooLarge():
            return "too-large"
        case WaitNeeded():
            return "wait"
        case Throttled():
            return "busy"
        case UnknownForm():
            return "old-form"
        case NoRoom():
            return "no-room"
        case Invalid() if error.problems:
            return "answers"
        case _:
            return "broken"


def _status(error: NodeError | None) -> int:
    return {"": 200, "closed": 503, "too-large": 413, "busy": 429, "wait": 429, "no-room": 503}.get(
        _why(error), 400
    )
