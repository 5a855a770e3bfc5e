"""The way to an organisation near one: choose a State, see who works there and where their door is. No scripts, no account.

Somebody may come here in fear, so these pages look like the source's door: few words, one way out in the same corner, nothing kept.
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.entries.organisations import Organisation, organisations
from node.errors import NotFound
from node.runtime import Node
from node.settings import Settings
from vocab import states
from vocab.states import State
from web.pages.rendering import render, speech_of
from web.pages.wire import NO_STORE

PATH = "/organisations"
BOUND = frozenset({"revised", "1961"})


@dataclass(frozen=True, slots=True)
class Choice:
    """A State one can choose, and whether somebody is known there."""

    code: str
    name: str
    is_known: bool


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses, the same on nodes and hubs."""
    return [
        Route(PATH, choose_page),
        Route(f"{PATH}/all", all_page),
        Route(f"{PATH}/{{code}}", state_page),
    ]


async def choose_page(request: Request) -> Response:
    """Every State, by name, those bound by the Charter first."""
    known = await _known(request)
    language = speech_of(request).language
    sorted_states = sorted(states.states(), key=lambda state: state.name(language).casefold())

    def choices(*, bound: bool) -> list[Choice]:
        return [
            Choice(state.code, state.name(language), any(one.works_in(state.code) for one in known))
            for state in sorted_states
            if (state.bound_by in BOUND) is bound
        ]

    return _page(request, "choose.html", bound=choices(bound=True), others=choices(bound=False))


async def state_page(request: Request) -> Response:
    """Who works in one State; where nobody is known, the nearest things to do."""
    code = str(request.path_params["code"]).upper()
    if not states.is_state(code):
        raise NotFound("no such State")
    here: State = states.state(code)
    known = await _known(request)
    return _page(
        request,
        "state.html",
        state=here,
        is_bound=here.bound_by in BOUND,
        found=[one for one in known if one.works_in(code)],
        ours=next((one for one in known if one.is_own), None),
    )


async def all_page(request: Request) -> Response:
    """Every organisation, by name."""
    return _page(request, "all.html", found=await _known(request))


async def _known(request: Request) -> tuple[Organisation, ...]:
    node: Node = request.app.state.node
    async with node.database.read() as session:
        return await organisations(session, node.settings)


def _page(request: Request, template: str, **context: Any) -> Response:
    return render(
        request, f"organisations/{template}", headers=NO_STORE, holds_no_secret=True, root_key="", **context
    )
