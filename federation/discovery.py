"""Reading the small JSON documents that lie at well-known places: WebFinger and NodeInfo. Unsigned, public, capped."""

from collections.abc import Mapping

import httpx

from federation import addresses, client
from federation.errors import BadAnswer, Forbidden, NotThere, Oversized
from federation.retrieval import Permit
from vocab import jsonld
from vocab.errors import VocabError

MAX_BODY_BYTES = 65_536
MAX_REDIRECTS = 3


async def get_json(
    http: httpx.AsyncClient, url: str, *, accept: str, permit: Permit | None = None
) -> Mapping[str, object]:
    """Return the JSON object at `url`; each redirect is checked like a first address. Raises FetchError.

    permit   asked before each address, also one that a redirect leads to; what it raises ends it.
    """
    start = url
    for _ in range(MAX_REDIRECTS + 1):
        if permit is not None:
            await permit(url)
        answer = await client.exchange(
            http, "GET", url, headers=[(b"accept", accept.encode("ascii"))], max_body_bytes=MAX_BODY_BYTES
        )
        if answer.is_redirect:
            target = addresses.join(url, answer.header("location") or "")
            if target == url or (url.startswith("https:") and not target.startswith("https:")):
                raise Forbidden("a redirect to itself or away from https", url=start)
            url = target
            continue
        if answer.status in (404, 410):
            raise NotThere(f"HTTP {answer.status}", url=start, status=answer.status)
        if answer.status != 200 or (answer.header("content-encoding") or "identity").lower() != "identity":
            raise BadAnswer(f"HTTP {answer.status}", url=start, status=answer.status)
        try:
            return jsonld.parse(answer.body, max_bytes=MAX_BODY_BYTES)
        except VocabError as error:
            raise BadAnswer(f"not a JSON object: {error}", url=start) from error
    raise Oversized(f"more than {MAX_REDIRECTS} redirects", url=start)


def origin_of_host(host: str) -> str:
    """Return the origin of a host as it stands in a handle: https, or http on this machine.

    Raises Forbidden for what is no host.
    """
    address = addresses.parse(f"https://{host}/")
    ip = addresses.ip_literal(address.host)
    is_here = address.host == "localhost" or (ip is not None and addresses.is_loopback(ip))
    return addresses.parse(f"{'http' if is_here else 'https'}://{host}/").origin
