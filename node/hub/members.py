"""The member organisations of a hub, as a signed list: others may hold it against what the hub announces."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from node.keyring import Keyring
from node.peers.follows import accepted_by, count_accepted
from node.peers.lists import signed_list
from node.settings import Settings
from vocab.properties import written


async def member_document(
    session: AsyncSession, settings: Settings, keyring: Keyring, *, page: int | None, now: datetime
) -> dict[str, Any]:
    """The list or one of its pages, with a proof: whom the hub follows and who accepted. Raises NotFound."""

    async def some(offset: int, limit: int) -> list[dict[str, Any]]:
        members = await accepted_by(session, settings.main_actor, offset=offset, limit=limit)
        return [
            {
                "id": member.id,
                "type": member.type,
                "name": member.name,
                "url": member.url,
                "published": written(member.since),
                **({"srt:state": member.states.split()} if member.states else {}),
            }
            for member in members
        ]

    total = await count_accepted(session, settings.main_actor)
    return await signed_list(settings, keyring, "members", some, total=total, page=page, now=now)
