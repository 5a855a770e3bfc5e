"""The forms a source is asked with: versions that stay, one draft of each, and who changed what.

What a form may be is vocab's (`vocab/sourceform.py`). A published version is never changed and never removed, because an
alert names it by its hash inside the ciphertext and nobody here can know which ones are still named.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Date, Integer, LargeBinary, String, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.database import Row
from node.errors import Conflict, NotFound
from vocab.jsonld import parse as parse_json
from vocab.sourceform import Purpose, SourceForm, bundled


class FormVersion(Row):
    """A form as it was published, or as it came along with the program: then it has no number.

    number, published_on, published_by  of the first time, for good: a version that is asked again is the same version.
    place                               in the order in which forms were asked; the last one is asked now.
    """

    __tablename__ = "form_versions"
    __table_args__ = (UniqueConstraint("purpose", "number"),)

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    number: Mapped[int | None] = mapped_column(Integer)
    place: Mapped[int | None] = mapped_column(Integer)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    published_on: Mapped[date | None] = mapped_column(Date)
    published_by: Mapped[str | None] = mapped_column(String(26))

    @property
    def form(self) -> SourceForm:
        return SourceForm.parse(parse_json(self.document))


class FormDraft(Row):
    """The one copy of a form that is being changed."""

    __tablename__ = "form_drafts"

    purpose: Mapped[str] = mapped_column(String(16), primary_key=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    saved_by: Mapped[str] = mapped_column(String(26))

    @property
    def form(self) -> SourceForm:
        return SourceForm.parse(parse_json(self.document))


async def current_form(session: AsyncSession, purpose: Purpose) -> SourceForm:
    """Return the form sources are asked with now."""
    version = await _latest(session, purpose)
    return bundled(purpose) if version is None else version.form


async def form_of(session: AsyncSession, sha256: str) -> SourceForm:
    """Return a form by its hash, however old it is. Raises NotFound."""
    version = await session.get(FormVersion, sha256)
    if version is not None:
        return version.form
    for purpose in Purpose:
        if bundled(purpose).sha256 == sha256:
            return bundled(purpose)
    raise NotFound(f"no form {sha256}")


async def versions(session: AsyncSession, purpose: Purpose) -> Sequence[FormVersion]:
    """Return what was published, the highest number first; the one that is asked now may be an earlier one."""
    query = select(FormVersion).where(FormVersion.purpose == purpose, FormVersion.number.is_not(None))
    return (await session.scalars(query.order_by(FormVersion.number.desc()))).all()


async def draft_of(session: AsyncSession, purpose: Purpose) -> SourceForm | None:
    """Return the draft, where there is one."""
    draft = await session.get(FormDraft, purpose)
    return None if draft is None else draft.form


async def save_draft(session: AsyncSession, form: SourceForm, *, by: str, now: datetime) -> None:
    """Keep this as the draft of its purpose, in place of the one before."""
    draft = await session.get(FormDraft, form.purpose)
    if draft is None:
        draft = FormDraft(purpose=str(form.purpose))
        session.add(draft)
    draft.document, draft.saved_by = form.body, by
    await session.flush()
    await audit.record(session, actor=by, action="form.drafted", subject=form.sha256, now=now)


async def drop_draft(session: AsyncSession, purpose: Purpose, *, by: str, now: datetime) -> None:
    """Throw the draft away; harmless where there is none."""
    draft = await session.get(FormDraft, purpose)
    if draft is None:
        return
    await session.delete(draft)
    await audit.record(session, actor=by, action="form.draft-dropped", subject=draft.form.sha256, now=now)


async def publish_draft(
    session: AsyncSession, purpose: Purpose, *, sha256: str, by: str, now: datetime
) -> FormVersion:
    """Ask sources with the draft from now on. `sha256` is what its author saw last. Raises NotFound, Conflict."""
    draft = await session.get(FormDraft, purpose, with_for_update=True)
    if draft is None:
        raise NotFound(f"there is no draft of the {purpose} form")
    form = draft.form
    if form.sha256 != sha256:
        raise Conflict("the draft was changed meanwhile", public="Somebody changed the draft meanwhile.")
    published, latest = await versions(session, purpose), await _latest(session, purpose)
    version = await session.get(FormVersion, sha256)
    if version is None:
        version = FormVersion(sha256=sha256, purpose=str(purpose), document=form.body)
        session.add(version)
    # The same words as an earlier version are that version again, under its number and with its line: one hash, one form.
    if version.number is None:
        version.number = 1 + max((one.number or 0 for one in published), default=0)
        version.published_on, version.published_by = now.date(), by
    version.place = 1 + (latest.place or 0 if latest else 0)
    await session.delete(draft)
    await session.flush()
    await audit.record(session, actor=by, action="form.published", subject=sha256, now=now)
    return version


async def keep_bundled(session: AsyncSession) -> None:
    """Keep the forms that come along with this version of the program, so that a later one still knows them."""
    for form in map(bundled, Purpose):
        if await session.get(FormVersion, form.sha256) is not None:
            continue
        try:
            async with session.begin_nested():
                session.add(FormVersion(sha256=form.sha256, purpose=str(form.purpose), document=form.body))
        except IntegrityError:
            # Another process of this server started at the same moment.
            continue


async def _latest(session: AsyncSession, purpose: Purpose) -> FormVersion | None:
    query = select(FormVersion).where(FormVersion.purpose == purpose, FormVersion.place.is_not(None))
    return await session.scalar(query.order_by(FormVersion.place.desc()).limit(1))
