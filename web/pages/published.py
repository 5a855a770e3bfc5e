"""What is public, seen from the desk: where each case has got to, what waits and why, and which cases stand first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node import audit
from node.deliver import SET_ASIDE_AFTER
from node.entries.entries import Entry
from node.errors import NotFound, WrongState
from node.peers.deliveries import Delivery, deliveries_of, progress_of, try_now
from node.publishing.featured import feature, featured_cases, unfeature
from node.publishing.publications import Publication, publication_of
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action
from web.pages.office import back, chosen, page, read_fields, seated
from web.pages.wire import path_id

PATH = "/desk/published"
AT_ONCE = 50


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [
        Route(PATH, published_page),
        Route(f"{PATH}/{{id}}", case_page),
        Route(f"{PATH}/{{id}}", change, methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """One case that is or was public, as the desk lists it."""

    publication: Publication
    entry: Entry | None
    progress: Mapping[str, int]
    is_first: bool


async def published_page(request: Request) -> Response:
    """Those that stand first, in their order; then every case, the latest change first, with how far it has got."""
    node: Node = request.app.state.node
    after = request.query_params.get("page", "0")
    skipped = AT_ONCE * int(after) if after.isdecimal() and len(after) < 5 else 0
    async with node.database.begin() as session:
        me = await seated(request, session, Action.READ_CASES)
    # Thousands may have each: while this is read, others write.
    async with node.database.read() as session:
        first = await featured_cases(session)
        found = await session.execute(
            select(Publication, Entry)
            .outerjoin(Entry, Entry.id == Publication.url)
            .order_by(Publication.changed_at.desc(), Publication.id)
            .offset(skipped)
            .limit(AT_ONCE + 1)
        )
        rows = found.all()
        lines = [
            Line(publication, entry, await progress_of(session, publication.url), publication.url in first)
            for publication, entry in rows[:AT_ONCE]
        ]
        standing = await session.execute(
            select(Publication, Entry)
            .join(Entry, Entry.id == Publication.url)
            .where(Publication.url.in_(first))
        )
        by_url = {publication.url: (publication, entry) for publication, entry in standing}
    return page(
        request,
        "desk/published.html",
        me,
        first=[by_url[url] for url in first if url in by_url],
        lines=lines,
        number=skipped // AT_ONCE,
        has_more=len(rows) > AT_ONCE,
    )


async def case_page(request: Request) -> Response:
    """One case: each server that follows, what it has, what waits since when and why, and what never arrives."""
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await seated(request, session, Action.READ_CASES)
    async with node.database.read() as session:
        publication = await publication_of(session, path_id(request, "id"))
        if publication is None:
            raise NotFound("this case is not public")
        entry = await session.get(Entry, publication.url)
        found = await deliveries_of(session, publication.url)
        first = await featured_cases(session)
    told = found.to if found else ()
    return page(
        request,
        "desk/deliveries.html",
        me,
        publication=publication,
        entry=entry,
        found=found,
        waiting=[one for one in told if one.state == "waiting" and not is_aside(one, now=now)],
        aside=[one for one in told if one.state == "waiting" and is_aside(one, now=now)],
        never=[one for one in told if one.state == "never"],
        has=[one for one in told if one.state == "has"],
        is_first=publication.url in first,
    )


async def change(request: Request) -> Response:
    """Try a delivery now, or put the case first, or back among the others."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    now, case_id = node.clock.now(), path_id(request, "id")
    wanted = chosen(given.get("do", ""), frozenset({"try", "first", "back"}))
    path = f"{PATH}/{case_id}"
    async with node.database.begin() as session:
        me = await seated(request, session, Action.SPEAK_IN_PUBLIC)
        publication = await publication_of(session, case_id)
        if publication is None:
            raise NotFound("this case is not public")
        url = publication.url
        try:
            if wanted == "try":
                await try_now(session, url, given.get("inbox", ""), now=now)
            elif wanted == "first":
                await feature(session, node.settings, node.keyring, url, now=now)
            else:
                await unfeature(session, node.settings, node.keyring, url, now=now)
        except WrongState:
            return back(path, wrong="too-many")
        except NotFound:
            # Done meanwhile, by a worker or by a colleague: the page shows what holds.
            return back(path)
        done = {"try": "tried", "first": "first", "back": "not-first"}[wanted]
        await audit.record(session, actor=me.id, action=f"public.{done}", subject=case_id, now=now)
    await node.bell.ring()
    return back(path, done=done)


def is_aside(one: Delivery, *, now: datetime) -> bool:
    """Whether its host has taken nothing for so long that it is asked once a day."""
    since = one.failing_since
    return since is not None and now - since >= SET_ASIDE_AFTER
