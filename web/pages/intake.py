"""The source's door as pages: the form, the short one, the receipt. What they send to is in `sending` and `mailbox`.

No cookie, no account, no address.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.intake.duty import promise
from node.intake.forms import current_form
from node.intake.manifest import DoorClosed
from node.intake.switch import closure
from node.runtime import Node
from node.settings import Settings
from vocab.sourceform import Purpose, SourceForm
from web.pages import asking
from web.pages.rendering import render, speech_of
from web.pages.sending import manifest_now
from web.pages.wire import NO_STORE


def routes(_settings: Settings) -> list[BaseRoute]:
    """The source's pages."""
    return [
        Route("/alert", form_page),
        Route("/alert/urgent", urgent_page),
        Route("/alert/receipt", receipt_page),
        Route("/alert/words", words_page),
    ]


async def form_page(request: Request) -> Response:
    """The form a source fills in. Says that the door is closed when fewer than two people could read it."""
    return await _form(request, Purpose.ALERT)


async def urgent_page(request: Request) -> Response:
    """The short form, for what cannot wait."""
    return await _form(request, Purpose.URGENT)


async def receipt_page(request: Request) -> Response:
    """Where a source comes back with twelve words."""
    return render(
        request,
        "intake/receipt.html",
        headers=NO_STORE,
        holds_no_secret=True,
        root_key=_root_key(request),
        **asking.context(speech_of(request).language),
    )


async def words_page(request: Request) -> Response:
    """The names a public text is drawn with, for the script of a source who is asked about one. Nothing of any case."""
    return render(
        request, "intake/words.html", headers=NO_STORE, **asking.context(speech_of(request).language)
    )


async def form_now(node: Node, purpose: Purpose) -> SourceForm:
    """The form sources are asked with now."""
    async with node.database.read() as session:
        return await current_form(session, purpose)


async def asked_now(node: Node, purpose: Purpose, language: str) -> dict[str, Any]:
    """What a page that asks a source needs: the form, and the promise of an answer where there is one. Any: a template's context."""
    async with node.database.read() as session:
        source, hours = await current_form(session, purpose), await promise(session)
    return asking.context(language, source, promised=hours)


async def door_now(node: Node) -> dict[str, Any]:
    """What a page has to know of the door: whether it is open, whether it was closed by hand, and where else to go. Any: a template's words."""
    try:
        await manifest_now(node)
    except DoorClosed:
        async with node.database.read() as session:
            shut = await closure(session)
        return {"is_open": False, "is_shut": shut is not None, "elsewhere": shut.elsewhere if shut else ""}
    return {"is_open": True, "is_shut": False, "elsewhere": ""}


async def _form(request: Request, purpose: Purpose) -> Response:
    node: Node = request.app.state.node
    return render(
        request,
        "intake/form.html",
        headers=NO_STORE,
        holds_no_secret=True,
        **await door_now(node),
        root_key=_root_key(request),
        **await asked_now(node, purpose, speech_of(request).language),
    )


def _root_key(request: Request) -> str:
    node: Node = request.app.state.node
    return node.keyring.root_id or ""
