"""Which hosts count as one where strangers may do something only so often: names below one that somebody has to pay for.

A bound and not an identity. What one may register below differs from registry to registry, and no list of them is carried here: two
labels are taken, or three where the second last is one of the words below under the two letters of a country. So a name that a
registry sells under another word is counted with its neighbours, and so are those who share the name of a provider; and whoever pays
for many names counts as many.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_network

# Under two letters these are nobody's: co.uk, com.au, org.za, ac.nz, gov.pl, gob.mx, or.jp.
SHARED = frozenset(
    {"ac", "asso", "co", "com", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gv", "id", "ind"}
    | {"info", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc", "sch"}
)
# Of IPv6 one customer has that many bits in common.
CUSTOMER_BITS = 64


@lru_cache(maxsize=16_384)
def site_of(host: str) -> str:
    """The site of a host, with or without a port: ports are free. Addresses stand for themselves, those of IPv6 for their network."""
    bare = host.rpartition("@")[2].lower()
    if bare.startswith("["):
        address = bare[1:].partition("]")[0]
        try:
            return str(ip_network((IPv6Address(address), CUSTOMER_BITS), strict=False))
        except ValueError:
            return address
    name = bare.partition(":")[0].rstrip(".")
    labels = name.split(".")
    if labels[-1].isdecimal():
        return name
    is_shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SHARED
    return ".".join(labels[-3 if is_shared else -2 :])
