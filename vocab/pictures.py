"""The picture of a case on the wire: where it lies, its words for those who do not see it, and what its bytes are (FEP-1311)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from urllib.parse import urlsplit

from vocab import properties
from vocab.publiccase import Picture, is_picture

# Multihash, the prefix of 32 bytes of SHA-256.
_SHA2_256: Final = b"\x12\x20"
Json = dict[str, object]


def picture_address(case_id: str, picture: Picture) -> str:
    """Return where the picture of a case is: at its publisher's own origin, and nowhere else."""
    parts = urlsplit(case_id)
    return f"{parts.scheme}://{parts.netloc}{picture.path}"


def write_picture(picture: Picture, language: str, own_id: str) -> Json:
    """Write the picture of a case, with its words in the case's language first; the picture lies at the case's own origin."""
    alt = picture.alt.first(language)
    return {
        "type": "Image",
        "mediaType": picture.media_type,
        "url": picture_address(own_id, picture),
        # Mastodon reads `summary` first, most others `name`: both are the words for those who do not see it.
        "name": alt[language],
        "nameMap": dict(alt),
        "width": picture.width,
        "height": picture.height,
        # FEP-1311: what the publisher's proof says of the bytes themselves.
        "digestMultibase": f"u{urlsafe_b64encode(_SHA2_256 + bytes.fromhex(picture.sha256)).rstrip(b'=').decode()}",
    }


def read_picture(plain: properties.Properties, own_id: str, language: object) -> Json | None:
    """Read the picture of a case as plain fields; None for one that says too little of itself, or lies on another origin.

    A case whose picture cannot be believed is still a case: it is read without.
    """
    image = properties.embedded(plain, "image")
    if image is None or "Image" not in properties.types(image):
        return None
    here, there = urlsplit(own_id), urlsplit(properties.link_to_page(image) or "")
    if (here.scheme, here.netloc) != (there.scheme, there.netloc) or there.query or there.fragment:
        return None
    alt = properties.texts(image, "nameMap") or (
        {language: properties.text(image, "name") or ""} if isinstance(language, str) else {}
    )
    given: Json = {
        "sha256": _digest(properties.text(image, "digestMultibase")),
        "media_type": properties.text(image, "mediaType"),
        "width": properties.count(image, "width"),
        "height": properties.count(image, "height"),
        "path": there.path,
        "alt": alt,
    }
    return given if is_picture(given, language) else None


def _digest(multibase: str | None) -> str | None:
    if multibase is None or not multibase.startswith("u") or len(multibase) > 64:
        return None
    try:
        digest = urlsafe_b64decode(multibase[1:] + "=" * (-len(multibase[1:]) % 4))
    except ValueError:
        return None
    return digest[2:].hex() if digest[:2] == _SHA2_256 and len(digest) == 34 else None
