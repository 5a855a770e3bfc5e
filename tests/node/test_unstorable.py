"""What PostgreSQL does not store is told apart from what may go better at the next try."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from node.database import is_unstorable
from node.inbox.keeping import Received

pytestmark = [pytest.mark.scale]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_a_text_that_is_too_long_is_at_fault_and_a_missing_table_is_not(database: Any) -> None:
    row = Received(
        digest=bytes(32),
        activity_id="https://evil.example/" + "x" * 2000,
        actor="https://evil.example/users/mallory",
        signer="https://evil.example/users/mallory",
        body=b"{}",
        received_at=await _now(database),
    )

    with pytest.raises(DBAPIError) as too_long:
        async with database.begin() as session:
            session.add(row)
    with pytest.raises(DBAPIError) as missing:
        async with database.begin() as session:
            await session.execute(text("SELECT * FROM nothing_of_that_name"))

    assert is_unstorable(too_long.value)
    assert not is_unstorable(missing.value)


async def _now(database: Any) -> Any:
    async with database.read() as session:
        return await session.scalar(text("SELECT now()"))
