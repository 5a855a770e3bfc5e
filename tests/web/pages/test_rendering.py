"""The environment of the templates, and pages of errors."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from web.pages.rendering import make_templates

HOME = Path(str(files("web").joinpath("templates")))
TEMPLATES = sorted(str(path.relative_to(HOME)) for path in HOME.rglob("*.html"))


def test_what_a_template_does_not_get_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        make_templates().from_string("{{ nothing }}").render()


def test_a_text_is_escaped_unless_it_is_markup() -> None:
    template = make_templates().from_string("{{ text }}")

    assert template.render(text="<b>") == "&lt;b&gt;"
    assert template.render(text=Markup("<b>")) == "<b>"


def test_a_file_is_addressed_by_its_content() -> None:
    address_of: Any = make_templates().globals["static"]

    assert re.fullmatch(r"/static/base\.css\?v=[0-9a-f]{12}", address_of("base.css"))


# One file that is opened from a disk: its scripts are inside, each named by its hash in the page's own policy.
CARRIED_AWAY = "intake/offline.html"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_compiles(name: str) -> None:
    make_templates().get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_has_inline_style_script_or_handler(name: str) -> None:
    source = files("web").joinpath("templates", name).read_text("utf-8")

    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", source)
    if name == CARRIED_AWAY:
        return
    for opening in re.findall(r"<script\b[^>]*>", source):
        # A data block is not a script: CSP leaves it alone.
        assert "src=" in opening or re.search(r'type="application/(ld\+)?json"', opening), opening


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_decides_the_plural_comes_first(name: str) -> None:
    source = files("web").joinpath("templates", name).read_text("utf-8")

    for first in re.findall(r"{% trans (\w+)=(?:(?!endtrans).)*{% pluralize", source, re.DOTALL):
        # Jinja counts by the first variable; the others are written out, with their thousands apart.
        assert first == "count"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 418, 429, 500, 503])
def test_every_error_says_what_happened_in_three_languages(status: int) -> None:
    heads = set()
    for language in ("en", "fr", "es"):
        page = _error(status, language)
        found = re.search(r"<h1>(.+?)</h1>", page)
        assert found is not None
        heads.add(found[1])
    assert len(heads) == 3


async def test_an_error_page_is_in_the_language_of_the_reader(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/nothing", headers={"accept": "text/html", "accept-language": "es"})

    assert answer.status_code == 404
    assert '<html lang="es">' in answer.text
    assert answer.headers["content-language"] == "es"


def _error(status: int, language: str) -> str:
    from node.settings import Settings
    from web.locale import choose

    return (
        make_templates()
        .get_template("error.html")
        .render(
            settings=Settings(origin="https://a.example", name="Sample"),
            speech=choose(language, None, ("en", "fr", "es")),
            language=language,
            path="/nothing",
            query=(),
            status=status,
            sentence="",
        )
    )
