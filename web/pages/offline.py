"""The form as one file to carry away: it works from a disk, without a network, and writes a package.

Nothing is linked: styles, script, root key and the signed list of keys stand inside, under a policy of its own that allows
these scripts and styles by their hash and every request to nobody. Made from the same templates and the same bundle as the form.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.errors import Misconfigured
from node.intake.manifest import DoorClosed
from node.runtime import Node
from node.settings import Settings
from vocab.sourceform import Purpose
from web.pages.intake import asked_now
from web.pages.rendering import render, speech_of
from web.pages.sending import manifest_now
from web.pages.squeezing import squeezed
from web.pages.wire import NO_STORE

PATHS = {"/alert/offline.html": Purpose.ALERT, "/alert/urgent/offline.html": Purpose.URGENT}
FILENAME = "form.html"
STYLES = ("tokens.css", "base.css", "intake.css")
_LINK = re.compile(r'<link rel="stylesheet" href="([a-z]+\.css)">')


def routes(settings: Settings) -> list[BaseRoute]:
    """Where the pages are downloaded."""
    return [Route(path, offline_page) for path in PATHS]


async def offline_page(request: Request) -> Response:
    """The file. 503 while nobody could open what it seals. Raises Misconfigured without a browser bundle."""
    node: Node = request.app.state.node
    try:
        manifest = await manifest_now(node)
    except DoorClosed as error:
        return render(request, "error.html", status=503, headers=NO_STORE, sentence=error.public)
    script, styles = _script(), [_style(name) for name in STYLES]
    page = render(
        request,
        "intake/offline.html",
        is_open=True,
        is_shut=False,
        elsewhere="",
        root_key=node.keyring.root_id or "",
        policy=_policy(script, styles),
        list=base64.b64encode(manifest.body).decode("ascii"),
        until=manifest.terms()["not_after"][:10],
        script=Markup(script),  # noqa: S704 — our own bundle, which holds no end tag, as `_script` makes sure
        # Addresses in a file lead nowhere: links name the node, and files are put inside.
        link=lambda path: f"{node.settings.origin}{path}",
        static=lambda name: name,
        **await asked_now(node, PATHS[request.url.path], speech_of(request).language),
    )
    # Lambda, not a pattern: a style sheet is no template for replacements.
    text = _LINK.sub(lambda found: f"<style>{_style(found[1])}</style>", bytes(page.body).decode("utf-8"))
    headers = NO_STORE | {
        "Content-Disposition": f'attachment; filename="{FILENAME}"',
        "Content-Language": page.headers["content-language"],
    }
    return squeezed(Response(text, media_type="text/html", headers=headers), request.headers)


def _policy(script: str, styles: Sequence[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {' '.join(map(_hash, styles))}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _style(name: str) -> str:
    return files("web").joinpath("static", name).read_text("utf-8")


@cache
def _script() -> str:
    built = files("web").joinpath("static", "built")
    listing = built.joinpath("manifest.json")
    if not listing.is_file():
        raise Misconfigured("The browser bundle is not built: run `make setup`")
    script = built.joinpath(json.loads(listing.read_bytes())["offline.js"]["file"]).read_text("utf-8")
    if re.search(r"</script|<!--", script, re.IGNORECASE):
        raise Misconfigured("The browser bundle holds an end tag and cannot be put into a page")
    return script
