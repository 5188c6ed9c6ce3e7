"""Which addresses may be a Forge's."""

from __future__ import annotations

import pytest

from servers.address import (
    Address,
    parse_address,
    parse_url,
    refusal_of_peer,
    require_foreign,
)
from servers.errors import ServerAddressInvalid

OWN = [("127.0.0.1", 5499), ("redis.example.test", 6379)]

GOOD = [
    ("192.168.1.100", 7860, "http://192.168.1.100:7860"),
    ("192.168.1.100", None, "http://192.168.1.100:7860"),
    ("192.168.1.100", "", "http://192.168.1.100:7860"),
    ("192.168.1.100", "8188", "http://192.168.1.100:8188"),
    ("127.0.0.1", 7861, "http://127.0.0.1:7861"),
    ("localhost", 7860, "http://localhost:7860"),
    (" Gaming-PC ", 7860, "http://gaming-pc:7860"),
    ("gaming_pc.local.", 7860, "http://gaming_pc.local:7860"),
    ("8.example.org", 65535, "http://8.example.org:65535"),
    ("::1", 7860, "http://[::1]:7860"),
    ("[FD12::0:1]", 7860, "http://[fd12::1]:7860"),
    ("::ffff:192.168.1.100", 7860, "http://192.168.1.100:7860"),
    ("100.64.0.7", 7860, "http://100.64.0.7:7860"),
]


@pytest.mark.parametrize(("host", "port", "url"), GOOD)
def test_hosts_of_the_local_network_are_taken(host: str, port: object, url: str) -> None:
    assert parse_address(host, port).url == url  # type: ignore[arg-type]


BAD_HOSTS = [
    "",
    " ",
    ".",
    "169.254.169.254",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "224.0.0.1",
    "100.100.100.200",
    "::",
    "ff02::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::",
    "64:ff9b::a9fe:a9fe",
    "0xa9fea9fe",
    "2852039166",
    "127.1",
    "0177.0.0.1",
    "169.254.169.254.",
    "1.2.3.256",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "x.metadata.goog",
    "redis",
    "Postgres",
    "file:///etc/passwd",
    "http://192.168.1.100",
    "a@b",
    "a b",
    "a/b",
    "a\r\nHost: b",
    "a\n",
    "a:7860",
    "[::1",
    "-a",
    "a..b",
    "пк",
    "a" * 64,
    "a." * 150 + "a",
]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_what_is_no_forges_host_is_refused(host: str) -> None:
    with pytest.raises(ServerAddressInvalid) as caught:
        parse_address(host, 7860)

    assert list(caught.value.fields) == ["host"]


@pytest.mark.parametrize("port", [0, 70000, -1, "7860x", "07860", "+1", " 1", 1.5, True, "\u0667"])
def test_what_is_no_port_is_refused(port: object) -> None:
    with pytest.raises(ServerAddressInvalid) as caught:
        parse_address("192.168.1.100", port)  # type: ignore[arg-type]

    assert list(caught.value.fields) == ["port"]


GOOD_URLS = [
    ("http://192.168.1.100:7860", "http://192.168.1.100:7860"),
    ("HTTP://192.168.1.100:7860/", "http://192.168.1.100:7860"),
    ("http://gaming-pc", "http://gaming-pc:7860"),
    ("https://forge.home.arpa", "https://forge.home.arpa:443"),
    ("http://[::1]:7861", "http://[::1]:7861"),
]


@pytest.mark.parametrize(("url", "base"), GOOD_URLS)
def test_base_urls_are_taken(url: str, base: str) -> None:
    assert parse_url(url).url == base


BAD_URLS = [
    "192.168.1.100:7860",
    "ftp://192.168.1.100",
    "file:///etc/passwd",
    "http://user:secret@192.168.1.100",
    "http://192.168.1.100:7860/sdapi",
    "http://192.168.1.100:7860?x=1",
    "http://192.168.1.100:7860#x",
    "http://192.168.1.100:70000",
    "http://192.168.1.100:",
    "http://169.254.169.254/",
    "http://[fe80::1]:7860",
    "http://192.168.1.100\\@evil",
    "http://a\r\n",
    "http://",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ServerAddressInvalid) as caught:
        parse_url(url, field="apiUrl")

    assert list(caught.value.fields) == ["apiUrl"]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        Address("http", "127.0.0.1", 5499),
        Address("http", "127.8.9.1", 5499),
        Address("http", "localhost", 5499),
        Address("http", "::1", 5499),
        Address("https", "redis.example.test", 6379),
    ],
)
def test_our_own_services_are_refused_by_address_and_port(address: Address) -> None:
    with pytest.raises(ServerAddressInvalid):
        require_foreign(address, OWN)


def test_a_forge_beside_our_own_services_is_taken() -> None:
    require_foreign(Address("http", "127.0.0.1", 7860), OWN)
    require_foreign(Address("http", "192.168.1.100", 5499), OWN)


@pytest.mark.parametrize(
    ("ours", "peer", "port"),
    [
        ("10.0.0.2", "169.254.169.254", 80),
        ("::1", "fe80::1%lo", 7860),
        ("::1", "::ffff:169.254.169.254", 80),
        ("127.0.0.1", "127.0.0.1", 5499),
        ("192.168.1.5", "192.168.1.5", 5499),
        ("::1", "::1", 5499),
    ],
)
def test_a_name_that_led_to_a_forbidden_peer_is_refused(ours: str, peer: str, port: int) -> None:
    assert refusal_of_peer(ours, peer, port, own_services=OWN)


def test_a_peer_on_the_local_network_may_be_asked() -> None:
    assert refusal_of_peer("192.168.1.5", "192.168.1.100", 7860, own_services=OWN) is None
    assert refusal_of_peer("192.168.1.5", "192.168.1.100", 5499, own_services=OWN) is None
    assert refusal_of_peer("127.0.0.1", "127.0.0.1", 7860, own_services=OWN) is None
