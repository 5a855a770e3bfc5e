"""The member organisations of a hub, as a signed list: others may hold it against what the hub announces."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from node.keyring import Keyring
from node.peers.follows import followed_by
from node.peers.lists import signed_list
from node.settings import Settings
from vocab.properties import written


async def member_document(
    session: AsyncSession, settings: Settings, keyring: Keyring, *, page: int | None, now: datetime
) -> dict[str, Any]:
    """The list or one of its pages, with a proof: whom the hub follows and who accepted. Raises NotFound."""
    members = [
        {
            "id": actor.id,
            "type": actor.type,
            "name": actor.name,
            "url": actor.url,
            "published": written(follow.changed_at),
            **({"srt:state": actor.states.split()} if actor.states else {}),
        }
        for follow, actor in await followed_by(session, settings.main_actor)
        if follow.state == "accepted" and actor.gone_at is None
    ]
    return signed_list(settings, keyring, "members", members, page=page, now=now)
