"""What stands on an activity before it is opened: the few members that are needed to refuse it, or to keep it."""

import hashlib

import msgspec

from node.peers.actors import host_of

MAX_ID_CHARACTERS = 2000

# What people do again under the same id (Misskey, Pixelfed: follow, leave, follow): told from a repeat by its signature. Whoever
# handles these may do so twice.
DONE_AGAIN = frozenset(
    {"Follow", "Undo", "Accept", "Reject", "Like", "Dislike", "EmojiReact", "Announce", "Block", "Update"}
)


# What may come without an id (ActivityPub §3.1, transient): nobody names it again. Mastodon's Add and Remove of what stands first,
# Likes of older NodeBB, Deletes of django-activitypub. A Follow is answered by its id, and others fetch what was created or announced.
NAMELESS = frozenset(
    {
        *("Accept", "Reject", "Undo", "Update", "Delete", "Add", "Remove", "Block", "Flag", "Move"),
        *("Like", "Dislike", "EmojiReact"),
    }
)


# What f2ap sends without an actor: nobody may answer a Follow but whom it follows.
ANSWERS = ("Accept", "Reject")


class _Reference(msgspec.Struct):
    id: str = ""


class Envelope(msgspec.Struct):
    """The few members that are needed before the activity is kept."""

    id: str | None = None
    type: str | list[str] = ""
    actor: str | _Reference | list[str | _Reference] = ""
    object: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def types(self) -> set[str]:
        return {self.type} if isinstance(self.type, str) else set(self.type)

    @property
    def is_of_its_signer(self) -> bool:
        """Whether it says nothing of whose it is, and whoever signed the request stands for its actor: in an answer to a Follow."""
        return self.actor == "" and self.type in ANSWERS

    @property
    def actor_id(self) -> str:
        """Whose it is; in an answer that says nothing of that, whoever was asked. Empty where that cannot be told."""
        if self.is_of_its_signer:
            asked = _decoded(self.object)
            followed = asked.get("object") if isinstance(asked, dict) else None
            return followed if isinstance(followed, str) else ""
        actor = self.actor
        if isinstance(actor, list):
            # Several act together: nobody's key speaks for all of them.
            actor = actor[0] if len(actor) == 1 else ""
        return actor if isinstance(actor, str) else actor.id

    @property
    def is_about_itself(self) -> bool:
        """Whether an actor says it of themselves: that they changed, or are gone."""
        if self.type not in ("Delete", "Update"):
            return False
        inner = _decoded(self.object)
        return (inner.get("id") if isinstance(inner, dict) else inner) == self.actor_id


def _decoded(part: msgspec.Raw) -> object:
    """A part of an envelope; None for what is not JSON: the first reading skipped over these bytes."""
    try:
        return msgspec.json.decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_decode = msgspec.json.Decoder(Envelope).decode


def read_envelope(body: bytes) -> Envelope | None:
    """The envelope of a body; None for what is not JSON, or has something else in its place."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def name_of(envelope: Envelope, body: bytes) -> str:
    """Its id; of what may come without one, the same bytes of the same actor are the same. Empty where one is needed."""
    if envelope.id or not envelope.types or not envelope.types <= NAMELESS:
        return envelope.id or ""
    return f"{envelope.actor_id}#{hashlib.sha256(body).hexdigest()}"


def host_in(text: str) -> str:
    """The host of an address that can be kept and compared: http(s), and nothing that a database or a log stumbles over. Else empty."""
    if (
        not text.startswith(("https://", "http://"))
        or len(text) > MAX_ID_CHARACTERS
        or not text.isprintable()
    ):
        return ""
    try:
        return host_of(text)
    except ValueError:
        return ""
