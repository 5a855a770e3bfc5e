"""Addresses: every range and spelling that has led a server inward once is refused."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import addresses
from federation.errors import Forbidden


@pytest.mark.parametrize(
    "url",
    [
        "",
        "words",
        "/inbox",
        "//evil.example/",
        "ftp://evil.example/",
        "file:///etc/passwd",
        "gopher://evil.example/",
        "ap://did:key:z6Mk/x",
        "data:application/json,{}",
        "acct:name@evil.example",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://victim.example@evil.example/",
        "https://user:password@evil.example/",
        "https://evil.example:0/",
        "https://evil.example:65536/",
        "https://evil.example:x/",
        "https://evil.example./",
        "https://[2606:4700::1]evil.example/",
        "https://evil.example[2606:4700::1]/",
        "https://[2606:4700::1]]/",
        "https://.evil.example/",
        "https://evil..example/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1.1/",
        "https://256.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://ｅvil.example/",
        "https://evil.example\\@victim.example/",
        "https://evil.example/a b",
        "https://evil.example/\r\nhost:x",
        "https://evil.example/\x00",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://[not-an-address]/",
        "https://ev%69l.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 140 + "example/",
        "https://evil.example/" + "a" * 2048,
    ],
)
def test_what_two_readers_could_read_differently_is_no_address(url: str) -> None:
    with pytest.raises(Forbidden):
        addresses.parse(url)
    assert addresses.origin_of(url) is None


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://node.example", "node.example", "/"),
        ("https://Node.EXAMPLE:443/inbox", "node.example", "/inbox"),
        ("https://node.example:8443/inbox?a=b&c=%20#part", "node.example:8443", "/inbox?a=b&c=%20"),
        ("https://node.example/x?", "node.example", "/x?"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000", "/"),
        ("http://[::1]:80/", "[::1]", "/"),
        ("https://xn--nxasmq6b.example/users/a@b", "xn--nxasmq6b.example", "/users/a@b"),
    ],
)
def test_an_address_is_taken_apart(url: str, authority: str, target: str) -> None:
    address = addresses.parse(url)

    assert (address.authority, address.target) == (authority, target)
    assert addresses.parse(address.url) == address


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("https://a.example/x", "https://A.example:443/y", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://b.a.example/x", False),
        ("nothing", "nothing", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, expected: bool) -> None:
    assert addresses.same_origin(one, other) is expected


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",  # noqa: S104  # read, never bound
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::808:808",
        "::ffff:7f00:1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fe80::1%1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "4000::1",
    ],
)
def test_an_address_that_is_not_of_the_public_internet_is_known(text: str) -> None:
    assert not addresses.is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_one(text: str) -> None:
    assert addresses.is_public(ipaddress.ip_address(text))


@given(st.ip_addresses())
def test_nothing_is_public_that_the_registries_call_private(ip: addresses.IPAddress) -> None:
    if addresses.is_public(ip):
        assert ip.is_global
        kinds = (ip.is_private, ip.is_loopback, ip.is_link_local, ip.is_multicast, ip.is_reserved)
        assert not any(kinds)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_known(text: str) -> None:
    assert addresses.is_loopback(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["::ffff:127.0.0.1", "10.0.0.1", "8.8.8.8", "0.0.0.1", "::"])
def test_this_machine_in_disguise_is_not_taken_for_it(text: str) -> None:
    assert not addresses.is_loopback(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "node.local", "db.internal", "intranet", "x.onion"]
)
def test_a_name_of_the_local_network_is_known(host: str) -> None:
    assert addresses.is_local_name(host)
    assert not addresses.is_local_name("node.example")


@pytest.mark.parametrize(
    "location",
    [
        "https://[x/",
        "//x]/",
        "https://[::1]x/",
        "https://a\u2100b.example/",
        "https://x:y/",
        "javascript:1",
        "\\\\x",
    ],
)
def test_a_redirect_to_no_address_leads_nowhere(location: str) -> None:
    with pytest.raises(Forbidden):
        addresses.join("https://peer.example/a/b", location)


@given(location=st.text())
def test_whatever_a_redirect_says_it_is_an_address_or_refused(location: str) -> None:
    try:
        target = addresses.join("https://peer.example/a/b", location)
    except Forbidden:
        return
    assert addresses.parse(target).host


def test_a_redirect_is_read_beside_where_it_was_found() -> None:
    assert addresses.join("https://peer.example/a/b", "c?d") == "https://peer.example/a/c?d"
