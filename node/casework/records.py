"""Sealed records of a case: checks, notes and assessments, readable by the people who hold the case's internal key."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Date, ForeignKey, Integer, String, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.errors import Conflict, Invalid, TooLarge
from node.intake.receive import FIRST_SEQ, MAX_OBJECT_BYTES
from node.intake.seals import require_sealed

MAX_RECORDS = 2_000


class RecordType(StrEnum):
    CHECK = "check"
    NOTE = "note"
    ASSESSMENT = "assessment"


# What a finding may rest on.
CHECKS = frozenset({RecordType.CHECK, RecordType.ASSESSMENT})


class CaseRecord(Row):
    """One age file under the case's internal key. What it says, only its readers know."""

    __tablename__ = "case_records"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(12))
    author: Mapped[str] = mapped_column(String(26))
    posted_on: Mapped[date] = mapped_column(Date)
    sealed: Mapped[bytes]


async def add_record(
    session: AsyncSession, case_id: str, *, seq: int, kind: str, sealed: bytes, by: str, now: datetime
) -> CaseRecord:
    """Put one record on a case. Raises Conflict (the place is taken), Invalid, TooLarge."""
    if kind not in set(RecordType):
        raise Invalid(
            "unknown type of record", problems={"type": "A record is a check, a note or an assessment."}
        )
    require_sealed(sealed, "a record", max_bytes=MAX_OBJECT_BYTES)
    last = await session.scalar(select(func.max(CaseRecord.seq)).where(CaseRecord.case_id == case_id))
    if seq != (FIRST_SEQ if last is None else last + 1):
        raise Conflict("the place among the records is taken, or leaves a gap")
    if seq > MAX_RECORDS:
        raise TooLarge("too many records", public="This case holds as many records as it can.")
    record = CaseRecord(case_id=case_id, seq=seq, type=kind, author=by, posted_on=now.date(), sealed=sealed)
    try:
        async with session.begin_nested():
            session.add(record)
    except IntegrityError:
        raise Conflict("the place among the records is taken") from None
    return record


async def records_of(session: AsyncSession, case_id: str) -> list[CaseRecord]:
    """Every record of a case, in order."""
    found = await session.scalars(
        select(CaseRecord).where(CaseRecord.case_id == case_id).order_by(CaseRecord.seq)
    )
    return list(found)


async def has_checked(session: AsyncSession, case_id: str, *, by: str) -> bool:
    """Whether this person has put a check or an assessment on record."""
    found = await session.scalar(
        select(func.count())
        .select_from(CaseRecord)
        .where(CaseRecord.case_id == case_id, CaseRecord.author == by, CaseRecord.type.in_(CHECKS))
    )
    return bool(found)
