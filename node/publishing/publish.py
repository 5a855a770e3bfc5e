"""Publish, correct, withdraw: sign the object, keep it, tell every follower; one transaction, no network.

The object carries its own data-integrity proof, so it can be checked years later without this server; the activity around it
carries another, and each delivery an HTTP signature. That two people stand behind it is checked here once more, whoever calls.
"""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.proofs import attach
from node.casework.gates import SIZE, TOO_LONG
from node.casework.pictures import Picture, forget_pictures, pictures_named
from node.entries.entries import Draft, Entry, put_entry, withdraw_entry
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.ids import random_id
from node.keyring import Keyring
from node.peers.deliveries import still_told
from node.peers.follows import follower_inboxes
from node.peers.sending import Sent, erase_sent, new_activity_id, send, went_to
from node.publishing.copies import forget_copies, inboxes_of_copies
from node.publishing.publications import Publication, Version, publication_of, versions_of
from node.publishing.reactions import inboxes_of_reactions
from node.settings import Settings
from vocab import activities, lists
from vocab.cases import PublicCase, fits, write_case, write_tombstone
from vocab.jsonld import write
from vocab.terms import PUBLIC


async def publish(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    case_id: str,
    case: PublicCase,
    drafted_by: str,
    approved_by: str,
    now: datetime,
) -> Publication:
    """Make a case public for the first time.

    case_id       of the sealed record; never leaves the server, and the public address is not made from it.
    drafted_by, approved_by  ids of two different people.
    Raises NotAllowed when they are one, WrongState when the case is public already, Invalid when it is too long.
    """
    _two_people(drafted_by, approved_by)
    if await publication_of(session, case_id) is not None:
        raise WrongState("this case is public already")
    public_id = random_id()
    publication = Publication(
        id=public_id,
        case_id=case_id,
        url=f"{settings.origin}/cases/{public_id}",
        state="live",
        published_at=_second(now),
        changed_at=_second(now),
    )
    session.add(publication)
    await session.flush()
    await _issue(session, settings, keyring, publication, case, drafted_by, approved_by, now=_second(now))
    return publication


async def correct(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    case_id: str,
    case: PublicCase,
    drafted_by: str,
    approved_by: str,
    now: datetime,
) -> Publication:
    """Replace the public text by a corrected one, which lists what was corrected; told to the same as a withdrawal.

    Raises NotFound, NotAllowed, WrongState, Invalid.
    """
    _two_people(drafted_by, approved_by)
    publication = await _publication(session, case_id)
    publication.move("corrected", _second(now))
    await _issue(session, settings, keyring, publication, case, drafted_by, approved_by, now=_second(now))
    return publication


async def withdraw(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    case_id: str,
    reason: str,
    proposed_by: str,
    approved_by: str,
    now: datetime,
) -> Publication:
    """Put a dated tombstone in the case's place and tell every follower, whoever was sent it, also where nobody follows any more, and
    whoever fetched it.

    reason  an entry of the list `withdrawal_reasons`.
    Raises NotFound, NotAllowed, WrongState, Invalid.
    """
    if not lists.has("withdrawal_reasons", reason):
        raise Invalid("unknown reason", problems={"reason": "Choose one of the listed reasons."})
    _two_people(proposed_by, approved_by)
    publication = await _publication(session, case_id)
    now = _second(now)
    publication.move("withdrawn", now)
    document = attach(
        write_tombstone(
            id=publication.url,
            actor=settings.main_actor,
            published=publication.published_at,
            deleted=now,
            reason=reason,
            cc=[f"{settings.main_actor}/followers"],
        ),
        keyring.signer(settings.main_actor, "ed25519"),
        now=now,
    )
    await erase_sent(session, publication.url)
    await forget_pictures(session, case_id)
    await withdraw_entry(
        session,
        publication.url,
        actor=settings.main_actor,
        tombstone=write(document),
        now=now,
    )
    activity = activities.delete(
        new_activity_id(settings),
        settings.main_actor,
        document,
        to=[PUBLIC],
        cc=[f"{settings.main_actor}/followers"],
        published=now,
    )
    await _tell(session, settings, keyring, publication, activity, now=now)
    await forget_copies(session, publication.url)
    return publication


async def public_picture(session: AsyncSession, sha256: str) -> Picture | None:
    """The picture with these bytes, while a case that is public here shows it; None otherwise, whoever knows the hash."""
    for picture in await pictures_named(session, sha256):
        publication = await publication_of(session, picture.case_id)
        entry = await session.get(Entry, publication.url) if publication else None
        shown = (entry.fields.get("image") or {}) if entry is not None and entry.withdrawn_at is None else {}
        if shown.get("sha256") == sha256:
            return picture
    return None


async def history_of(session: AsyncSession, url: str) -> list[tuple[Sent, str | None]]:
    """What we did with a case, newest first: each public activity, and the hash of the version that it brought."""
    publication = await session.scalar(select(Publication).where(Publication.url == url))
    if publication is None:
        return []
    hashes = {version.activity: version.sha256 for version in await versions_of(session, publication.id)}
    found = select(Sent).where(
        Sent.object_id == url, Sent.is_public.is_(True), Sent.type.in_(("Create", "Update", "Delete"))
    )
    newest = found.order_by(Sent.sent_at.desc(), Sent.id.desc())
    return [(sent, hashes.get(sent.id)) for sent in await session.scalars(newest)]


async def _issue(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    publication: Publication,
    case: PublicCase,
    drafted_by: str,
    approved_by: str,
    *,
    now: datetime,
) -> None:
    """Sign one version of the object, put it where readers find it, and send Create or Update."""
    if not fits(case):
        raise Invalid("the text is too long", public=TOO_LONG, problems={SIZE: TOO_LONG})
    actor = settings.main_actor
    updated = now if now > publication.published_at else None
    to, cc = [PUBLIC], [f"{actor}/followers"]
    signer = keyring.signer(actor, "ed25519")
    document = attach(
        write_case(
            case,
            id=publication.url,
            actor=actor,
            published=publication.published_at,
            updated=updated,
            to=to,
            cc=cc,
            context=f"{publication.url}/context",
            replies=f"{publication.url}/replies",
            history=f"{publication.url}/history",
        ),
        signer,
        now=now,
    )
    body = write(document)
    sha256 = hashlib.sha256(body).hexdigest()
    draft = Draft(
        case,
        id=publication.url,
        actor=actor,
        host=settings.authority,
        publisher=settings.organisation,
        own=True,
        document=body,
        sha256=sha256,
        proof_key=signer.key_id,
        published_at=publication.published_at,
        updated_at=updated,
    )
    entry = await put_entry(session, draft, now=now)
    if entry is None:
        raise WrongState("a newer version is public already; try again in a second")
    number = len(await versions_of(session, publication.id)) + 1
    build = activities.create if number == 1 else activities.update
    activity = build(new_activity_id(settings), actor, document, to=to, cc=cc, published=now)
    sent = await _tell(session, settings, keyring, publication, activity, now=now)
    session.add(
        Version(
            publication=publication.id,
            number=number,
            sha256=sha256,
            activity=sent.id,
            drafted_by=drafted_by,
            approved_by=approved_by,
            made_at=now,
        )
    )


async def _tell(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    publication: Publication,
    activity: dict[str, Any],
    *,
    now: datetime,
) -> Sent:
    """Tell every follower, and whoever answered, shared, quoted or fetched it before; and whoever was sent it, also where nobody
    follows any more: they have left, or followed us to another address.
    """
    inboxes = await follower_inboxes(session, settings.main_actor)
    inboxes += await inboxes_of_reactions(session, publication.url)
    inboxes += await inboxes_of_copies(session, publication.url)
    went = (await went_to(session, publication.url)).get(settings.main_actor, set())
    inboxes += await still_told(session, went)
    return await send(session, keyring, activity, inboxes=inboxes, now=now, is_public=True)


async def _publication(session: AsyncSession, case_id: str) -> Publication:
    publication = await publication_of(session, case_id)
    if publication is None or await session.get(Entry, publication.url) is None:
        raise NotFound("this case is not public")
    return publication


def _two_people(one: str, other: str) -> None:
    if not one or not other or one == other:
        raise NotAllowed(
            "one person alone cannot publish", public="A second person has to approve what one has written."
        )


def _second(now: datetime) -> datetime:
    # The wire carries whole seconds; keeping more would make what we compare differ from what we sent.
    return now.replace(microsecond=0)
