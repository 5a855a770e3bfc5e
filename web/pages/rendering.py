"""Pages out of templates: one Jinja environment, and the few things every template may call.

Templates find `settings`, `speech`, `language`, `path` and `status` in every page; `static(name)` and
`asset(name)` for files, `link(path)` for addresses that keep the reader's language, and gettext as `_` or
`{% trans %}`. Macros that speak are imported `with context`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from urllib.parse import urlencode, urlsplit, urlunsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse

from node.settings import Settings
from web import locale
from web.locale import Speech
from web.pages import wording

HASH_LENGTH = 12  # hex digits in ?v=: enough to tell versions apart, not a check


@dataclass(frozen=True, slots=True)
class Asset:
    """A built file: where it is served, and its subresource integrity value."""

    url: str
    integrity: str


def make_templates() -> Environment:
    """The environment of all templates, made once per application: `app.state.templates`."""
    environment = Environment(
        loader=FileSystemLoader(str(files("web").joinpath("templates"))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(
        static=cache(_static),
        asset=cache(_asset),
        link=_link,
        in_language=_in_language,
        LANGUAGE_NAMES=locale.NAMES,
    )
    wording.install(environment)
    return environment


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> HTMLResponse:
    """A page. `context` is what the template names besides what every page has."""
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
    return response


def speech_of(request: Request) -> Speech:
    """The language of the reply to this request."""
    settings: Settings = request.app.state.node.settings
    return locale.choose(
        request.query_params.get("lang"), request.headers.get("accept-language"), settings.languages
    )


def _static(name: str) -> str:
    """Address of a file in web/static; its content is part of the address, so it can be kept for ever."""
    content = files("web").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={sha256(content).hexdigest()[:HASH_LENGTH]}"


def _asset(name: str) -> Asset:
    """A file of the browser bundle by its name in static/built/manifest.json."""
    manifest = json.loads(files("web").joinpath("static", "built", "manifest.json").read_text("utf-8"))
    entry = manifest[name]
    return Asset(f"/static/built/{entry['file']}", entry["integrity"])


@pass_context
def _gettext(context: Context, message: str) -> str:
    return locale.translations(context["language"]).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, n: int) -> str:
    return locale.translations(context["language"]).ngettext(singular, plural, n)


@pass_context
def _link(context: Context, address: str, **query: str | int | None) -> str:
    """An address on this site: `query` joined, and the language kept when the reader asked for one."""
    speech: Speech = context["speech"]
    pairs = [(key, str(value)) for key, value in query.items() if value not in (None, "")]
    if speech.asked:
        pairs.append(("lang", speech.language))
    parts = urlsplit(address)
    joined = "&".join(filter(None, (parts.query, urlencode(pairs))))
    return urlunsplit(parts._replace(query=joined))


@pass_context
def _in_language(context: Context, language: str) -> str:
    """This same page in another language."""
    pairs = [(key, value) for key, value in context["query"] if key != "lang"]
    return f"{context['path']}?{urlencode([*pairs, ('lang', language)])}"
