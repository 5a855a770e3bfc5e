"""One address is asked, redirects followed: in whose name, in which dialect, and where nobody is asked.

Every request is signed by the instance actor: part of the network answers nobody else. Each redirect is checked like a
first address, and signed anew for where it leads. What an answer may be believed is for `fetch` to say.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message

import httpx

from federation import addresses, cavage, client, signatures
from federation.allowance import Allowance
from federation.connections import Answer
from federation.delivery import retry_after
from federation.errors import BadAnswer, Forbidden, NotThere, Oversized, Unavailable
from federation.keys import Signer
from federation.negotiation import FIELD, Spoken, read_wish
from federation.sites import site_of
from vocab import jsonld, terms
from vocab.errors import VocabError

MAX_BODY_BYTES = 1_048_576
MAX_REDIRECTS = 3
# Beside 5xx: of the rest a repeat changes nothing.
PASSING = (408, 425, 429)
ACCEPT = f"{terms.LD_JSON}, {terms.ACTIVITY_JSON}".encode("ascii")
_ACCEPT_SHORT = terms.ACTIVITY_JSON.encode("ascii")
_JSON_LD = "application/ld+json"

Document = dict[str, object]
Permit = Callable[[str], Awaitable[None]]
"""Raises FetchError for an address that is not to be asked."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How documents are asked for.

    signer     the instance actor's RSA key; None for a peer that must be asked unsigned.
    permit     asked before each address, also one that a redirect leads to; what it raises ends the retrieval.
    spoken     which dialect each server took before; without it nothing is remembered.
    allowance  where it counts when somebody's redirect makes us ask another server; without it nothing counts.
    """

    http: httpx.AsyncClient
    signer: Signer | None
    now: datetime
    permit: Permit | None = None
    spoken: Spoken | None = None
    allowance: Allowance | None = None

    async def get(self, url: str, *, redirects: int = MAX_REDIRECTS) -> tuple[Document, str]:
        """Return the document and the URL it was found at, its media type and JSON checked. Raises FetchError."""
        start = url
        for _ in range(redirects + 1):
            if self.permit is not None:
                # First whether it is an address at all: a redirect may lead to anything.
                addresses.parse(url)
                await self.permit(url)
            answer = await self._ask(url)
            if answer.status == 200 and _lost_its_profile(answer):
                # Django REST framework, under django-activitypub-toolkit 0.2.0 and Funkwhale, takes the longest media type that is asked
                # for and answers without its profile, which may be a file of anybody's. Asked for by the short name it says it.
                answer = await self._ask(url, accept=_ACCEPT_SHORT)
            if not answer.is_redirect:
                return _read(answer, url, now=self.now), url
            led_from, url = url, _next(url, answer)
            if self.allowance is not None and _site(led_from) != _site(url):
                # Else names that cost nothing would lead us to somebody else's server as often as they are named.
                self.allowance.spend(url, now=self.now)
        raise Oversized(f"more than {redirects} redirects", url=start)

    async def get_there(self, url: str) -> tuple[Document, str]:
        """The same at that address and nowhere else: an actor could lead us, by several keys at once, to somebody who has no part in it."""
        return await self.get(url, redirects=0)

    async def _ask(self, url: str, *, accept: bytes = ACCEPT) -> Answer:
        """GET once; where a signature is refused, once more in the spelling that the rest of the network uses.

        What a server took so is remembered: of one that reads RFC 9421 alone nothing with a query could be had otherwise.
        """
        address, signer, now, spoken = addresses.parse(url), self.signer, self.now, self.spoken
        if signer is None:
            return await self._send(url, [], accept)
        is_newer = spoken is not None and spoken.is_newer_first(address.origin)
        sign = signatures.sign if is_newer else cavage.sign
        answer = await self._send(url, sign("GET", url, signer=signer, now=now), accept)
        if answer.status not in (400, 401):
            return answer
        wish = read_wish(answer.header(FIELD), signer, has_body=False)
        if wish is not None and (wish.is_more or not is_newer):
            is_newer, headers = True, signatures.sign("GET", url, signer=signer, now=now, wish=wish)
        elif is_newer:
            is_newer, headers = False, cavage.sign("GET", url, signer=signer, now=now)
        elif "?" in address.target:
            headers = cavage.sign("GET", url, signer=signer, now=now, with_query=False)
        else:
            is_newer, headers = True, signatures.sign("GET", url, signer=signer, now=now)
        answer = await self._send(url, headers, accept)
        if spoken is not None and answer.status < 400:
            spoken.learn(address.origin, is_newer=is_newer)
        return answer

    async def _send(self, url: str, headers: list[tuple[bytes, bytes]], accept: bytes) -> Answer:
        headers = [*headers, (b"accept", accept)]
        return await client.exchange(self.http, "GET", url, headers=headers, max_body_bytes=MAX_BODY_BYTES)


def is_activity_type(fields: Sequence[bytes]) -> bool:
    """Tell whether a Content-Type, given once, is one of the two of ActivityPub."""
    kind, profiles = _media_type(fields)
    return kind == terms.ACTIVITY_JSON or (kind == _JSON_LD and terms.AS in profiles)


def _media_type(fields: Sequence[bytes]) -> tuple[str, Sequence[str]]:
    """The media type of a Content-Type that is given once, and the profiles it names; nothing of any other."""
    if len(fields) != 1:
        return "", ()
    message = Message()
    message["content-type"] = fields[0].decode("latin-1")
    try:
        profile = message.get_param("profile")
    except ValueError:
        # The parts of a parameter are numbered (RFC 2231 §3), and no number of five thousand digits is read.
        return "", ()
    return message.get_content_type(), profile.split() if isinstance(profile, str) else ()


def _content_types(answer: Answer) -> Sequence[bytes]:
    return [value for name, value in answer.headers if name == b"content-type"]


def _lost_its_profile(answer: Answer) -> bool:
    kind, profiles = _media_type(_content_types(answer))
    return kind == _JSON_LD and not profiles


def _site(url: str) -> str:
    return site_of(addresses.parse(url).host)


def _next(url: str, answer: Answer) -> str:
    location = answer.header("location")
    if not location:
        raise BadAnswer("a redirect to nowhere", url=url, status=answer.status)
    target = addresses.join(url, location).partition("#")[0]
    if url.startswith("https:") and not target.startswith("https:"):
        raise Forbidden("a redirect away from https", url=url)
    return target


def _read(answer: Answer, url: str, *, now: datetime) -> Document:
    if answer.status in (404, 410):
        raise NotThere(f"HTTP {answer.status}", url=url, status=answer.status)
    if answer.status in PASSING or (answer.status >= 500 and answer.status != 501):
        raise Unavailable(f"HTTP {answer.status}", url=url, retry_at=retry_after(answer, now))
    if answer.status != 200:
        raise BadAnswer(f"HTTP {answer.status}", url=url, status=answer.status)
    if (answer.header("content-encoding") or "identity").lower() != "identity":
        raise BadAnswer("an encoded answer, though none was asked for", url=url)
    if not is_activity_type(_content_types(answer)):
        # A file that somebody uploaded there must not become an actor (Mastodon CVE-2024-25623).
        raise BadAnswer("not of an ActivityPub media type", url=url)
    try:
        return jsonld.parse(answer.body, max_bytes=MAX_BODY_BYTES)
    except VocabError as error:
        raise BadAnswer(f"not a document: {error}", url=url) from error
