"""A webhook may lead anywhere but to ourselves and to what no home network has."""

import pytest

from webhooks.errors import WebhookUrlInvalid
from webhooks.targets import parse_target


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("http://127.0.0.1:9000/hook", "http://127.0.0.1:9000", "/hook"),
        ("http://192.168.1.5/a?b=c&d=%20", "http://192.168.1.5:80", "/a?b=c&d=%20"),
        ("https://example.org", "https://example.org:443", "/"),
        ("HTTP://[::1]:81/x", "http://[::1]:81", "/x"),
    ],
)
def test_the_local_network_and_the_world_may_be_called(url, base, path):
    target = parse_target(url)

    assert (target.address.url, target.path) == (base, path)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://user:password@example.org/",
        "http://example.org:99999/",
        "http://example.org/#part",
        "http://exam ple.org/",
        "http://example.org/a b",
        "http://example.org/\r\nX: y",
        "ftp://example.org/",
        "//example.org/",
        "example.org",
        "",
        "http://example.org/" + "x" * 1000,
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(WebhookUrlInvalid):
        parse_target(url)


def test_our_own_services_are_refused(settings):
    settings.OWN_SERVICES = [("127.0.0.1", 5432), ("redis", 6379)]

    for url in ("http://localhost:5432/", "http://127.0.0.1:5432/", "http://redis:6379/"):
        with pytest.raises(WebhookUrlInvalid):
            parse_target(url)
