"""Looking whether something arrived: only over HTTP, as any reader or server would."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from html import escape, unescape
from typing import Any
from urllib.parse import urljoin

import httpx

from federation.keys import read_multibase
from federation.proofs import Proven, check
from vocab.actors import read_actor
from vocab.jsonld import parse
from vocab.terms import ACTIVITY_JSON
from web.demo.people import Unexpected
from web.demo.sites import Site

LOOK_EVERY = 0.05
ROOT = re.compile(r'<meta name="srt-root" content="(z6Mk[1-9A-HJ-NP-Za-km-z]+)"')
PICTURE = re.compile(r'<figure class="picture">\s*<img src="([^"]+)"[^>]* alt="([^"]*)"')


class FarEnd:
    """A reader's eyes."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def root(self, site: Site) -> str:
        """The organisation root that the intake page carries."""
        page = await self.http.get(f"{site.origin}/alert")
        found = ROOT.search(page.text)
        if found is None:
            raise Unexpected("the intake page carries no organisation root")
        return found[1]

    async def door(self, hub: Site, site: Site) -> None:
        """From the hub's front page, by links alone, through the State an organisation works in to its own door."""
        place = f"{hub.origin}/"
        for link in (
            "/organisations",
            f"/organisations/{(site.state or '').lower()}",
            f"{site.origin}/alert",
        ):
            place = await self._linked(place, link)
        page = await self._read(place)
        if ROOT.search(page) is None or escape(site.title) not in page:
            raise Unexpected(f"{place} is not the door of {site.name}")

    async def nobody(self, hub: Site, site: Site, state: str) -> None:
        """Where nobody is known to work, no organisation is named; a node sends people on to the hub, which names none either."""
        hubs = await self._linked(
            f"{site.origin}/organisations/{state}", f"{hub.origin}/organisations/{state}"
        )
        if f"{site.origin}/alert" in await self._read(hubs):
            raise Unexpected(f"{site.name} is named for {state}, where it does not work")

    async def promised(self, site: Site, hours: int) -> None:
        """The short form says that an answer is promised, before anything is sent."""
        form = await self._read(f"{site.origin}/alert/urgent")
        words = f"promises that a person answers within {hours} hours"
        if "data-promised" not in form or words not in " ".join(form.split()):
            raise Unexpected(f"the short form of {site.name} does not say what is promised")

    async def following(self, site: Site, wanted: int, *, within: float) -> None:
        """So many Follows of this server's main actor stand."""

        async def look() -> bool:
            return int((await self._object(f"{site.actor}/following"))["totalItems"]) >= wanted

        await self._until(look, within, f"{site.name} does not follow {wanted} yet")

    async def entry(self, site: Site, url: str, *, within: float, **filters: str) -> None:
        """A case is in this server's list, once."""

        async def look() -> bool:
            return await self._count(site, url, filters) == 1

        await self._until(look, within, f"{url} is not at {site.name}")

    async def absent(self, site: Site, url: str, *, within: float = 0.0, **filters: str) -> None:
        """A case is not in this server's list."""

        async def look() -> bool:
            return await self._count(site, url, filters) == 0

        await self._until(look, within, f"{url} is still at {site.name}")

    async def corrected(self, site: Site, url: str, title: str, *, within: float) -> None:
        """A case carries its corrected title here."""

        async def look() -> bool:
            return any(
                item["id"] == url and title in item["case"]["title"].values()
                for item in await self._listed(site, {})
            )

        await self._until(look, within, f"the correction of {url} is not at {site.name}")

    async def announced(self, site: Site, actor: str, url: str, *, within: float) -> None:
        """An actor of the hub announced a case."""

        async def look() -> bool:
            page = await self._object(f"{site.origin}/actors/{actor}/outbox?page=1")
            return any(item["object"] == url for item in page["orderedItems"])

        await self._until(look, within, f"{actor} did not announce {url}")

    async def page(self, url: str, title: str) -> None:
        """The page for people shows the title, and that it is fictional."""
        page = await self.http.get(url, headers={"Accept": "text/html"})
        if page.status_code != 200 or title[:20] not in page.text or "ictional" not in page.text:
            raise Unexpected(f"the page at {url} does not show the case")

    async def picture(self, url: str, alt: str, *, without: bytes) -> str:
        """A case's page shows its picture, with words for who does not see it and nothing hidden in it; returns its address."""
        found = PICTURE.search(await self._read(url))
        if found is None or found[2] != escape(alt):
            raise Unexpected(f"{url} shows no picture with its words")
        address = urljoin(url, str(found[1]))
        picture = (await self.http.get(address)).raise_for_status()
        if not picture.headers["Content-Type"].startswith("image/") or without in picture.content:
            raise Unexpected(f"{address} is not the picture as it was drawn anew")
        return address

    async def picture_linked(self, hub: Site, url: str, picture: str) -> None:
        """The hub links to the picture of another's case and loads nothing from there."""
        copy = f"{hub.origin}/cases/{url.removeprefix('http://').replace('/cases/', '/', 1)}"
        page = await self._read(copy)
        if f'href="{picture}"' not in page or f'src="{picture}"' in page:
            raise Unexpected(f"{copy} does not link to the picture")

    async def picture_gone(self, picture: str) -> None:
        """Nothing is at the address of a picture any more."""
        answer = await self.http.get(picture)
        if answer.status_code != 404:
            raise Unexpected(f"{picture} answers {answer.status_code} after the withdrawal of its case")

    async def proof(self, url: str) -> str:
        """The object at an address carries a proof that holds; returns the key."""
        document = parse((await self.http.get(url, headers={"Accept": ACTIVITY_JSON})).content)
        actor = read_actor(await self._object(str(document["attributedTo"])))
        keys = {key.id: read_multibase(key.multibase) for key in actor.keys if key.multibase}
        outcome = check(document, keys, now=datetime.now(UTC))
        if not isinstance(outcome, Proven):
            raise Unexpected(f"the proof does not hold: {outcome.reason}")
        return outcome.key_id

    async def tombstone(self, url: str) -> None:
        """What was withdrawn answers 410, to servers and to people."""
        for accept in (ACTIVITY_JSON, "text/html"):
            answer = await self.http.get(url, headers={"Accept": accept})
            if answer.status_code != 410:
                raise Unexpected(f"{url} answers {answer.status_code} after its withdrawal")

    async def _count(self, site: Site, url: str, filters: dict[str, str]) -> int:
        return sum(item["id"] == url for item in await self._listed(site, filters))

    async def _listed(self, site: Site, filters: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = await self.http.get(f"{site.origin}/api/v1/cases", params={**filters, "page": str(page)})
            body = answer.raise_for_status().json()
            found += body["cases"]
            if page >= body["pages"]:
                return found
            page += 1

    async def _read(self, url: str) -> str:
        page = await self.http.get(url, headers={"Accept": "text/html", "Accept-Language": "en"})
        return page.raise_for_status().text

    async def _linked(self, url: str, wanted: str) -> str:
        found = re.search(rf'href="({re.escape(wanted)}(?:\?[^"]*)?)"', await self._read(url))
        if found is None:
            raise Unexpected(f"{url} has no link to {wanted}")
        return urljoin(url, unescape(found[1]))

    async def _object(self, url: str) -> dict[str, Any]:
        answer = await self.http.get(url, headers={"Accept": ACTIVITY_JSON})
        document: dict[str, Any] = answer.raise_for_status().json()
        return document

    async def _until(self, look: Callable[[], Awaitable[bool]], within: float, sentence: str) -> None:
        end = time.monotonic() + within
        while not await look():
            if time.monotonic() >= end:
                raise Unexpected(sentence)
            await asyncio.sleep(LOOK_EVERY)
