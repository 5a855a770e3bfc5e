"""How long records are kept, what falls due, what is held and why; and the switch of the door for alerts."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.casework import retention
from node.casework.retention import LONGEST_DAYS, MAX_REASON, MIN_REASON, NOTICE, Kind
from node.errors import Invalid, NotFound, WrongState
from node.intake.switch import MAX_ELSEWHERE, close_intake, closure, open_intake
from node.runtime import Node
from node.settings import Settings
from node.staff.accounts import names_of
from node.staff.permissions import Action
from web.pages.office import back, chosen, page, read_fields, seated
from web.pages.wire import ID

PATH, DOOR = "/desk/keeping", "/desk/door"
AHEAD = timedelta(days=90)
KINDS = frozenset(Kind)


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [
        Route(PATH, keeping_page),
        Route(f"{PATH}/terms", set_term, methods=["POST"]),
        Route(f"{PATH}/holds", change_hold, methods=["POST"]),
        Route(DOOR, door_page),
        Route(DOOR, switch, methods=["POST"]),
    ]


async def keeping_page(request: Request) -> Response:
    """The terms, what falls due within a season, and what is held."""
    node: Node = request.app.state.node
    today = node.clock.now().date()
    async with node.database.begin() as session:
        me = await seated(request, session, Action.SEE_TERMS)
        terms, held = await retention.terms(session), await retention.holds(session)
        due = await retention.falling_due(session, until=today + AHEAD)
        people = await names_of(
            session, {one.held_by for one in held} | {one.set_by for one in terms.values()}
        )
    return page(
        request,
        "desk/keeping.html",
        me,
        kinds=tuple(Kind),
        terms=terms,
        due=due,
        held=held,
        people=people,
        notice=NOTICE.days,
        ahead=AHEAD.days,
        longest=LONGEST_DAYS,
        shortest_reason=MIN_REASON,
        longest_reason=MAX_REASON,
    )


async def set_term(request: Request) -> Response:
    """Set the term of one kind of record; an empty number keeps it without end."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    kind, days = Kind(chosen(given.get("kind", ""), KINDS)), given.get("days", "")
    if days and not (days.isascii() and days.isdecimal() and len(days) < 7):
        return back(PATH, wrong="days")
    async with node.database.begin() as session:
        me = await seated(request, session, Action.SET_TERMS)
        try:
            await retention.set_term(session, kind, int(days) if days else None, by=me, now=node.clock.now())
        except Invalid:
            return back(PATH, wrong="days")
    await node.bell.ring()
    return back(PATH, done="term")


async def change_hold(request: Request) -> Response:
    """Hold an alert or a case with a reason, or hold it no longer."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    named, now = given.get("record", "").rpartition("/")[2], node.clock.now()
    wanted = chosen(given.get("do", ""), frozenset({"hold", "release"}))
    async with node.database.begin() as session:
        me = await seated(request, session, Action.HOLD_RECORDS)
        try:
            if not ID.fullmatch(named):
                raise NotFound("no id")
            alert_id = await retention.alert_of(session, named)
            if wanted == "hold":
                await retention.hold(session, alert_id, given.get("reason", ""), by=me, now=now)
            else:
                await retention.release(session, alert_id, by=me, now=now)
        except NotFound:
            return back(PATH, wrong="record")
        except WrongState:
            return back(PATH, wrong="gone")
        except Invalid:
            return back(PATH, wrong="why")
    return back(PATH, done=wanted)


async def door_page(request: Request) -> Response:
    """Whether alerts are taken, and the switch."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await seated(request, session, Action.CLOSE_INTAKE)
        shut = await closure(session)
        people = await names_of(session, {shut.closed_by} if shut else set())
    return page(request, "desk/door.html", me, shut=shut, people=people, longest=MAX_ELSEWHERE)


async def switch(request: Request) -> Response:
    """Close the door, or say something else at a closed one; or open it."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    now = node.clock.now()
    wanted = chosen(given.get("do", ""), frozenset({"close", "open"}))
    async with node.database.begin() as session:
        me = await seated(request, session, Action.CLOSE_INTAKE)
        try:
            if wanted == "close":
                await close_intake(session, given.get("elsewhere", ""), by=me.id, now=now)
            else:
                await open_intake(session, by=me.id, now=now)
        except Invalid:
            return back(DOOR, wrong="long")
        except NotFound:
            return back(DOOR)
    return back(DOOR, done=wanted)
