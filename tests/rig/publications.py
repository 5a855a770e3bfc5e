"""Builders for what is public: sample cases, published as two people would. All of it is fictional."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from node.ids import random_id
from node.publishing.publications import Publication
from node.publishing.publish import correct, publish, withdraw
from node.runtime import Node, open_node
from node.settings import Settings
from tests.rig.processes import Served
from vocab import lists, samples
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


async def correct_case(node: Node, publication: Publication, case: PublicCase) -> None:
    """Correct it through the use case, as if one person had drafted this text of it and another approved."""
    async with node.database.begin() as session:
        await correct(
            session,
            node.settings,
            node.keyring,
            case_id=publication.case_id,
            case=case,
            drafted_by="drafter",
            approved_by="approver",
            now=node.clock.now(),
        )
    await node.bell.ring()


async def withdraw_case(node: Node, publication: Publication) -> None:
    """Withdraw it through the use case, as if one person had proposed it and another approved."""
    async with node.database.begin() as session:
        await withdraw(
            session,
            node.settings,
            node.keyring,
            case_id=publication.case_id,
            reason=lists.items("withdrawal_reasons")[0].id,
            proposed_by="drafter",
            approved_by="approver",
            now=node.clock.now(),
        )
    await node.bell.ring()


@asynccontextmanager
async def behind(server: Served) -> AsyncIterator[Node]:
    """The node of a server that runs as a process, opened a second time from its data: for use cases without a page."""
    async with open_node(Settings.read(server.environment)) as node:
        yield node
