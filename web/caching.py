"""What who has an answer already is told: that it is the same (RFC 9110 §13)."""

from starlette.requests import Request
from starlette.responses import Response


def unless_known(request: Request, response: Response) -> Response:
    """The answer, or 304 without a body where the client says that it has these bytes (RFC 9110 §13.1.2)."""
    tag, known = response.headers.get("ETag"), listed(request, "if-none-match")
    if tag is None or response.status_code != 200:
        return response
    if not {"*", tag} & {one.strip().removeprefix("W/") for one in known}:
        return response
    kept = {
        name: value
        for name, value in response.headers.items()
        if name not in {"content-type", "content-length"}
    }
    return Response(status_code=304, headers=kept)


def listed(request: Request, name: str) -> list[str]:
    """The members of a list, which may come in several lines (RFC 9110 §5.3)."""
    return ",".join(request.headers.getlist(name)).split(",")
