"""HTML in and out: what we write is escaped text in a few plain tags; what others wrote is sanitised before anyone sees it.

The tags are those Mastodon keeps, so that a text looks the same everywhere; its class that hides the beginning of an address is
not kept, and a link whose words are not its address says the host it leads to.
"""

import re
from collections.abc import Iterable
from html import escape, unescape
from typing import Final
from urllib.parse import urlsplit

import idna
import nh3

_TAGS: Final = {
    *("p", "br", "span", "a", "del", "s", "pre", "blockquote", "code", "b", "strong", "u", "i", "em"),
    *("ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "ruby", "rt", "rp"),
}
_CLASSES: Final = {"mention", "hashtag"}
_REL: Final = "nofollow noopener noreferrer"

# A browser reads `https:///evil.example`, `https:\\evil.example` and `https:/desk` too, each as something else than we would say.
_PLAIN_ADDRESS = re.compile(r"https?://[^/\\?#\s]+(?:[/?#].*)?|mailto:[^?]+", re.IGNORECASE | re.DOTALL)


def _address(_tag: str, name: str, value: str) -> str | None:
    if name != "href":
        return value
    plain = value.strip()
    if plain.lower().startswith("mailto:"):
        # Recipients that the words do not name could stand behind the question mark.
        plain = plain.partition("?")[0]
    return plain if _PLAIN_ADDRESS.fullmatch(plain) else None


_cleaner = nh3.Cleaner(
    tags=_TAGS,
    # Also what stands inside: the words of a script are not words.
    clean_content_tags={"script", "style"},
    attributes={"a": {"href", "translate"}, "*": {"lang"}, "ol": {"start"}, "li": {"value"}},
    attribute_filter=_address,
    allowed_classes={"a": _CLASSES, "span": _CLASSES},
    url_schemes={"http", "https", "mailto"},
    # What is relative at home would lead to pages of ours.
    url_relative="deny",
    link_rel=_REL,
    strip_comments=True,
)
# As nh3 writes a link: attributes in double quotes, "<" and ">" escaped in them, never one link in another.
_LINK = re.compile(r"(<a\b[^>]*>)(.*?)</a>(?: \u2066\[[^\[\]<>]*\]\u2069)?", re.DOTALL)
_HREF = re.compile(r'\bhref="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
# In the words of a link: what turns the direction of what stands around it, or is not seen at all.
_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff\u00ad]")
_stripper = nh3.Cleaner(tags=set(), clean_content_tags={"script", "style"})


def sanitised(html: str) -> str:
    """Return HTML of others without anything that runs, loads, hides or styles; idempotent.

    A link whose words do not begin with the host it leads to is followed by that host in brackets, because words that look
    like another address mislead (Mastodon CVE-2023-36462).
    """
    return _LINK.sub(_with_host, _cleaner.clean(html))


def shown_host(address: str) -> str:
    """Return the host of an address as nobody can mistake it: in ASCII, so that letters that look alike do not."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return address
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            host = host.encode("ascii", "backslashreplace").decode()
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port is not None and port != 443 else host


def _with_host(link: re.Match[str]) -> str:
    opening, inner = link[1], _UNSEEN.sub("", link[2])
    found = _HREF.search(opening)
    if found is None:
        return f"{opening}{inner}</a>"
    address = unescape(found[1])
    seen = unescape(_TAG.sub("", inner)).strip().lower()
    if address.lower().startswith("mailto:"):
        shown = address[7:].partition("?")[0]
        is_plain = seen == shown.lower()
    else:
        shown = shown_host(address)
        rest = seen.removeprefix("https://").removeprefix("http://")
        is_plain = rest.startswith(shown) and rest[len(shown) : len(shown) + 1] in ("", "/", "?", "#")
    # Isolated, so that no override before it turns it round; without brackets or tags of its own, so that a second reading
    # finds what the first one added.
    shown = words(re.sub(r"[][<>]", "", shown))
    return f"{opening}{inner}</a>" + ("" if is_plain else f" \u2066[{shown}]\u2069")


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
