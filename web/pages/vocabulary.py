"""/ns/v1 for people: what each term of our data means."""

from starlette.requests import Request
from starlette.responses import Response

from vocab.terms import SRT
from web.pages.publications import FRESH
from web.pages.rendering import render


async def vocabulary_page(request: Request) -> Response:
    """The terms of a case, in plain words. Programs get the JSON-LD context at the same address."""
    return render(request, "readers/vocabulary.html", headers=FRESH, namespace=SRT)
