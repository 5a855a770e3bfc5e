"""Decisions about hosts, shared: as Mastodon's domain_blocks.csv, and as a signed list that a hub publishes and others follow.

The list is an OrderedCollection at /actors/hub/blocklist whose items are a Block or an Ignore (a limit) of a host, with the reason
as `summary`. Each page carries its publisher's proof. Whoever follows it reads it every day; decisions made here win over it.
What it advises is taken back as easily: follows stay, and rest while it has their host blocked.
"""

import asyncio
import csv
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FederationError
from node import outbox
from node.errors import Invalid, NotFound
from node.keyring import Keyring
from node.outbox import Done, Outcome, Turn
from node.peers.actors import host_of
from node.peers.hosts import (
    MAX_REASON,
    Blocklist,
    Decision,
    Host,
    HostAdvice,
    decide_all,
    decided_among,
    decisions,
    listen_again,
    other_host,
    rest_cases,
    standing_of_known,
)
from node.peers.lists import read_list, signed_list
from node.runtime import Node
from node.settings import Settings
from vocab.properties import iri, legible, objects, one_type, text

log = logging.getLogger(__name__)

REFRESH = timedelta(days=1)
HEADER = ("#domain", "#severity", "#reject_media", "#reject_reports", "#public_comment", "#obfuscate")
SEVERITIES = {"suspend": "block", "silence": "limit"}
# Mastodon's word for a host that may do what everybody may, but for what the next two columns refuse.
NEITHER = "noop"
# Lines of a file.
READ_AT_ONCE = 500
VERBS = {"Block": "block", "Ignore": "limit"}
# What a spreadsheet takes for a formula (OWASP, CSV injection), and what was kept from being one: a reason may come from a list of others.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]")
_SEVERITY_OF = {policy: severity for severity, policy in SEVERITIES.items()}
_VERB_OF = {policy: verb for verb, policy in VERBS.items()}


@dataclass(frozen=True, slots=True)
class Exported:
    """Such a file, and how many hosts it names."""

    content: str
    hosts: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines of a file.

    kept     hosts about which something was decided here before; that stands.
    skipped  lines that are no decision we know.
    """

    added: int
    kept: int
    skipped: int


# ---- as a file -----------------------------------------------------------------------------------------------------


async def export_csv(session: AsyncSession) -> Exported:
    """Blocks, limits, and what else is not taken of a host, in the form in which Mastodon exports and imports them."""
    written, named = io.StringIO(), 0
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(HEADER)
    for host in await decisions(session):
        is_block = host.policy == "block"
        refused = [str(is_block or flag) for flag in (host.no_media, host.no_reports)]
        if host.policy in _SEVERITY_OF or "True" in refused:
            severity = _SEVERITY_OF.get(host.policy or "", NEITHER)
            lines.writerow((host.name, severity, *refused, _disarmed(host.reason or ""), "False"))
            named += 1
    return Exported(written.getvalue(), named)


async def import_csv(session: AsyncSession, settings: Settings, content: str, *, now: datetime) -> Imported:
    """Take over what such a file decides; what was decided here before stands. Raises Invalid when it is none."""
    lines = _lines(content)
    head = [name.strip().lstrip("#").lower() for name in next(lines, [])]
    if "domain" not in head:
        raise Invalid(
            "no column domain", public="This is not a list of blocked domains: there is no column “domain”."
        )
    wanted: dict[str, Decision] = {}
    doubles = skipped = 0
    for number, line in enumerate(lines):
        if number % READ_AT_ONCE == 0:
            # Others have their turn: a file of a million lines takes seconds.
            await asyncio.sleep(0)
        row = dict(zip(head, line, strict=False))
        severity = row.get("severity", "suspend").strip().lower()
        policy = SEVERITIES.get(severity)
        # A block takes nothing anyway.
        no_media, no_reports = (
            policy != "block" and row.get(name, "").strip().lower() == "true"
            for name in ("reject_media", "reject_reports")
        )
        name = _fair_name(settings, row.get("domain", ""))
        if name is None or (policy is None and (severity != NEITHER or not (no_media or no_reports))):
            skipped += 1
            continue
        if name in wanted:
            # The first line counts.
            doubles += 1
            continue
        reason = _as_meant(row.get("public_comment", "").strip())
        wanted[name] = Decision(name, policy, reason, no_media=no_media, no_reports=no_reports)
    stands = await decided_among(session, wanted)
    new = [one for one in wanted.values() if one.host not in stands]
    if new:
        await decide_all(session, new, now=now)
    return Imported(len(new), len(stands) + doubles, skipped)


def _lines(content: str) -> Iterator[list[str]]:
    """The lines of such a file. Raises Invalid for a quotation mark that nothing closes: all lines behind it would be one reason."""
    try:
        yield from csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""), strict=True)
    except csv.Error as error:
        raise Invalid(
            f"no CSV: {error}", public="This is not a list: its lines cannot be told apart."
        ) from error


def _disarmed(words: str) -> str:
    """Words that a spreadsheet shows as they are."""
    return f"'{words}" if _FORMULA.match(words) else words


def _as_meant(words: str) -> str:
    """The same as they were."""
    return words[1:] if words.startswith("'") and _FORMULA.match(words) else words


def _fair_name(settings: Settings, text: str) -> str | None:
    """The host, if others may name it: a list cannot cut us off from ourselves, nor block half the world by a name without a dot."""
    try:
        name = other_host(settings, text)
    except Invalid:
        return None
    return name if "." in name or name.startswith("[") else None


# ---- as a list that others follow ----------------------------------------------------------------------------------


async def blocklist_document(
    session: AsyncSession, settings: Settings, keyring: Keyring, *, page: int | None, now: datetime
) -> dict[str, Any]:
    """What this server publishes of its decisions: the collection, or one of its pages, with a proof. Raises NotFound."""
    shared = Host.policy.in_(_VERB_OF)

    async def some(offset: int, limit: int) -> list[dict[str, Any]]:
        named = select(Host.name, Host.policy, Host.reason).where(shared).order_by(Host.name)
        found = await session.execute(named.offset(offset).limit(limit))
        return [_item(settings.main_actor, name, policy or "block", reason) for name, policy, reason in found]

    total = await session.scalar(select(func.count()).select_from(Host).where(shared)) or 0
    return await signed_list(settings, keyring, "blocklist", some, total=total, page=page, now=now)


async def subscribe(node: Node, url: str) -> int:
    """Follow a list from now on; returns how many hosts it names. Raises FetchError, and Mismatch when it is not signed."""
    actor, advice = await _read_list(node, url)
    now = node.clock.now()
    async with node.database.begin() as session:
        row = await session.get(Blocklist, url)
        if row is None:
            row = Blocklist(url=url)
            session.add(row)
        row.actor = actor
        await session.flush()
        await _take(session, row, advice, now=now)
        await _again(session, url, now=now)
    return len(advice)


async def unsubscribe(session: AsyncSession, url: str, *, now: datetime) -> None:
    """Follow a list no more; what it advised is forgotten. Raises NotFound."""
    row = await session.get(Blocklist, url)
    if row is None:
        raise NotFound(f"{url} is not followed")
    named = (await _said(session, url)).keys()
    before = await standing_of_known(session, named)
    await session.delete(row)
    await session.flush()
    await listen_again(session, before, named, now=now)


async def subscriptions(session: AsyncSession) -> list[Blocklist]:
    """The lists that this server follows."""
    return list(await session.scalars(select(Blocklist).order_by(Blocklist.url)))


async def refresh(node: Node, job: Turn) -> Outcome:
    """Read a list anew, and again tomorrow. A list that cannot be read or proven leaves what it advised last."""
    url = str(job.payload["url"])
    now = node.clock.now()
    async with node.database.read() as session:
        known = await session.get(Blocklist, url)
    if known is None:
        return Done()
    trouble: str | None = None
    advice: dict[str, tuple[str, str]] = {}
    try:
        actor, advice = await _read_list(node, url)
        if actor != known.actor:
            trouble = "it is somebody else's now"
    except FederationError as error:
        trouble = str(error)
    async with node.database.begin() as session:
        row = await session.get(Blocklist, url)
        if row is None:
            return Done()
        if trouble is None:
            await _take(session, row, advice, now=now)
        else:
            row.trouble = trouble[:300]
            log.warning("blocklist.unread", extra={"host": host_of(url), "reason": trouble})
        await _again(session, url, now=now)
    return Done()


async def _read_list(node: Node, url: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """The list's publisher, and host → policy and reason. Raises FetchError."""
    owner, pages = await read_list(node, url)
    advice: dict[str, tuple[str, str]] = {}
    for page in pages:
        advice |= _advice(node, page)
    return owner, advice


def _advice(node: Node, page: dict[str, Any]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for item in objects(page, "orderedItems"):
        verb = one_type(item, frozenset(VERBS))
        target = iri(item, "object")
        if verb is None or target is None:
            continue
        if (name := _fair_name(node.settings, target)) is not None:
            found[name] = (VERBS[verb], legible(text(item, "summary"), MAX_REASON) or "")
    return found


async def _take(
    session: AsyncSession, row: Blocklist, advice: dict[str, tuple[str, str]], *, now: datetime
) -> None:
    said = await _said(session, row.url)
    # A list of tens of thousands is read every day, and hardly changes.
    changed = [
        name for name in said.keys() | advice.keys() if said.get(name) != advice.get(name, ("", ""))[0]
    ]
    before = await standing_of_known(session, changed)
    await session.execute(delete(HostAdvice).where(HostAdvice.blocklist == row.url))
    if advice:
        await session.execute(
            insert(HostAdvice),
            [
                {"blocklist": row.url, "name": name, "policy": policy, "reason": reason}
                for name, (policy, reason) in advice.items()
            ],
        )
    row.read_at, row.trouble = now, None
    await session.flush()
    await rest_cases(session, now=now)
    await listen_again(session, before, changed, now=now)


async def _said(session: AsyncSession, url: str) -> dict[str, str]:
    """What a list said when it was last read: host → policy."""
    found = await session.execute(
        select(HostAdvice.name, HostAdvice.policy).where(HostAdvice.blocklist == url)
    )
    return {name: policy for name, policy in found}


async def _again(session: AsyncSession, url: str, *, now: datetime) -> None:
    due = now + REFRESH
    await outbox.enqueue(
        session,
        "refresh-blocklist",
        {"url": url},
        lane=f"chore:blocklist:{host_of(url)}",
        key=f"blocklist:{due.date()}:{url}"[:300],
        not_before=due,
        now=now,
    )


def _item(actor: str, name: str, policy: str, reason: str | None) -> dict[str, Any]:
    return {
        "type": _VERB_OF[policy],
        "actor": actor,
        "object": f"https://{name}/",
        **({"summary": reason} if reason else {}),
    }
