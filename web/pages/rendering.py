"""Pages out of templates: one Jinja environment, and the few things every template may call.

Templates find `settings`, `speech`, `language`, `path` and `status` in every page; `static(name)`,
`asset(name)` and `scripts(name)` for files, `link(path)` for addresses that keep the reader's language, and gettext as `_` or
`{% trans %}`. Macros that speak are imported `with context`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from node.errors import Misconfigured
from node.settings import Settings
from web import errors, locale
from web.locale import Speech
from web.pages import addresses, wording
from web.pages.squeezing import squeezed

HASH_LENGTH = 12  # hex digits in ?v=: enough to tell versions apart, not a check


@dataclass(frozen=True, slots=True)
class Asset:
    """A built file: where it is served, and its subresource integrity value."""

    url: str
    integrity: str


@cache
def make_templates() -> Environment:
    """The environment of all templates, made once: nothing in it belongs to one application rather than another."""
    environment = Environment(
        loader=FileSystemLoader(str(files("web").joinpath("templates"))),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = (
        True  # a message is one line, however it is wrapped in a template
    )
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(
        static=cache(_static),
        usual_sentence=errors.sentence,
        asset=cache(_asset),
        scripts=cache(_scripts),
        LANGUAGE_NAMES=locale.NAMES,
    )
    wording.install(environment)
    addresses.install(environment)
    return environment


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    holds_no_secret: bool = False,
    **context: object,
) -> Response:
    """A page. `context` is what the template names besides what every page has.

    holds_no_secret  nothing in it was typed by anybody or is anybody's own: it may be sent compressed.
    """
    environment: Environment = request.app.state.templates
    settings: Settings = request.app.state.node.settings
    speech = speech_of(request)
    body = environment.get_template(template).render(
        **context,
        settings=settings,
        speech=speech,
        language=speech.language,
        path=request.url.path,
        query=tuple(request.query_params.multi_items()),
        status=status,
    )
    response = HTMLResponse(body, status, dict(headers or {}))
    response.headers["Content-Language"] = speech.language
    response.headers.add_vary_header("Accept-Language")
    return squeezed(response, request.headers) if holds_no_secret else response


def speech_of(request: Request) -> Speech:
    """The language of the reply to this request."""
    settings: Settings = request.app.state.node.settings
    # A list may come in several lines (RFC 9110 §5.3); a cache holds what was answered against all of them.
    accepted = ",".join(request.headers.getlist("accept-language"))
    return locale.choose(request.query_params.get("lang"), accepted, settings.languages)


def _static(name: str) -> str:
    """Address of a file in web/static; its content is part of the address, so it can be kept for ever."""
    content = files("web").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={sha256(content).hexdigest()[:HASH_LENGTH]}"


def _asset(name: str) -> Asset:
    """A file of the browser bundle by its name in static/built/manifest.json."""
    entry = _built()[name]
    return Asset(f"/static/built/{entry['file']}", entry["integrity"])


def _scripts(name: str) -> tuple[Asset, ...]:
    """What a page begins with, in the order in which it has to run: what its script needs, then the script itself."""
    return tuple(_asset(one) for one in (*_built()[name]["needs"], name))


@cache
def _built() -> dict[str, Any]:
    # Any: the list that web/browser/build.mjs writes.
    manifest = files("web").joinpath("static", "built", "manifest.json")
    if not manifest.is_file():
        raise Misconfigured("The browser bundle is not built: run `make setup`")
    found: dict[str, Any] = json.loads(manifest.read_text("utf-8"))
    return found


@pass_context
def _gettext(context: Context, message: str) -> str:
    return locale.translations(context["language"]).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, n: int) -> str:
    return locale.translations(context["language"]).ngettext(singular, plural, n)
