"""What an address on the wire may look like, and which network addresses are public. Pure; nothing is resolved here.

Every list below answers a published bypass; a new range is one line and one test.
"""

import ipaddress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import urljoin, urlsplit

import idna

from federation.errors import Forbidden

MAX_URL_CHARACTERS = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Beyond what `ipaddress.is_global` knows, in the Python versions supported: an IPv4 address inside an IPv6 one reaches
# the IPv4 host through a translator or tunnel, and some ranges are global by registry but never a web server.
_NEVER_PUBLIC: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network: 0.0.0.0 reaches localhost on Linux
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: metadata services of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated (SIIT)
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local
        "100::/64",  # discard
        "100:0:0:1::/64",  # dummy prefix
        "2001::/23",  # IETF assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)
_IPV6_UNICAST = ipaddress.ip_network("2000::/3")

# Names that resolvers answer from the machine itself or the local network.
_LOCAL_SUFFIXES = (
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home",
    ".corp",
    ".private",
    ".arpa",
    ".onion",
)


@dataclass(frozen=True)
class Address:
    """An http(s) URL, taken apart once: what to connect to, and what to say there."""

    scheme: str
    host: str
    port: int
    target: str

    @cached_property
    def authority(self) -> str:
        """Return the Host: without the default port, IPv6 in brackets."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"

    @cached_property
    def origin(self) -> str:
        """Return scheme, host and port: what two addresses must share to speak for each other."""
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def url(self) -> str:
        """Return the address in its normal form, without a fragment."""
        return f"{self.origin}{self.target}"


@lru_cache(maxsize=8192)
def parse(url: str) -> Address:
    """Take an http(s) URL apart; a fragment is dropped. Raises Forbidden for whatever two parsers could read differently.

    Refused: other schemes, user information, non-ASCII or control characters, spaces, backslashes, an empty host, a
    host with a trailing dot or of numbers that are not a plain address (2130706433, 0x7f.1, 127.1), a bad port.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise Forbidden("an address of that length", url=url[:200])
    if not url.isascii() or any(character <= " " or character in '\\"<>`{}|^\x7f' for character in url):
        raise Forbidden("an address with characters that must be encoded", url=url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Forbidden(f"not an address: {error}", url=url) from error
    if parts.scheme not in DEFAULT_PORTS:
        raise Forbidden("only http and https are spoken", url=url)
    if "@" in parts.netloc:
        raise Forbidden("an address with user information", url=url)
    host = parts.hostname or ""
    before, _, after = parts.netloc.partition("]")
    if "]" in parts.netloc and (not before.startswith("[") or after[:1] not in ("", ":")):
        raise Forbidden("words around an address in brackets", url=url)
    if not _is_plain_host(host):
        raise Forbidden("not a host", url=url)
    if port == 0:
        raise Forbidden("port 0", url=url)
    target = parts.path or "/"
    if parts.query or "?" in url.partition("#")[0]:
        target += "?" + parts.query
    return Address(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], target)


def in_ascii(authority: str) -> str:
    """A host, perhaps with a port, as an address has it: people write its name in the letters of their language. Raises Forbidden."""
    if authority.isascii():
        return authority
    name, colon, port = authority.partition(":")
    try:
        return idna.encode(name, uts46=True).decode("ascii") + colon + port
    except idna.IDNAError as error:
        raise Forbidden("not a host", url=authority[:200]) from error


def join(url: str, location: str) -> str:
    """Return where a redirect from `url` leads. Raises Forbidden for what is no address, which a stranger's server may well name."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise Forbidden(f"not an address: {error}", url=url) from error
    parse(target)
    return target


def origin_of(url: str) -> str | None:
    """Return the origin of an http(s) URL, or None for anything else."""
    try:
        return parse(url).origin
    except Forbidden:
        return None


def same_origin(one: str, other: str) -> bool:
    """Tell whether two URLs are of one scheme, host and port (FEP-fe34)."""
    origin = origin_of(one)
    return origin is not None and origin == origin_of(other)


def ip_literal(host: str) -> IPAddress | None:
    """Return the address that a host spells, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_local_name(host: str) -> bool:
    """Tell whether a name means this machine or its own network rather than a place on the internet."""
    return host == "localhost" or host.endswith(_LOCAL_SUFFIXES) or ("." not in host and ":" not in host)


def is_public(address: IPAddress) -> bool:
    """Tell whether a connection to `address` can only end at a public host."""
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in _IPV6_UNICAST):
        return False
    if any(address in network for network in _NEVER_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_loopback(address: IPAddress) -> bool:
    """Tell whether `address` is this machine: 127.0.0.0/8 or ::1, in no other disguise."""
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def _is_plain_host(host: str) -> bool:
    if not host or len(host) > 253 or host.endswith("."):
        return False
    if ":" in host:
        return ip_literal(host) is not None and "%" not in host
    labels = host.split(".")
    if not all(_is_label(label) for label in labels):
        return False
    # The last label of a name is never a number: what is numeric at the end must be a plain dotted quad (WHATWG URL).
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        return ip_literal(host) is not None
    return True


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and all(character.isalnum() or character in "-_" for character in label)
