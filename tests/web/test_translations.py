"""The catalogs: every message of every template is there, translated, with its placeholders and its markup."""

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

WEB = Path(str(files("web")))
LANGUAGES = ("fr", "es")
# Babel gives this one no types.
read_mapping: Callable[[TextIO], tuple[list[tuple[str, str]], dict[str, Any]]] = parse_mapping_cfg
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


def written() -> set[str]:
    """Every message the sources carry."""
    with (WEB / "babel.cfg").open(encoding="utf-8") as stream:
        methods, options = read_mapping(stream)
    found = extract_from_dir(str(WEB), methods, options)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalog(language: str) -> Catalog:
    with (WEB / "translations" / language / "LC_MESSAGES" / "messages.po").open("rb") as stream:
        return read_po(stream, locale=language, abort_invalid=True)


def said(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, list | tuple) else (message.string or "",)


def key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_untranslated(language: str) -> None:
    translated = {key(message) for message in catalog(language) if message.id and all(said(message))}

    assert sorted(written() - translated) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_left_of_a_message_that_is_gone(language: str) -> None:
    kept = {key(message) for message in catalog(language) if message.id}

    assert sorted(kept - written()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_marked_as_a_guess(language: str) -> None:
    assert [key(message) for message in catalog(language) if message.id and message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_every_placeholder(language: str) -> None:
    broken = []
    for message in catalog(language):
        originals = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        allowed = {name for original in originals for name in PLACEHOLDER.findall(original)}
        needed = set(PLACEHOLDER.findall(originals[-1]))
        for text in said(message) if message.id else ():
            used = set(PLACEHOLDER.findall(text))
            if not used <= allowed or (len(originals) == 1 and used != needed):
                broken.append((key(message), text))
    assert broken == []
