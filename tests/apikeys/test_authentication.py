"""What a refused key can learn: nothing from the answer, nothing from its time."""

from __future__ import annotations

import hmac
import statistics
import sys
import time

import pytest
from django.test import Client, RequestFactory
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apikeys import registry
from apikeys.authentication import KeyAuthentication
from tests.callers import bearer, key_headers

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/queue/jobs"
SAMPLES = 1_000


@pytest.fixture
def wrong(new_key) -> dict[str, dict[str, str]]:
    """Every way to be wrong with a well-formed key."""
    unknown, inactive = "mk_" + "0" * 32, registry.create(name="Inactive")
    registry.update(inactive.api_key.id, is_active=False)
    right = key_headers(new_key)
    return {
        "an unknown key": {**right, "X-API-Key": unknown},
        "a wrong secret": {**right, "X-API-Secret": "w" * 43},
        "an inactive key": key_headers(inactive),
        "an inactive key and a wrong secret": {**key_headers(inactive), "X-API-Secret": "w"},
    }


def refuse(headers: dict[str, str]) -> None:
    with pytest.raises(AuthenticationFailed):
        KeyAuthentication().authenticate(Request(RequestFactory().get("/", headers=headers)))


def test_every_refusal_has_the_same_status_body_and_headers(new_key, wrong):
    key, secret = new_key.api_key.key, new_key.secret
    refused = [
        *wrong.values(),
        {},
        {"X-API-Key": key},
        {"X-API-Secret": secret},
        {"X-API-Key": "k" * 1_000_000, "X-API-Secret": secret},
        {"X-API-Key": f"{key}\0", "X-API-Secret": secret},
        {"X-API-Key": f"{key}é", "X-API-Secret": secret},
        {"Authorization": "Bearer %%%"},
        {"Authorization": "Bearer " + "A" * 1_000_000},
        bearer(key + secret),
        bearer(f"{key}:{secret} "),
    ]

    answers = [Client().get(JOBS, headers=headers) for headers in refused]

    seen = [{**answer.json(), "details": answer.json()["details"]["code"]} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert all(body == seen[0] for body in seen)
    assert all(answer.headers == answers[0].headers for answer in answers)


def test_a_key_in_the_address_is_no_key(new_key):
    key, secret = new_key.api_key.key, new_key.secret

    answer = Client().get(f"{JOBS}?X-API-Key={key}&X-API-Secret={secret}&api_key={key}:{secret}")

    assert answer.status_code == 401


def test_each_refusal_takes_one_lookup_and_one_comparison(
    wrong, monkeypatch, django_assert_num_queries
):
    compared, compare = [], hmac.compare_digest

    def noting(one, other):
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noting)

    for headers in wrong.values():
        with django_assert_num_queries(1):
            refuse(headers)

    assert compared == [(64, 64)] * len(wrong)


def test_the_time_of_a_refusal_tells_unknown_keys_from_wrong_secrets_no_better_than_a_coin(wrong):
    def took(kind: str) -> float:
        began = time.perf_counter()
        refuse(wrong[kind])
        return time.perf_counter() - began

    pairs = [(took("an unknown key"), took("a wrong secret")) for _ in range(SAMPLES)]

    unknown, secret = (statistics.median(times) * 1e6 for times in zip(*pairs, strict=True))
    longer = sum(second > first for first, second in pairs) / SAMPLES
    told = f"medians {unknown:.0f} and {secret:.0f} µs; {longer:.0%} of secrets took longer"
    sys.stdout.write(f"{told}\n")
    # Not even, since a row takes a little longer to read than none; without the lookup of
    # unknown keys it would be nearly all.
    assert 0.2 < longer < 0.8, told
