"""Which signature a server asks for: the Accept-Signature field of a refusal, written and read (RFC 9421 §5); and which it took.

A wish adds to what we sign and never takes away: method and target are always covered, so that what one server asks for is of
no use at another. What we cannot give as asked is no wish.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from federation import structured
from federation.keys import Algorithm, Signer

# What our own doors ask for (§5.1: `created` without a value asks for one).
FOR_A_BODY = b'sig1=("@method" "@target-uri" "content-digest");created'
FOR_NO_BODY = b'sig1=("@method" "@target-uri");created'
FIELD = "accept-signature"

ALGORITHMS = {Algorithm.RSA: "rsa-v1_5-sha256", Algorithm.ED25519: "ed25519"}

_DERIVED = frozenset(
    ("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query")
)
_USUAL = frozenset(("@method", "@target-uri", "content-digest", "content-type"))
_OF_A_BODY = frozenset(("content-digest", "content-type"))
_PARAMETERS = frozenset(("created", "keyid", "alg", "nonce", "tag"))
_LONGEST_WORD = 256
_ORIGINS_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Wish:
    """A signature that another server asks for, and that we can give.

    components  names, without parameters, in the order they were asked for.
    parameters  `nonce` and `tag`, to be repeated as they came.
    signer      whose key fits what was asked for.
    """

    label: str
    components: tuple[str, ...]
    parameters: Mapping[str, str]
    signer: Signer

    @property
    def is_more(self) -> bool:
        """Whether it asks for anything that we do not sign anyway."""
        return bool(self.parameters) or not set(self.components) <= _USUAL


class Spoken:
    """Which servers gave what was asked for in RFC 9421 after they had refused draft-cavage: from then on it comes first there.

    A memory of one process and of origins alone; it is bounded, and who was heard longest ago is forgotten first.
    """

    def __init__(self) -> None:
        """Begin without knowing anybody."""
        self._newer: OrderedDict[str, None] = OrderedDict()

    def is_newer_first(self, origin: str) -> bool:
        """Tell whether this server is asked in RFC 9421 first; everybody else in draft-cavage."""
        return origin in self._newer

    def learn(self, origin: str, *, is_newer: bool) -> None:
        """Remember in which dialect a server answered where it had refused the other one."""
        self._newer.pop(origin, None)
        if is_newer:
            self._newer[origin] = None
        if len(self._newer) > _ORIGINS_REMEMBERED:
            self._newer.popitem(last=False)


def read_wish(field: str | None, *signers: Signer | None, has_body: bool) -> Wish | None:
    """Return the first wish of an Accept-Signature field that one of these keys can grant; None without one.

    A key that is asked for by `keyid` or `alg` must be ours: nobody is told of another, and none is tried.
    """
    if field is None:
        return None
    try:
        members = structured.parse_list_dictionary(field.encode("latin-1", "replace"))
    except structured.NotStructured:
        return None
    known = _DERIVED | _OF_A_BODY if has_body else _DERIVED
    for label, wished in members.items():
        asked = wished.parameters
        names = tuple(name for name, _ in wished.items)
        words = {name: value for name, value in asked.items() if name in ("nonce", "tag")}
        if (
            not set(names) <= known
            or len(set(names)) != len(names)
            or any(has_parameters for _, has_parameters in wished.items)
            or not asked.keys() <= _PARAMETERS
            or asked.get("created", True) is not True
        ):
            continue
        texts = {name: value for name, value in words.items() if isinstance(value, str)}
        if len(texts) < len(words) or any(len(text) > _LONGEST_WORD for text in texts.values()):
            continue
        for signer in signers:
            if signer is not None and _fits(signer, asked):
                return Wish(label, names, texts, signer)
    return None


def _fits(signer: Signer, asked: Mapping[str, object]) -> bool:
    return (
        asked.get("keyid", signer.key_id) == signer.key_id
        and asked.get("alg", ALGORITHMS[signer.algorithm]) == ALGORITHMS[signer.algorithm]
    )
