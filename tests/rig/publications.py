"""Builders for what is public: sample cases, published as two people would. All of it is fictional."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from node.ids import random_id
from node.publishing.publications import Publication
from node.publishing.publish import publish
from node.runtime import Node, open_node
from node.settings import Settings
from tests.rig.processes import Served
from vocab import samples
from vocab.cases import PublicCase


def a_case(number: int = 0, **changed: Any) -> PublicCase:
    """One of the sample cases, with some fields changed."""
    found = samples.cases()
    return PublicCase.parse(samples.fields(found[number % len(found)]) | changed)


async def publish_case(node: Node, case: PublicCase | None = None) -> Publication:
    """Publish a case through the use case itself, as if one person had drafted it and another approved."""
    async with node.database.begin() as session:
        publication = await publish(
            session,
            node.settings,
            node.keyring,
            case_id=random_id(),
            case=case or a_case(),
            drafted_by="drafter",
            approved_by="approver",
            now=node.clock.now(),
        )
    await node.bell.ring()
    return publication


@asynccontextmanager
async def behind(server: Served) -> AsyncIterator[Node]:
    """The node of a server that runs as a process, opened a second time from its data: for use cases without a page."""
    async with open_node(Settings.read(server.environment)) as node:
        yield node
