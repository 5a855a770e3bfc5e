"""Cases at one address: the signed object for servers, the page for people, by `Accept`; and our vocabulary."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from node.entries.search import document_at, entry_at
from node.errors import NotFound
from node.publishing.positions import position_at
from node.publishing.publish import history_of
from node.publishing.reactions import shown_replies
from node.publishing.stamps import stamp
from node.runtime import Node
from vocab.properties import present, written
from vocab.terms import AS, CASE_TERMS, COLLECTION_CONTEXT, CONTEXT
from web.caching import unless_known
from web.fediverse.answers import activity_answer, wants_activity
from web.fediverse.signed import shown, tells
from web.pages.addresses import case_address
from web.pages.publications import case_page
from web.pages.vocabulary import vocabulary_page

FEW_REPLIES = 5


def routes() -> list[Route]:
    """Addresses that serve both people and servers."""
    return [
        shown("/cases/{id}", case, also_page=True),
        shown("/cases/{id}/context", context),
        shown("/cases/{id}/replies", replies, takes=("page",)),
        shown("/cases/{id}/history", history),
        shown("/cases/{id}/stamps", stamped, takes=("of", "word")),
        shown("/positions/{id}", position, also_page=True),
        Route("/ns/v1", vocabulary),
    ]


async def case(request: Request) -> Response:
    """A case of ours: the signed bytes, or the page; a tombstone answers 410 either way."""
    if not wants_activity(request):
        response = await case_page(request)
        response.headers.add_vary_header("Accept")
        return response
    node: Node = request.app.state.node
    at = f"{node.settings.origin}/cases/{request.path_params['id']}"
    async with node.database.read() as session:
        found = await document_at(session, at)
    if found is None:
        raise NotFound("no such case")
    document, withdrawn = found
    if not withdrawn:
        tells(request, at)
    return activity_answer(document, 410 if withdrawn else 200, max_age=60)


async def replies(request: Request) -> Response:
    """The replies that the desk has agreed to show, by their addresses: what they say is at home elsewhere.

    The first page holds what servers read of one: Mastodon and others take five.
    """
    at, _, shown = await _conversation(request)
    few, more = shown[:FEW_REPLIES], shown[FEW_REPLIES:]
    page = {
        "id": f"{at}/replies?page=1",
        "type": "CollectionPage",
        "partOf": f"{at}/replies",
        "items": few,
    }
    if more:
        page["next"] = f"{at}/replies?page=2"
    match request.query_params.get("page"):
        case None:
            document = {
                "@context": COLLECTION_CONTEXT,
                "id": f"{at}/replies",
                "type": "Collection",
                "repliesOf": at,
                "totalItems": len(shown),
                "first": page,
            }
        case "1":
            document = {"@context": AS, **page}
        case "2" if more:
            document = {
                "@context": AS,
                "id": f"{at}/replies?page=2",
                "type": "CollectionPage",
                "partOf": f"{at}/replies",
                "prev": f"{at}/replies?page=1",
                "items": more,
            }
        case _:
            raise NotFound("no such page")
    return activity_answer(document, max_age=60)


async def context(request: Request) -> Response:
    """The conversation, the case first (FEP-7888, FEP-f228): what belongs to it is what stands here, whatever claims to."""
    at, owner, shown = await _conversation(request)
    document = {
        "@context": AS,
        "id": f"{at}/context",
        "type": "OrderedCollection",
        "attributedTo": owner,
        "totalItems": 1 + len(shown),
        "orderedItems": [at, *shown],
    }
    return activity_answer(document, max_age=60)


async def history(request: Request) -> Response:
    """What its publisher did with a case, newest first (FEP-bad1), with the hash of each version; never what others did."""
    node: Node = request.app.state.node
    at = f"{node.settings.origin}/cases/{request.path_params['id']}"
    async with node.database.read() as session:
        found = await history_of(session, at)
    if not found:
        raise NotFound("no such case")
    document = {
        "@context": CONTEXT,
        "id": f"{at}/history",
        "type": "OrderedCollection",
        "attributedTo": node.settings.main_actor,
        "totalItems": len(found),
        "orderedItems": [
            present(
                {
                    "id": sent.id,
                    "type": sent.type,
                    "actor": sent.actor,
                    "object": at,
                    "published": written(sent.sent_at),
                    "srt:caseHash": sha256,
                }
            )
            for sent, sha256 in found
        ],
    }
    return activity_answer(document, max_age=60)


async def stamped(request: Request) -> Response:
    """That a post (`?of=`) may quote or answer a case of ours, or that something may like it or pass it on (FEP-044f, GoToSocial).

    404 without the word that whoever asked was told (`?word=`), as for what nobody asked for.
    """
    node: Node = request.app.state.node
    at = f"{node.settings.origin}/cases/{request.path_params['id']}"
    async with node.database.read() as session:
        asked, word = (request.query_params.get(name, "")[:2000] for name in ("of", "word"))
        found = await stamp(session, node.keyring, at, asked, word=word)
    if found is None:
        raise NotFound("nobody asked for this")
    return activity_answer(found, max_age=60)


async def position(request: Request) -> Response:
    """What we say of another's case: the signed bytes; people read it on our copy of that case."""
    node: Node = request.app.state.node
    async with node.database.read() as session:
        found = await position_at(session, request.path_params["id"])
        case = await entry_at(session, found.case_url) if found else None
    if found is None or found.document is None or case is None:
        raise NotFound("no such position")
    if not wants_activity(request):
        return RedirectResponse(f"{case_address(case)}#voices", 303, headers={"Vary": "Accept"})
    return activity_answer(found.document, 410 if found.state == "withdrawn" else 200, max_age=60)


async def _conversation(request: Request) -> tuple[str, str, list[str]]:
    node: Node = request.app.state.node
    at = f"{node.settings.origin}/cases/{request.path_params['id']}"
    async with node.database.read() as session:
        found = await entry_at(session, at)
        if found is None or not found.own or found.withdrawn_at is not None:
            raise NotFound("no such case")
        return at, found.actor, [reply.id for reply in await shown_replies(session, at)]


async def vocabulary(request: Request) -> Response:
    """What our terms mean: a JSON-LD context for programs, a page for people."""
    if wants_activity(request):
        answer = activity_answer({"@context": CASE_TERMS}, max_age=86_400)
        answer.headers["Content-Type"] = "application/ld+json"
        return unless_known(request, answer)
    response = await vocabulary_page(request)
    response.headers.add_vary_header("Accept")
    return response
