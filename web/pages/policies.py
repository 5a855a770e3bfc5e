"""Hosts at the desk: what was decided about them and why, lists that are followed, and both as a file."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from federation.errors import FederationError
from node import audit
from node.errors import Invalid, NotFound
from node.peers import blocklists
from node.peers.hosts import MAX_REASON, POLICIES, Ourselves, decide, decisions, host_name, other_host
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action
from vocab.errors import VocabError
from web.pages.multipart import Begin, Data, End, read_form
from web.pages.office import HEADERS, back, chosen, page, read_fields, seated
from web.sessions import FILES, require_same_origin

PATH = "/desk/hosts"
AT_ONCE = 200
REFUSALS = ("no-media", "no-reports")
# Lists that are shared name fifty thousand hosts, with a reason for each.
MAX_FILE_BYTES = 16 * 1024 * 1024


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [
        Route(PATH, hosts_page),
        Route(PATH, decide_host, methods=["POST"]),
        Route(f"{PATH}/domain_blocks.csv", export),
        Route(f"{PATH}/import", take_over, methods=["POST"]),
        Route(f"{PATH}/lists", change_lists, methods=["POST"]),
    ]


async def hosts_page(request: Request) -> Response:
    """The decisions with their reasons, the lists that are followed, and the forms; a host may come along (`?host=`)."""
    node: Node = request.app.state.node
    after = request.query_params.get("page", "0")
    number = int(after) if after.isdecimal() and len(after) < 5 else 0
    async with node.database.begin() as session:
        me = await seated(request, session, Action.DECIDE_HOSTS)
        # A file may bring tens of thousands.
        decided = await decisions(session, offset=AT_ONCE * number, limit=AT_ONCE + 1)
        lists = await blocklists.subscriptions(session)
    counted = [request.query_params.get(name, "") for name in ("added", "kept", "skipped")]
    return page(
        request,
        "desk/hosts.html",
        me,
        decided=decided[:AT_ONCE],
        number=number,
        has_more=len(decided) > AT_ONCE,
        lists=lists,
        host=request.query_params.get("host", "")[:300],
        counted=[int(one) for one in counted if one.isdecimal() and len(one) < 8],
        longest=MAX_REASON,
    )


async def decide_host(request: Request) -> Response:
    """Allow, limit or block a host, or refuse only some of what it sends, with a reason; or lift what was decided."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    policy = chosen(given.get("policy", ""), frozenset(POLICIES) | {"only", "lift"})
    refused = [name for name in REFUSALS if given.get(name) and policy not in {"block", "lift"}]
    reason, typed = given.get("reason", "")[:MAX_REASON], given.get("host", "")[:300]
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await seated(request, session, Action.DECIDE_HOSTS)
        try:
            host = host_name(typed) if policy == "lift" else other_host(node.settings, typed)
        except Ourselves:
            return back(PATH, wrong="ourselves")
        except Invalid:
            return back(PATH, {"host": typed}, wrong="host")
        if policy != "lift" and not reason:
            return back(PATH, {"host": typed}, wrong="reason")
        if policy == "only" and not refused:
            return back(PATH, {"host": typed}, wrong="refusals")
        await decide(
            session,
            host,
            policy if policy in POLICIES else None,
            reason=reason,
            now=now,
            no_media="no-media" in refused,
            no_reports="no-reports" in refused,
        )
        for action in (policy, *refused):
            await audit.record(
                session, actor=me.id, action=f"host.{action}", subject=stands_for(host), now=now
            )
    await node.bell.ring()
    return back(PATH, done="lifted" if policy == "lift" else "decided")


async def export(request: Request) -> Response:
    """The decisions as Mastodon's file."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        await seated(request, session, Action.DECIDE_HOSTS)
        file = await blocklists.export_csv(session)
    named = {"Content-Disposition": 'attachment; filename="domain_blocks.csv"'}
    return Response(file.content, media_type="text/csv", headers=HEADERS | named)


async def take_over(request: Request) -> Response:
    """Take over the decisions of such a file; what was decided here stands."""
    require_same_origin(request, FILES)
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await seated(request, session, Action.DECIDE_HOSTS)
    content = await _file(request)
    if content is None:
        return back(PATH, wrong="file")
    async with node.database.begin() as session:
        try:
            taken = await blocklists.import_csv(session, node.settings, content, now=now)
        except Invalid:
            return back(PATH, wrong="file")
        subject = hashlib.sha256(content.encode()).hexdigest()
        await audit.record(session, actor=me.id, action="hosts.imported", subject=subject, now=now)
    counted = {"added": str(taken.added), "kept": str(taken.kept), "skipped": str(taken.skipped)}
    return back(PATH, counted, done="imported")


async def change_lists(request: Request) -> Response:
    """Follow a signed list from now on, or no more."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    url, now = given.get("url", "")[:600], node.clock.now()
    wanted = chosen(given.get("do", ""), frozenset({"follow", "leave"}))
    async with node.database.begin() as session:
        me = await seated(request, session, Action.DECIDE_HOSTS)
        if wanted == "leave":
            try:
                await blocklists.unsubscribe(session, url, now=now)
            except NotFound:
                return back(PATH)
    if wanted == "follow":
        try:
            await blocklists.subscribe(node, url)
        except (FederationError, VocabError, Invalid):
            return back(PATH, wrong="list")
    async with node.database.begin() as session:
        await audit.record(session, actor=me.id, action=f"list.{wanted}", subject=stands_for(url), now=now)
    return back(PATH, done=wanted)


def stands_for(name: str) -> str:
    """What stands for a host or an address in the audit record, whose subjects have at most 64 characters."""
    return name if len(name) <= 64 else hashlib.sha256(name.encode()).hexdigest()


async def _file(request: Request) -> str | None:
    """The text of the one file of a form; None when there is none, or it is too large or no text."""
    content, is_ours = bytearray(), False
    async for event in read_form(request):
        match event:
            case Begin(name=name):
                is_ours = name == "file"
            case Data(content=piece) if is_ours:
                content += piece
                if len(content) > MAX_FILE_BYTES:
                    return None
            case Data() | End():
                pass
    try:
        return content.decode("utf-8") or None
    except UnicodeDecodeError:
        return None
