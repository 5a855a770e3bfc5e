"""The duty report: what came in as urgent, when, and whether somebody answered within the promised time; and the promise itself."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.errors import Invalid, NotFound
from node.intake import duty
from node.intake.duty import MOST_HOURS
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action
from web.pages.office import back, chosen, page, read_fields, seated

PATH = "/desk/duty"
SPANS = (30, 90)


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [Route(PATH, duty_page), Route(PATH, set_promise, methods=["POST"])]


async def duty_page(request: Request) -> Response:
    """The urgent alerts of the last days, without a word of what they say."""
    node: Node = request.app.state.node
    now = node.clock.now()
    days = 90 if request.query_params.get("days") == "90" else 30
    async with node.database.begin() as session:
        me = await seated(request, session, Action.READ_DUTY)
        hours = await duty.promise(session)
        found = await duty.report(session, days=days, now=now)
    return page(
        request,
        "desk/duty.html",
        me,
        hours=hours,
        most_hours=MOST_HOURS,
        report=found,
        days=days,
        spans=SPANS,
    )


async def set_promise(request: Request) -> Response:
    """Promise an answer within some hours, or promise nothing."""
    node: Node = request.app.state.node
    given, now = await read_fields(request), node.clock.now()
    wanted = chosen(given.get("do", ""), frozenset({"promise", "no-promise"}))
    hours = given.get("hours", "")
    async with node.database.begin() as session:
        me = await seated(request, session, Action.MAKE_PROMISE)
        try:
            if wanted == "no-promise":
                await duty.take_back_promise(session, by=me.id, now=now)
            elif hours.isascii() and hours.isdecimal() and len(hours) < 5:
                await duty.make_promise(session, int(hours), by=me.id, now=now)
            else:
                return back(PATH, wrong="hours")
        except Invalid:
            return back(PATH, wrong="hours")
        except NotFound:
            return back(PATH)
    return back(PATH, done=wanted)
