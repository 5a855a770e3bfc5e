"""Servers that are a table: address → answer, with a record of who asked. No sockets."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

ACTIVITY = "application/activity+json"
Reply = httpx.Response | Callable[[httpx.Request], httpx.Response]


def a_document(document: object, *, content_type: str | None = ACTIVITY, status: int = 200) -> httpx.Response:
    """A JSON answer of that media type, or of none."""
    headers = {"content-type": content_type} if content_type is not None else {}
    return httpx.Response(status, content=json.dumps(document).encode(), headers=headers)


def moved(location: str, status: int = 302) -> httpx.Response:
    """A redirect."""
    return httpx.Response(status, headers={"location": location})


@dataclass
class Town:
    """What each address answers; anything else cannot be reached."""

    answers: dict[str, Reply] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def client(self) -> httpx.AsyncClient:
        """A client that reaches this town and nothing else."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer), follow_redirects=False)

    @property
    def asked(self) -> list[str]:
        """The addresses that were asked for, in order."""
        return [str(request.url) for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.answers.get(str(request.url))
        if reply is None:
            raise httpx.ConnectError("nobody there", request=request)
        answer = reply if isinstance(reply, httpx.Response) else reply(request)
        # A fresh one each time: an answer can be read once.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
