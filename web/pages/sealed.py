"""The source's door without scripts: whatever arrives here was sealed before, by the offline page, by `tracker seal` or by age.

The first bytes decide. What is not sealed is refused before a single byte of it is written anywhere.
"""

import secrets
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from node.errors import Conflict, Invalid, NodeError, Throttled, TooLarge
from node.intake.agefile import MAGIC as AGE
from node.intake.agefile import receive_age_file, recipients_of, require_for_all
from node.intake.alerts import Alert
from node.intake.manifest import DoorClosed, UnknownManifest
from node.intake.parts import Parts
from node.intake.tickets import WaitNeeded
from node.intake.uploads import MAX_FILE_BYTES, MAX_FILES
from node.runtime import Node
from node.sealing.errors import MalformedContent
from node.sealing.header import MAX_HEADER_BYTES
from node.sealing.packages import MAGIC as PACKAGE
from node.sealing.packages import PackageStart
from node.settings import Settings
from web.pages.intake import door_now
from web.pages.multipart import Begin, Data, End, read_form
from web.pages.rendering import render
from web.pages.sending import NewAlert, NewAttachment, manifest_now, take_in
from web.pages.turns import FIELD as TICKET
from web.pages.turns import Turn, retry_header
from web.pages.wire import NO_STORE, answer, parse

FIELD = "package"
MAX_BYTES = MAX_FILES * MAX_FILE_BYTES + 2 * 1024 * 1024
FILENAME = "keys.txt"


class NotSealed(Invalid):
    """Something in clear, or of a kind we do not know."""

    public = "This is not a sealed file. Nothing of it was kept."


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses of this door."""
    return [
        Route("/alert/sealed", sealed_page),
        Route("/alert/sealed", post_sealed, methods=["POST"], max_body_size=MAX_BYTES),
        Route("/alert/sealed", put_sealed, methods=["PUT"], max_body_size=MAX_BYTES),
        Route(f"/alert/{FILENAME}", keys),
    ]


async def sealed_page(request: Request) -> Response:
    """The form that takes a sealed file, and how to make one."""
    return await _page(request, Turn(request))


async def post_sealed(request: Request) -> Response:
    """A sealed file from the form."""
    turn = Turn(request)
    try:
        with turn:
            alert = await _from_form(request, turn)
    except NodeError as error:
        return await _page(request, turn, error)
    return render(request, "intake/sealed-arrived.html", headers=NO_STORE, root_key="", alert=alert)


async def put_sealed(request: Request) -> Response:
    """The same file as the whole body of a request, for tools. Answers JSON, as the sealed-alert API does."""
    node: Node = request.app.state.node
    taking = Taking(node)
    with Turn(request) as turn:
        turn.bring(request.headers.get(TICKET, "").encode())
        turn.require()
        try:
            async for piece in request.stream():
                await taking.write(piece)
        except ClientDisconnect:
            raise Invalid("the connection broke off") from None
        alert, is_new = await taking.close()
    return answer({"received_on": alert.received_on.isoformat(), "state": "received"}, 201 if is_new else 200)


async def keys(request: Request) -> Response:
    """The recipients for the stock age tool: `age -R keys.txt`, one a line."""
    node: Node = request.app.state.node
    try:
        manifest = await manifest_now(node)
    except DoorClosed as error:
        return PlainTextResponse(f"# {error.public}\n", 503, NO_STORE)
    lines = [
        f"# Keys of the people who read alerts at {node.settings.origin}",
        f"# Organisation root: {manifest.terms()['root']}",
        f"# Until {manifest.terms()['not_after']}. Needs age 1.3 or newer:",
        f"# age -R {FILENAME} -o alert.age FILE",
        *recipients_of(manifest),
    ]
    return PlainTextResponse(
        "\n".join(lines) + "\n",
        headers=NO_STORE | {"Content-Disposition": f'attachment; filename="{FILENAME}"'},
    )


# ---- taking it in ---------------------------------------------------------------------------------------------------


class Taking:
    """One sealed file on its way in, of either kind; `write` what comes, then `close`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._start = bytearray()
        self._kind: _Package | _AgeFile | None = None

    async def write(self, piece: bytes) -> None:
        """Take in more bytes. Raises NotSealed, Invalid, TooLarge, and what storing raises."""
        if self._kind is None:
            self._start += piece
            if len(self._start) < len(PACKAGE):
                return
            if self._start.startswith(PACKAGE):
                self._kind = _Package(self._node)
            elif self._start.startswith(AGE):
                self._kind = _AgeFile(self._node)
            else:
                self._start.clear()
                raise NotSealed("neither a package nor an age file")
            piece = bytes(self._start)
            self._start.clear()
        await self._kind.write(piece)

    async def close(self) -> tuple[Alert, bool]:
        """Hand over the alert; returns it, and whether it is new. Raises NotSealed, Invalid, DoorClosed, UnknownManifest, Conflict."""
        if self._kind is None:
            raise NotSealed("too short to be sealed")
        return await self._kind.close()


@dataclass
class _File:
    named: NewAttachment
    parts: Parts
    left: int


class _Package:
    """A package: the body first, then each file it names."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._start = PackageStart()
        self._files: list[_File] | None = None

    async def write(self, piece: bytes) -> None:
        if self._files is None:
            try:
                self._start.feed(piece)
            except MalformedContent as error:
                raise NotSealed(str(error)) from error
            if self._start.body is None:
                return
            # Judged before its files are kept: they come only with an alert that is one.
            alert = parse(self._start.body, NewAlert)
            self._files = [
                _File(named, Parts(self._node, named.upload), named.size) for named in alert.attachments
            ]
            piece, self._start.rest = self._start.rest, b""
        for file in self._files:
            if piece and file.left:
                own, piece = piece[: file.left], piece[file.left :]
                file.left -= len(own)
                await file.parts.write(own)
        if piece:
            raise Invalid("more than the body names")

    async def close(self) -> tuple[Alert, bool]:
        if self._files is None or self._start.body is None or any(file.left for file in self._files):
            raise Invalid("the package is cut short")
        for file in self._files:
            await file.parts.close()
        return await take_in(self._node, self._start.body)


class _AgeFile:
    """A file of the stock tool: its header is judged before the first byte of it is kept."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._parts = Parts(node, secrets.token_hex(16), is_judged=True)
        self._header: bytearray | None = bytearray()

    async def write(self, piece: bytes) -> None:
        if self._header is not None:
            self._header += piece
            end = self._header.find(b"\n--- ")
            if end < 0 or b"\n" not in self._header[end + 1 :]:
                if len(self._header) > MAX_HEADER_BYTES:
                    raise NotSealed("a header without an end")
                return
            manifest = await manifest_now(self._node)
            require_for_all(bytes(self._header), recipients_of(manifest))
            piece, self._header = bytes(self._header), None
        await self._parts.write(piece)

    async def close(self) -> tuple[Alert, bool]:
        if self._header is not None:
            raise NotSealed("the header is cut short")
        file = await self._parts.close()
        manifest = await manifest_now(self._node)
        async with self._node.database.begin() as session:
            alert, is_new = await receive_age_file(session, file, manifest, now=self._node.clock.now())
        await self._node.bell.ring()
        return alert, is_new


async def _from_form(request: Request, turn: Turn) -> Alert:
    taking: Taking | None = None
    is_inside = is_ticket = False
    async for event in read_form(request):
        match event:
            case Begin(name=name):
                is_ticket = name == TICKET
                is_inside = name == FIELD and taking is None
                if is_inside:
                    turn.require()
                    taking = Taking(request.app.state.node)
            case Data(content=content) if is_ticket:
                turn.bring(content)
            case Data(content=content) if is_inside and taking is not None:
                await taking.write(content)
            case End():
                is_inside = False
    if taking is None:
        raise NotSealed("no file in the form")
    alert, _ = await taking.close()
    return alert


# ---- pages ---------------------------------------------------------------------------------------------------------


async def _page(request: Request, turn: Turn, error: NodeError | None = None) -> Response:
    node: Node = request.app.state.node
    return render(
        request,
        "intake/sealed.html",
        status=200 if error is None else _status(error),
        headers=NO_STORE | retry_header(error),
        root_key=node.keyring.root_id or "",
        **await door_now(node),
        problem="" if error is None else _why(error),
        **turn.after(error),
        plain_door=node.settings.plain_door,
    )


def _why(error: NodeError) -> str:
    """The word under which the template keeps the sentence."""
    match error:
        case NotSealed():
            return "not-sealed"
        case DoorClosed():
            return "closed"
        case UnknownManifest():
            return "old-list"
        case Conflict():
            return "taken"
        case TooLarge():
            return "too-large"
        case WaitNeeded():
            return "wait"
        case Throttled():
            return "busy"
        case _:
            return "broken"


def _status(error: NodeError) -> int:
    return {"closed": 503, "old-list": 409, "taken": 409, "too-large": 413, "busy": 429, "wait": 429}.get(
        _why(error), 400
    )
