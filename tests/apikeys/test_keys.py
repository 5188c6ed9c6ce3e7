"""The form of keys and secrets, and reading them from headers."""

from __future__ import annotations

import base64
import re

import pytest

from apikeys.keys import (
    Credentials,
    MalformedCredentials,
    hash_secret,
    new_key,
    new_secret,
    read_credentials,
    secret_matches,
)
from tests.callers import bearer


def test_a_key_is_mk_and_32_hex_digits():
    assert re.fullmatch(r"mk_[0-9a-f]{32}", new_key())
    assert new_key() != new_key()


def test_a_secret_is_256_random_bits_without_a_colon():
    secret = new_secret()

    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert ":" not in secret
    assert secret != new_secret()


def test_only_the_secret_itself_matches_its_hash():
    secret = new_secret()

    assert secret_matches(secret, hash_secret(secret))
    assert not secret_matches(secret + "x", hash_secret(secret))
    assert secret not in hash_secret(secret)


def test_a_secret_does_not_show_in_the_repr_of_credentials():
    assert "hush" not in repr(Credentials("mk_1", "hush"))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "mk_1", "X-API-Secret": "s:3"},
        {"X-API-Key": " mk_1 ", "X-API-Secret": "s:3"},
        bearer("mk_1:s:3"),
        {"Authorization": "bearer  bWtfMTpzOjM"},
        {"X-API-Key": "mk_1", "X-API-Secret": "s:3", **bearer("other:one")},
        {"X-API-Key": "", "X-API-Secret": "", **bearer("mk_1:s:3")},
    ],
)
def test_both_forms_of_header_carry_key_and_secret_split_at_the_first_colon(headers):
    assert read_credentials(headers) == Credentials("mk_1", "s:3")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "", "X-API-Secret": ""},
        {"X-API-Key": "  ", "X-API-Secret": ""},
        {"Authorization": "Basic bWtfMTpzOjM="},
        {"Authorization": "Bearer "},
        {"Authorization": ""},
        {"Authorization": "Bearerish bWtfMTpzOjM="},
    ],
)
def test_empty_values_and_other_schemes_are_no_key(headers):
    assert read_credentials(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "mk_1"},
        {"X-API-Secret": "s"},
        {"X-API-Key": "mk_1", "X-API-Secret": "a\0b"},
        {"X-API-Key": "mk_é", "X-API-Secret": "s"},
        {"X-API-Key": "mk_1\r\nX: y", "X-API-Secret": "s"},
        {"X-API-Key": "k" * 1_000_000, "X-API-Secret": "s"},
        {"X-API-Key": "mk_1", "X-API-Secret": "s" * 1_000_000},
        {"Authorization": "Bearer " + "A" * 1_000_000},
        {"Authorization": "Bearer not base64!"},
        {"Authorization": "Bearer A"},
        bearer("no colon"),
        bearer(":"),
        bearer("mk_é:s"),
    ],
)
def test_headers_that_hold_no_key_and_secret_are_malformed(headers):
    with pytest.raises(MalformedCredentials):
        read_credentials(headers)
