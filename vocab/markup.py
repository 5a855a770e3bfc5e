"""HTML in and out: what we write is escaped text in a few plain tags; what others wrote is sanitised before anyone sees it.

The tags are those Mastodon keeps, so that a text looks the same everywhere.
"""

from collections.abc import Iterable
from html import escape, unescape
from typing import Final

import nh3

_TAGS: Final = {
    *("p", "br", "span", "a", "del", "s", "pre", "blockquote", "code", "b", "strong", "u", "i", "em"),
    *("ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "ruby", "rt", "rp"),
}
_CLASSES: Final = {"mention", "hashtag", "ellipsis", "invisible"}
_REL: Final = "nofollow noopener noreferrer"

_cleaner = nh3.Cleaner(
    tags=_TAGS,
    # Also what stands inside: the words of a script are not words.
    clean_content_tags={"script", "style"},
    attributes={"a": {"href", "translate"}, "*": {"lang"}, "ol": {"start"}, "li": {"value"}},
    allowed_classes={"a": _CLASSES, "span": _CLASSES},
    url_schemes={"http", "https", "mailto"},
    link_rel=_REL,
    strip_comments=True,
)
_stripper = nh3.Cleaner(tags=set(), clean_content_tags={"script", "style"})


def sanitised(html: str) -> str:
    """Return HTML of others without anything that runs, loads, hides or styles; idempotent."""
    return _cleaner.clean(html)


def plain_text(html: str) -> str:
    """Return the words of HTML of others, tags gone, on one line."""
    spaced = html.replace("<br", " <br").replace("</p>", "</p> ")
    return " ".join(unescape(_stripper.clean(spaced)).split())


def words(text: str) -> str:
    """Return a text as HTML that shows exactly these characters."""
    # As sanitisers write it: between tags a quotation mark is a quotation mark, and a space that holds is named.
    return escape(text, quote=False).replace("\u00a0", "&nbsp;")


def paragraphs(text: str) -> str:
    """Return a plain text as paragraphs: an empty line parts them, a line end breaks the line."""
    blocks = (block.strip() for block in text.split("\n\n"))
    return "".join(f"<p>{words(block).replace(chr(10), '<br>')}</p>" for block in blocks if block)


def heading(text: str) -> str:
    """Return a line that stands above others; Mastodon makes a bold paragraph of any heading."""
    return f"<p><strong>{words(text)}</strong></p>"


def items(entries: Iterable[str]) -> str:
    """Return entries, which are HTML already, as a list; nothing when there are none."""
    rows = "".join(f"<li>{entry}</li>" for entry in entries)
    return f"<ul>{rows}</ul>" if rows else ""


def link(address: str, text: str | None = None) -> str:
    """Return a link to an http(s) address."""
    return f'<a href="{escape(address)}" rel="{_REL}">{words(text or address)}</a>'
