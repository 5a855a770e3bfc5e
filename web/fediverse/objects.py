"""Cases at one address: the signed object for servers, the page for people, by `Accept`; and our vocabulary."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.entries.search import document_at
from node.errors import NotFound
from node.runtime import Node
from vocab.terms import CASE_TERMS
from web.fediverse.answers import activity_answer, wants_activity
from web.pages.publications import case_page
from web.pages.vocabulary import vocabulary_page


def routes() -> list[Route]:
    """Addresses that serve both people and servers."""
    return [Route("/cases/{id}", case), Route("/ns/v1", vocabulary)]


async def case(request: Request) -> Response:
    """A case of ours: the signed bytes, or the page; a tombstone answers 410 either way."""
    if not wants_activity(request):
        response = await case_page(request)
        response.headers["Vary"] = "Accept"
        return response
    node: Node = request.app.state.node
    at = f"{node.settings.origin}/cases/{request.path_params['id']}"
    async with node.database.read() as session:
        found = await document_at(session, at)
    if found is None:
        raise NotFound("no such case")
    document, withdrawn = found
    return activity_answer(document, 410 if withdrawn else 200, max_age=60)


async def vocabulary(request: Request) -> Response:
    """What our terms mean: a JSON-LD context for programs, a page for people."""
    if wants_activity(request):
        answer = activity_answer({"@context": CASE_TERMS}, max_age=86_400)
        answer.headers["Content-Type"] = "application/ld+json"
        return answer
    return await vocabulary_page(request)
