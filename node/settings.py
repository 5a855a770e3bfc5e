"""The settings of a node: read once from a mapping, checked, frozen. deploy/README.md describes each field."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from federation import addresses
from federation.errors import Forbidden
from node.errors import Misconfigured
from vocab.states import is_state

PREFIX = "TRACKER_"
SECRET = {"repr": False}
YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"", "0", "false", "no", "off"})
# With whom a server speaks, from the narrowest to the widest.
MODES = ("closed", "members", "limited", "open")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides.

    Each field is the environment variable TRACKER_<FIELD>, or a file named by TRACKER_<FIELD>_FILE.
    """

    origin: str
    role: str = "node"
    data: Path = Path("data")
    database_url: str = field(default="", metadata=SECRET, repr=False)
    redis_url: str = field(default="", repr=False)
    name: str = ""
    languages: tuple[str, ...] = ("en", "fr", "es")
    federation: str = "open"
    authorized_fetch: bool = False
    trusted_proxies: tuple[str, ...] = ()
    onion: str = ""
    hub: str = ""
    states: tuple[str, ...] = ()
    allow_loopback: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    fictional: bool = False
    plain_door: bool = False
    metrics_token: str = field(default="", repr=False)
    keyring_passphrase: str = field(default="", repr=False)

    @property
    def authority(self) -> str:
        """Host, with the port where the origin names one: what stands behind the @ of a handle."""
        return urlsplit(self.origin).netloc

    @property
    def is_hub(self) -> bool:
        return self.role == "hub"

    @property
    def organisation(self) -> str:
        """The name people see."""
        return self.name or self.authority

    @property
    def main_actor(self) -> str:
        """Id of the actor that speaks for the whole node."""
        return f"{self.origin}/actors/{'hub' if self.is_hub else 'cases'}"

    @property
    def instance_actor(self) -> str:
        """Id of the actor that signs fetches."""
        return f"{self.origin}/actors/{urlsplit(self.origin).hostname}"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Settings from an environment; `…_FILE` names a file that holds the value.

        Raises Misconfigured on an unknown, unreadable or contradictory setting.
        """
        given: dict[str, str] = {}
        known = {f.name for f in fields(cls)}
        for key, value in environ.items():
            if not key.startswith(PREFIX):
                continue
            name = key.removeprefix(PREFIX).lower()
            if name.endswith("_file"):
                name = name.removesuffix("_file")
                try:
                    value = Path(value).read_text("utf-8").strip()
                except OSError as error:
                    raise Misconfigured(
                        f"{key} names a file that cannot be read: {error.strerror}"
                    ) from error
            if name not in known:
                raise Misconfigured(f"{key} is not a setting; `tracker serve --help` lists them")
            if name in given:
                raise Misconfigured(f"{PREFIX}{name.upper()} is given twice, directly and as a file")
            given[name] = value
        return cls.parse(given)

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> "Settings":
        """Settings from field names and texts. Raises Misconfigured."""
        if not given.get("origin"):
            raise Misconfigured("TRACKER_ORIGIN is needed, such as https://tracker.example.org")
        data = Path(given.get("data", "data")).absolute()
        settings = cls(
            origin=_origin(given["origin"]),
            role=given.get("role", "node"),
            data=data,
            database_url=given.get("database_url") or f"sqlite:///{data / 'tracker.sqlite'}",
            redis_url=given.get("redis_url", ""),
            name=given.get("name", ""),
            languages=_words(given.get("languages", "en fr es")),
            federation=given.get("federation", "open"),
            authorized_fetch=_flag("authorized_fetch", given.get("authorized_fetch", "")),
            trusted_proxies=_words(given.get("trusted_proxies", "")),
            onion=given.get("onion", ""),
            hub=_origin(given["hub"], "hub") if given.get("hub") else "",
            states=tuple(code.upper() for code in _words(given.get("states", ""))),
            allow_loopback=_flag("allow_loopback", given.get("allow_loopback", "")),
            host=given.get("host", "127.0.0.1"),
            port=_number("port", given.get("port", "8000")),
            fictional=_flag("fictional", given.get("fictional", "")),
            plain_door=_flag("plain_door", given.get("plain_door", "")),
            metrics_token=given.get("metrics_token", ""),
            keyring_passphrase=given.get("keyring_passphrase", ""),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse contradictions. Raises Misconfigured."""
        if self.role not in {"node", "hub"}:
            raise Misconfigured("TRACKER_ROLE is node or hub")
        if self.federation not in MODES:
            raise Misconfigured("TRACKER_FEDERATION is open, limited, members or closed")
        if self.allow_loopback and self.origin.startswith("https:"):
            raise Misconfigured(
                "TRACKER_ALLOW_LOOPBACK is for development; it is refused with an https origin"
            )
        unknown = [code for code in self.states if not is_state(code)]
        if unknown:
            raise Misconfigured(
                f"TRACKER_STATES names States by two letters, such as “FR BE”; {unknown[0]} is none we know"
            )
        if not self.languages:
            raise Misconfigured("TRACKER_LANGUAGES names at least one language")


def _origin(text: str, name: str = "origin") -> str:
    named = f"{PREFIX}{name.upper()}"
    try:
        parts = urlsplit(text.rstrip("/"))
    except ValueError as error:
        raise Misconfigured(f"{named} is not an address: {error}") from error
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path
        or parts.query
        or parts.fragment
    ):
        raise Misconfigured(f"{named} is a scheme and a host, such as https://tracker.example.org")
    if parts.username or parts.password:
        raise Misconfigured(f"{named} holds no user name")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise Misconfigured(f"{named} must be https, except on a loopback address")
    try:
        # As everybody compares it: what stands in every address that is published is ASCII, without a port that goes without saying.
        return addresses.parse(f"{parts.scheme}://{addresses.in_ascii(parts.netloc)}").origin
    except Forbidden as error:
        raise Misconfigured(f"{named} is not an address that others can reach: {error}") from error


def _is_loopback(hostname: str) -> bool:
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ip_address(hostname).is_loopback
    except ValueError:
        return False


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _flag(name: str, text: str) -> bool:
    word = text.strip().lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise Misconfigured(f"{PREFIX}{name.upper()} is 1 or 0")


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Misconfigured(f"{PREFIX}{name.upper()} is a whole number") from None
