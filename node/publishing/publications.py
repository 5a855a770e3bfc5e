"""Publication: what became of a case in public, who stands behind each version, and since when."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.errors import WrongState

MOVES = {
    "live": {"corrected", "withdrawn"},
    "corrected": {"corrected", "withdrawn"},
    "withdrawn": set[str](),
}


class Publication(Row):
    """A case that is public, or was. Its address is minted at publication and tells nothing of the sealed record."""

    __tablename__ = "publications"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(40), unique=True)
    url: Mapped[str] = mapped_column(String(600), unique=True)
    state: Mapped[str] = mapped_column(String(20))
    published_at: Mapped[datetime]
    changed_at: Mapped[datetime]

    def move(self, to: str, now: datetime) -> None:
        """Change state. Raises WrongState."""
        if to not in MOVES[self.state]:
            raise WrongState(f"a publication that is {self.state} cannot be {to}")
        self.state, self.changed_at = to, now


class Version(Row):
    """One version of a publication: the hash of the signed object, and the two people who stand behind it."""

    __tablename__ = "publication_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    publication: Mapped[str] = mapped_column(ForeignKey("publications.id"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    activity: Mapped[str] = mapped_column(String(600))
    drafted_by: Mapped[str] = mapped_column(String(40))
    approved_by: Mapped[str] = mapped_column(String(40))
    made_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("publication", "number"),)


async def publication_of(session: AsyncSession, case_id: str) -> Publication | None:
    """The publication of a case, if there is one."""
    return await session.scalar(select(Publication).where(Publication.case_id == case_id))


async def versions_of(session: AsyncSession, publication: str) -> list[Version]:
    """Every version, oldest first."""
    found = select(Version).where(Version.publication == publication).order_by(Version.number)
    return list(await session.scalars(found))
