"""Where the attacks are played: a node, a hub, strangers on hosts of their own, and what each attack left behind."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from federation.proofs import attach
from federation.requests import SignedRequest
from node.entries.entries import Entry
from node.inbox.keeping import Received
from node.peers.directory import find_actor
from node.peers.follows import follow
from node.peers.ours import local_actor_at
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.cases import write_case
from vocab.terms import ACTIVITY_JSON, PUBLIC

FORGED = "Forged words that must never be shown"


@dataclass
class Stage:
    """The town of one file, and hosts that no other attack has used."""

    town: Town
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _publication: str | None = None

    # ---- people ------------------------------------------------------------------------------------------------

    def stranger(self, host: str | None = None, name: str = "mallory", *, key: str = "stranger") -> Stranger:
        """Somebody whom nobody knows, on a host of their own."""
        return Stranger(self.town, host or f"evil{next(self._numbers)}.example", name, key=key)

    async def victim(self) -> Stranger:
        """An organisation that the hub follows."""
        host = f"victim{next(self._numbers)}.example"
        return await self.admit(Stranger(self.town, host, "cases", key="other"))

    async def admit(self, stranger: Stranger) -> Stranger:
        """Let the hub follow somebody, and them accept."""
        node = self.town.hub.node
        us = local_actor_at(node.settings, node.settings.main_actor)
        assert us is not None
        them = await find_actor(node, stranger.id)
        async with node.database.begin() as session:
            row = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
        await stranger.post("hub", stranger.activity("Accept", row.activity, number=next(self._numbers)))
        await self.town.settle()
        return stranger

    async def publication(self) -> str:
        """The address of a case of the node, one for all attacks of a file."""
        if self._publication is None:
            self._publication = (await publish_case(self.town["node"].node)).url
        return self._publication

    def neighbours(self, *strangers: Stranger) -> None:
        """Let several actors live on one server."""

        def serve(request: httpx.Request) -> httpx.Response:
            for stranger in strangers:
                inbox = stranger.id.removeprefix(f"https://{stranger.host}") + "/inbox"
                if request.url.path in stranger.documents or request.url.path == inbox:
                    return stranger._serve(request)
            return strangers[0]._serve(request)

        self.town.wires.apps[strangers[0].host] = httpx.MockTransport(serve)

    # ---- what they send ----------------------------------------------------------------------------------------

    def case(
        self,
        owner: Stranger,
        slug: str = "c1",
        *,
        minutes: int = 0,
        fields: Mapping[str, Any] = {},
        **more: Any,
    ) -> dict[str, Any]:
        """A case as its owner signs it; `more` are members that the owner changed before signing."""
        now = self.town.clock.now().replace(microsecond=0)
        document = write_case(
            a_case(**fields),
            id=f"https://{owner.host}/cases/{slug}",
            actor=owner.id,
            published=now,
            updated=now + timedelta(minutes=minutes) if minutes else None,
            to=[PUBLIC],
            cc=[],
        )
        return attach(document | more, owner.prover(), now=now)

    def prove(self, owner: Stranger, document: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """A document under its owner's proof."""
        return attach(dict(document) | more, owner.prover(), now=self.town.clock.now())

    async def send(
        self, sender: Stranger, activity: Mapping[str, Any] | bytes, *, to: str = "hub", **how: Any
    ) -> int:
        """Post an activity, let the town work on it, return the status."""
        answer = await sender.post(to, activity, **how)
        await self.town.settle()
        return answer.status_code

    async def knock(self, request: SignedRequest, *, to: str = "node") -> httpx.Response:
        """Post a request just as it was signed by hand."""
        async with self.town.visitor(to) as http:
            return await http.post(
                request.path_with_query.decode(), content=request.body, headers=list(request.headers)
            )

    # ---- what it left ------------------------------------------------------------------------------------------

    async def kept(self, at: str = "node") -> int:
        """By how many digests a server knows activities that it has accepted: what may be done again has two."""
        async with self.town[at].node.database.read() as session:
            return await session.scalar(select(func.count(Received.digest))) or 0

    async def entry(self, url: str) -> Entry | None:
        """What the hub keeps of a case."""
        async with self.town.hub.node.database.read() as session:
            return await session.get(Entry, url)

    def asked(self, host: str) -> list[str]:
        """Which addresses of a host were asked for, by anybody in the town."""
        return [str(request.url) for request in self.town.wires.carried if request.url.host == host]

    async def page(self, path: str, *, at: str = "hub") -> str:
        """A page as a reader sees it."""
        async with self.town.visitor(at) as http:
            answer = await http.get(path, headers={"accept": "text/html"})
        return answer.text


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Every reason that the log names."""
    return [str(vars(record)["reason"]) for record in caplog.records if "reason" in vars(record)]


def a_body(activity: Mapping[str, Any]) -> bytes:
    """The bytes of an activity."""
    return json.dumps(activity).encode()


def served(
    document: object, *, content_type: str | None = ACTIVITY_JSON, status: int = 200
) -> httpx.Response:
    """What a server answers."""
    headers = {"content-type": content_type} if content_type is not None else {}
    return httpx.Response(status, content=json.dumps(document).encode(), headers=headers)
