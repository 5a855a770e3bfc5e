"""Names that one owner can make without end are one site; names that have to be paid for are many."""

import pytest

from federation.sites import site_of


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("evil.example", "evil.example"),
        ("EVIL.example.", "evil.example"),
        ("a.b.evil.example", "evil.example"),
        ("evil.example:443", "evil.example"),
        ("a.evil.example:8443", "evil.example"),
        ("evil.co.uk", "evil.co.uk"),
        ("a.evil.co.uk", "evil.co.uk"),
        ("a.evil.gob.mx:8443", "evil.gob.mx"),
        ("co.uk", "co.uk"),
        ("anybody@evil.example", "evil.example"),
        ("anybody@[2001:db8::1]", "2001:db8::/64"),
        ("a.com.example", "com.example"),
        ("social.abc.de", "abc.de"),
        ("localhost", "localhost"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("10.1.2.3", "10.1.2.3"),
        ("[2001:db8::1]:8443", "2001:db8::/64"),
        ("[2001:db8::ffff:1]", "2001:db8::/64"),
        ("[2001:db8:0:1::1]", "2001:db8:0:1::/64"),
        ("[nonsense]", "nonsense"),
        ("", ""),
    ],
)
def test_a_host_belongs_to_its_site(host: str, site: str) -> None:
    assert site_of(host) == site
