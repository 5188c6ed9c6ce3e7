"""The rate limit of keys, counted in a real Redis.

Rates here are per day, since a test that runs across the edge of a window sees two.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from apikeys import registry
from apikeys.rates import HEADERS, Rate
from tests.callers import bearer, key_headers, our_page, send_json
from tests.flows.stack import OwnRedis, eventually

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/api-keys"
DAY = 86_400


@pytest.fixture(autouse=True)
def three_a_day(settings) -> None:
    settings.RATE_LIMIT = Rate(3, DAY)


@pytest.fixture
def count_in(settings):
    """Make requests be counted in another Redis, which rests after a failure."""

    def change(redis: OwnRedis, *, rest: float) -> None:
        ours = {"LOCATION": redis.url, "OPTIONS": {"patience": 0.05, "rest": rest}}
        settings.CACHES = {
            **settings.CACHES,
            "rate_limit": {**settings.CACHES["rate_limit"], **ours},
        }

    return change


@pytest.fixture
def own_redis(tmp_path):
    with OwnRedis(tmp_path) as redis:
        yield redis


def ask(new_key, **headers: str):
    return Client().get(KEYS, headers={**key_headers(new_key), **headers})


def statuses(new_key, times: int) -> list[int]:
    return [ask(new_key).status_code for _ in range(times)]


def told(answer) -> set[str]:
    return {name for name in answer.headers if "ratelimit" in name.lower()}


def remaining(answer) -> int:
    return int(answer["RateLimit-Remaining"])


# --- what a key is told ----------------------------------------------------------------


def test_an_answer_to_a_key_tells_what_is_left(new_key):
    before = time.time()

    answer = ask(new_key)

    assert answer["RateLimit-Policy"] == f'"default";q=3;w={DAY}'
    left = int(answer["RateLimit-Reset"])
    assert answer["RateLimit"] == f'"default";r=2;t={left}'
    assert 1 <= left <= DAY
    assert abs(int(answer["X-RateLimit-Reset"]) - before - left) < 60
    assert told(answer) == set(HEADERS)


def test_errors_are_counted_and_tell_it_too(new_key):
    headers = key_headers(new_key)

    answers = [
        Client().get(f"{KEYS}/{uuid.uuid4()}", headers=headers),
        send_json(Client(), "POST", KEYS, {}, **headers),
        Client().delete(KEYS, headers=headers),
        ask(new_key),
    ]

    assert [answer.status_code for answer in answers] == [404, 400, 405, 429]
    assert [remaining(answer) for answer in answers] == [2, 1, 0, 0]


def test_a_key_over_its_limit_is_told_when_to_come_back(new_key):
    statuses(new_key, 3)

    answer = ask(new_key)

    assert answer.status_code == 429
    assert answer.json()["error"] == "rate_limited"
    assert answer.json()["details"]["code"] == "RATE_LIMITED"
    assert answer["Retry-After"] == answer["RateLimit-Reset"]
    assert 1 <= int(answer["Retry-After"]) <= DAY
    assert f"{answer['Retry-After']} seconds" in answer.json()["message"]


def test_without_a_limit_nothing_is_told(new_key, settings):
    settings.RATE_LIMIT = None

    answers = [ask(new_key) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not told(answers[0])


# --- who is counted --------------------------------------------------------------------


def test_other_keys_are_not_held_by_one_that_is_over_its_limit(new_key):
    other = registry.create(name="Other")

    assert statuses(new_key, 4) == [200, 200, 200, 429]
    assert statuses(other, 1) == [200]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "User-Agent"])
def test_no_header_makes_a_key_look_like_another_caller(new_key, name):
    statuses(new_key, 3)

    answers = [ask(new_key, **{name: f"203.0.113.{number}"}) for number in range(5)]

    assert {answer.status_code for answer in answers} == {429}


def test_both_forms_of_a_key_are_counted_as_one(new_key):
    statuses(new_key, 3)
    pair = f"{new_key.api_key.key}:{new_key.secret}"

    assert Client().get(KEYS, headers=bearer(pair)).status_code == 429


def test_guesses_of_a_secret_are_refused_and_cost_the_key_nothing(new_key):
    wrong = {**key_headers(new_key), "X-API-Secret": "wrong"}

    answers = [Client().get(KEYS, headers=wrong) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {401}
    assert not told(answers[0])
    assert remaining(ask(new_key)) == 2


@pytest.mark.parametrize("client", [our_page(), Client()], ids=["our page", "a local tool"])
def test_callers_without_a_key_are_not_counted(client):
    answers = [client.get(KEYS) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not told(answers[0])


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_once_exactly_as_many_pass_as_may(new_key, settings):
    settings.RATE_LIMIT = Rate(20, DAY)

    def ask_once(_: int) -> int:
        try:
            return int(ask(new_key).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        answered = sorted(threads.map(ask_once, range(50)))

    assert answered == [200] * 20 + [429] * 30


# --- a limit of its own ----------------------------------------------------------------


def test_a_key_may_have_a_limit_of_its_own(new_key):
    answer = send_json(Client(), "PUT", f"{KEYS}/{new_key.api_key.id}", {"rate_limit": "1/d"})

    assert answer.json()["api_key"]["rate_limit"] == "1/d"
    assert statuses(new_key, 2) == [200, 429]


def test_a_key_may_have_no_limit_while_others_have():
    body = {"name": "Bench", "rate_limit": "off"}
    made = send_json(Client(), "POST", KEYS, body).json()["api_key"]
    headers = {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}

    answers = [Client().get(KEYS, headers=headers) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not told(answers[0])
    assert [listed["rate_limit"] for listed in answers[0].json()["api_keys"]] == ["off"]


def test_an_emptied_limit_is_the_one_for_all_again(new_key):
    registry.update(new_key.api_key.id, rate_limit="1/d")

    send_json(Client(), "PUT", f"{KEYS}/{new_key.api_key.id}", {"rate_limit": ""})

    assert ask(new_key)["RateLimit-Limit"] == "3"


@pytest.mark.parametrize("rate_limit", ["fast", "0/m", "60/w", "60/M", "9999999999/m", None, 60])
def test_a_limit_that_is_none_is_refused_with_the_field_named(new_key, rate_limit):
    path = f"{KEYS}/{new_key.api_key.id}"

    answer = send_json(Client(), "PUT", path, {"rate_limit": rate_limit})

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == ["rate_limit"]


# --- a Redis that is away, or slow ---------------------------------------------------


def test_a_counter_is_forgotten_soon_after_its_window(new_key, own_redis, count_in):
    count_in(own_redis, rest=60)

    statuses(new_key, 2)

    [name] = own_redis.client.keys()
    assert name.startswith(b"stablequeue:")
    assert own_redis.client.get(name) == b"2"
    assert 0 < own_redis.client.ttl(name) <= DAY + 5


def test_without_redis_keys_are_checked_and_held_to_their_limit(new_key, own_redis, count_in):
    count_in(own_redis, rest=60)
    own_redis.stop()
    wrong = {**key_headers(new_key), "X-API-Secret": "wrong"}

    assert statuses(new_key, 5) == [200, 200, 200, 429, 429]
    assert Client().get(KEYS, headers=wrong).status_code == 401
    assert told(ask(new_key)) == set(HEADERS)


def test_a_redis_that_answers_nothing_is_asked_once_and_then_left_alone(
    new_key, own_redis, count_in
):
    count_in(own_redis, rest=60)
    own_redis.freeze()
    first = statuses(new_key, 1)
    own_redis.thaw()

    assert first + statuses(new_key, 3) == [200, 200, 200, 429]
    # What was sent to it while it hung may still be done.
    counts = own_redis.client.mget(own_redis.client.keys("*") or ["none"])
    assert counts in ([None], [b"1"])


def test_a_redis_that_refuses_to_work_is_as_good_as_none(new_key, own_redis, count_in):
    count_in(own_redis, rest=60)
    own_redis.client.config_set("maxmemory", "1")

    assert statuses(new_key, 4) == [200, 200, 200, 429]


def test_a_redis_that_comes_back_counts_again(new_key, own_redis, count_in, caplog):
    caplog.set_level("INFO")
    count_in(own_redis, rest=0.05)
    own_redis.stop()
    statuses(new_key, 2)

    own_redis.start()

    eventually(lambda: ask(new_key) and own_redis.client.keys(), what="a count in Redis")
    lines = [record.message for record in caplog.records if record.name == "apikeys.counters"]
    assert lines == [
        "rate limits count per process, Redis is away: ConnectionError",
        "rate limits are exact again, Redis is back",
    ]
