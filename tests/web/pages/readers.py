"""What readers' pages are tested with: sample cases put where a signed one would stand, and the words of a page."""

import hashlib
import re
from datetime import datetime
from html import unescape
from typing import Any

from node.entries.entries import Draft, put_entry, withdraw_entry
from node.runtime import Node
from vocab import samples
from vocab.canonical import canonical
from vocab.cases import PublicCase, write_tombstone

NAMES = {node["host"]: node["name"] for node in samples.nodes()}
HTML = {"accept": "text/html", "accept-language": "en"}


def sample(number: str = "01", **changed: Any) -> PublicCase:
    """A sample case, with some fields changed."""
    found = next(case for case in samples.cases() if case["id"] == f"sample-{number}")
    return PublicCase.parse(samples.fields(found) | changed)


def sample_host(number: str) -> str:
    """The host a sample case stands on."""
    return str(next(case["node"] for case in samples.cases() if case["id"] == f"sample-{number}"))


async def put(
    node: Node,
    case: PublicCase,
    number: str = "01",
    *,
    host: str = "",
    published_at: datetime | None = None,
    updated_at: datetime | None = None,
) -> str:
    """Keep a case as proven, ours unless a host is named; return its address."""
    own = not host
    host = host or node.settings.authority
    url = f"https://{host}/cases/sample-{number}"
    now = node.clock.now()
    async with node.database.begin() as session:
        draft = Draft(
            case,
            id=url,
            actor=f"https://{host}/actors/cases",
            host=host,
            publisher=NAMES.get(host, node.settings.organisation),
            own=own,
            document=b"{}",
            sha256=hashlib.sha256(url.encode()).hexdigest(),
            proof_key=f"https://{host}/actors/cases#ed25519-key",
            published_at=published_at or now,
            updated_at=updated_at,
        )
        kept = await put_entry(session, draft, now=now)
    assert kept is not None
    return url


async def withdraw(node: Node, url: str, reason: str) -> None:
    """Withdraw a case of ours."""
    now = node.clock.now()
    actor = f"{url.partition('/cases/')[0]}/actors/cases"
    tombstone = write_tombstone(id=url, actor=actor, published=now, deleted=now, reason=reason)
    async with node.database.begin() as session:
        assert await withdraw_entry(session, url, actor=actor, tombstone=canonical(tombstone), now=now)


def words(page: str) -> str:
    """The words of a page, tags and white space gone."""
    without = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without)).split())
