"""Where an administrator changes what sources are asked: a draft, a preview of exactly what they will see, a new version.

What a form may be is judged by `vocab/sourceform.py`; a problem is answered by the place and the name of its reason, and the
page has the sentence for it.
"""

from typing import Annotated, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.intake.forms import (
    FormVersion,
    current_form,
    draft_of,
    drop_draft,
    publish_draft,
    save_draft,
    versions,
)
from node.runtime import Node
from node.settings import Settings
from node.staff.accounts import Staff, names_of
from node.staff.permissions import Action, require
from vocab import lists, sourceform
from vocab.errors import InvalidForm
from vocab.sourceform import KEPT, OWN_TYPES, REQUIRED, Purpose, SourceForm
from web.pages import asking
from web.pages.intake import door_now
from web.pages.rendering import render, speech_of
from web.pages.wire import NO_STORE, Sha256, Wire, answer, read_json, takes
from web.sessions import require_same_origin, signed_in

MAX_FORM_BYTES = 256 * 1024


class Draft(Wire, frozen=True):
    """A whole form, to be kept as the draft."""

    # Any: judged by SourceForm.parse, which says of each part what is wrong with it.
    document: Annotated[dict[str, Any], msgspec.Meta(max_length=10)]


class Publish(Wire, frozen=True):
    """The hash of the draft that was looked at."""

    sha256: Sha256


def routes(_settings: Settings) -> list[BaseRoute]:
    """The page, and the API its script calls."""
    api = "/api/v1/desk/forms"
    return [
        Route("/desk/forms", forms_page),
        Route(api, show_forms),
        Route(f"{api}/{{purpose}}/draft", put_draft, methods=["PUT"]),
        Route(f"{api}/{{purpose}}/draft", delete_draft, methods=["DELETE"]),
        Route(f"{api}/{{purpose}}/publish", publish, methods=["POST"]),
        Route(f"{api}/{{purpose}}/preview", preview),
    ]


async def forms_page(request: Request) -> Response:
    """The editor. The page holds nothing; its script asks who is signed in."""
    return render(request, "desk/forms.html", headers=NO_STORE)


async def show_forms(request: Request) -> Response:
    """Both forms as they are asked, their drafts and versions, and what may be asked at all."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        await _administrator(request, session, node)
        forms = {str(purpose): await _form(session, purpose) for purpose in Purpose}
        authors = {one["published_by"] for form in forms.values() for one in form["versions"]}
        people = await names_of(session, authors)
    return answer({"forms": forms, "people": people, "questions": _catalogue(), "own_types": OWN_TYPES})


@takes(Draft)
async def put_draft(request: Request) -> Response:
    """Keep a draft; 400 with a reason for each part that cannot be asked."""
    require_same_origin(request)
    node: Node = request.app.state.node
    purpose = _purpose(request)
    given = await read_json(request, Draft, max_bytes=MAX_FORM_BYTES)
    async with node.database.begin() as session:
        me = await _administrator(request, session, node)
        try:
            form = SourceForm.parse(given.document)
            if form.purpose is not purpose:
                raise InvalidForm({"": sourceform.Why.SHAPE})
        except InvalidForm as error:
            return answer({"error": error.public, "fields": error.problems}, 400)
        await save_draft(session, form, by=me.id, now=node.clock.now())
    return answer({"sha256": form.sha256})


async def delete_draft(request: Request) -> Response:
    """Throw the draft away."""
    require_same_origin(request)
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await _administrator(request, session, node)
        await drop_draft(session, _purpose(request), by=me.id, now=node.clock.now())
    return Response(status_code=204, headers=NO_STORE)


@takes(Publish)
async def publish(request: Request) -> Response:
    """Ask sources with the draft from now on; 409 when it was changed meanwhile."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Publish, max_bytes=1024)
    async with node.database.begin() as session:
        me = await _administrator(request, session, node)
        version = await publish_draft(
            session, _purpose(request), sha256=given.sha256, by=me.id, now=node.clock.now()
        )
        line = _version(version)
    return answer(line, 201)


async def preview(request: Request) -> Response:
    """The draft as a source will see it, or the form itself where there is none. Nothing can be sent from it."""
    node: Node = request.app.state.node
    purpose = _purpose(request)
    async with node.database.begin() as session:
        await _administrator(request, session, node)
        source = await draft_of(session, purpose) or await current_form(session, purpose)
    return render(
        request,
        "desk/form-preview.html",
        headers=NO_STORE,
        **await door_now(node),
        root_key=node.keyring.root_id or "",
        **asking.context(speech_of(request).language, source),
    )


async def _administrator(request: Request, session: AsyncSession, node: Node) -> Staff:
    me = await signed_in(request, session, now=node.clock.now())
    require(me.roles, Action.EDIT_FORMS)
    return me


def _purpose(request: Request) -> Purpose:
    try:
        return Purpose(request.path_params["purpose"])
    except ValueError:
        raise HTTPException(404) from None


async def _form(session: AsyncSession, purpose: Purpose) -> dict[str, Any]:
    # Any: JSON, as the page reads it.
    current, draft = await current_form(session, purpose), await draft_of(session, purpose)
    return {
        "sha256": current.sha256,
        "document": msgspec.json.decode(current.body),
        "draft": None if draft is None else msgspec.json.decode(draft.body),
        "versions": [_version(one) for one in await versions(session, purpose)],
        "required": sorted(REQUIRED[purpose]),
        "kept": sorted(KEPT[purpose]),
    }


def _version(version: FormVersion) -> dict[str, object]:
    return {
        "sha256": version.sha256,
        "number": version.number,
        "published_on": version.published_on.isoformat() if version.published_on else None,
        "published_by": version.published_by,
    }


def _catalogue() -> list[dict[str, object]]:
    """Every question that may be asked, with its values in the words of their lists."""
    found: list[dict[str, object]] = []
    for key, field in sourceform.askable().items():
        words = (
            {item.id: dict(item.names) for item in lists.items(field.vocabulary)} if field.vocabulary else {}
        )
        words[sourceform.PRIVATE_PERSON] = dict(asking.PRIVATE_PERSON)
        options = [
            {"value": value, "label": words.get(value, {"en": value})} for value in sourceform.values_of(key)
        ]
        found.append({"key": key, "type": field.type, "label": dict(field.names), "options": options})
    return found
