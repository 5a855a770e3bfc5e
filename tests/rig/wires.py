"""A network without sockets: host names are wired to apps, anything else cannot be reached."""

import httpx


class Wires(httpx.AsyncBaseTransport):
    """Carries a request to the app of its host; an unknown host is a connection error, as on a real network."""

    def __init__(self) -> None:
        self.apps: dict[str, httpx.AsyncBaseTransport] = {}
        self.carried: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.netloc.decode("ascii")
        app = self.apps.get(name)
        if app is None:
            # By the name as it goes over the wire: `host` raises UnicodeError for one that is no IDNA.
            raise httpx.ConnectError(f"{name} cannot be reached", request=request)
        self.carried.append(request)
        return await app.handle_async_request(request)
