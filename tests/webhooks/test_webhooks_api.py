"""Webhooks are made, seen and changed by the key they belong to, and by our pages."""

import pytest
from django.test import Client

from apikeys import registry as keys
from jobs import lifecycle
from tests.callers import FOREIGN_ORIGIN, key_headers, our_page, send_json
from tests.factories import make_server
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/webhooks"


class Caller:
    """Sends as one key holder."""

    def __init__(self, name):
        self._new = keys.create(name=name)
        self.key = self._new.api_key

    def __call__(self, method, path=PATH, body=None, **headers):
        named = {name.replace("-", "_"): value for name, value in key_headers(self._new).items()}
        return send_json(Client(), method, path, body or {}, **{**named, **headers})


@pytest.fixture
def caller():
    return Caller("Caller")


@pytest.fixture
def made(caller, receiver):
    return caller("POST", body={"url": receiver.url}).json()["webhook"]


def test_a_webhook_shows_its_secret_once_and_keeps_it_sealed(caller, receiver):
    answer = caller("POST", body={"url": receiver.url})

    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()["webhook"]
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["job.completed", "job.failed", "job.cancelled"]
    assert made["only_own_jobs"] is True
    assert made["secret"] not in caller("GET").content.decode()
    assert made["secret"] not in str(Endpoint.objects.values().get())
    assert made["secret"][6:] not in str(Endpoint.objects.values().get())


def test_a_repeat_of_the_request_makes_no_second_one(caller, receiver):
    first = caller("POST", body={"url": receiver.url}, Idempotency_Key="a")
    second = caller("POST", body={"url": receiver.url}, Idempotency_Key="a")

    assert second.status_code == 409
    assert second.json()["details"]["created_id"] == first.json()["webhook"]["id"]
    assert Endpoint.objects.count() == 1


def test_a_key_sees_its_own_and_our_pages_see_all(made, caller):
    other = Caller("Other")
    one = f"{PATH}/{made['id']}"

    assert other("GET").json()["webhooks"] == []
    for method in ("GET", "PUT", "DELETE"):
        assert other(method, one, {"description": "mine"}).status_code == 404
    assert [shown["id"] for shown in our_page().get(PATH).json()["webhooks"]] == [made["id"]]
    assert Client().get(PATH).status_code == 401


def test_a_foreign_page_makes_none(receiver):
    answer = send_json(our_page(), "POST", PATH, {"url": receiver.url}, Origin=FOREIGN_ORIGIN)

    assert answer.status_code == 403


def test_it_can_be_changed_and_switched_off_and_on(made, caller):
    one = f"{PATH}/{made['id']}"

    changed = caller("PUT", one, {"events": ["job.*"], "is_active": False}).json()["webhook"]
    assert changed["events"] == ["job.*"]
    assert changed["is_active"] is False
    assert changed["disabled_reason"] == "Switched off."

    again = caller("PUT", one, {"is_active": True}).json()["webhook"]
    assert (again["is_active"], again["disabled_reason"]) == (True, "")


def test_what_happened_while_it_was_off_is_not_told(made, caller, receiver, advance):
    one = f"{PATH}/{made['id']}"
    caller("PUT", one, {"is_active": False})
    _cancelled(caller.key)
    caller("PUT", one, {"is_active": True})
    late = _cancelled(caller.key, "Desk")

    advance()

    [call] = receiver.calls
    assert str(late.id) in call.body.decode()


def test_both_secrets_sign_after_a_change(made, caller, receiver, advance):
    new = caller("POST", f"{PATH}/{made['id']}/rotate-secret").json()["webhook"]["secret"]
    _cancelled(caller.key)

    advance()

    assert new != made["secret"]
    for secret in (new, made["secret"]):
        assert receiver.calls[0].verified(secret)


def test_the_log_of_deliveries_tells_what_became_of_them(made, caller, receiver, advance):
    receiver.statuses[:] = [500]
    _cancelled(caller.key)
    advance()

    [shown] = caller("GET", f"{PATH}/{made['id']}/deliveries").json()["deliveries"]

    assert shown["type"] == "job.cancelled"
    assert shown["state"] == "waiting"
    assert (shown["attempts"], shown["last_status"]) == (1, 500)
    assert shown["webhook_id"] == receiver.calls[0].headers["webhook-id"]


def test_a_delivery_can_be_replayed(made, caller, receiver, advance):
    _cancelled(caller.key)
    advance()
    delivery = Delivery.objects.get()

    answer = caller("POST", f"{PATH}/{made['id']}/deliveries/{delivery.id}/replay")
    advance()

    assert answer.status_code == 202
    assert answer.json()["delivery"]["state"] == "waiting"
    first, second = receiver.calls
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


def test_nothing_is_replayed_to_one_that_is_off(made, caller, advance):
    _cancelled(caller.key)
    advance()
    caller("PUT", f"{PATH}/{made['id']}", {"is_active": False})

    path = f"{PATH}/{made['id']}/deliveries/{Delivery.objects.get().id}/replay"
    assert caller("POST", path).status_code == 409


def test_a_delivery_that_is_not_there_is_404(made, caller):
    path = f"{PATH}/{made['id']}/deliveries/{made['id']}/replay"

    assert caller("POST", path).json()["error"] == "webhook_delivery_not_found"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "http://169.254.169.254/"},
        {"url": "http://a/", "events": []},
        {"url": "http://a/", "events": ["job completed"]},
        {"url": "http://a/", "description": "x" * 201},
    ],
)
def test_what_cannot_be_is_refused(caller, body):
    answer = caller("POST", body=body)

    assert answer.status_code == 400
    assert answer.json()["details"]["fields"]


def test_there_is_a_bound_on_their_number(caller, receiver):
    answers = [caller("POST", body={"url": receiver.url}).status_code for _ in range(21)]

    assert answers == [201] * 20 + [409]


def test_it_goes_with_its_key(made, caller):
    keys.delete(caller.key.id)

    assert not Endpoint.objects.exists()


SECRET = "whsec_" + "QUFB" * 8
SUBMIT = {"target_server_alias": "Laptop", "generation_params": {"positive_prompt": "a cat"}}


@pytest.mark.parametrize(
    "path",
    ["/api/v1/generate", "/api/v2/generate", "/api/v1/generate/bulk", "/api/v2/generate/bulk"],
)
def test_a_submit_may_name_who_is_to_be_called(caller, receiver, path):
    make_server()
    hook = {"webhook_url": receiver.url, "webhook_secret": SECRET, "webhook_events": ["job.*"]}

    answer = caller("POST", path, {**SUBMIT, **hook})

    assert answer.status_code == 202
    endpoint = Endpoint.objects.get()
    assert endpoint.events == ["job.*"]
    told = answer.json()
    assert str(endpoint.job_id or endpoint.batch_id) in (told.get("batch_id"), told.get("job_id"))
    assert SECRET not in str(Endpoint.objects.values().get())


@pytest.mark.parametrize(
    ("hook", "field"),
    [
        ({"webhook_url": "http://a/"}, "webhook_secret"),
        ({"webhook_url": "http://a/", "webhook_secret": "short"}, "webhook_secret"),
        ({"webhook_url": "http://169.254.1.1/", "webhook_secret": SECRET}, "webhook_url"),
        (
            {"webhook_url": "http://a/", "webhook_secret": SECRET, "webhook_events": ["?"]},
            "webhook_events.0",
        ),
    ],
)
def test_a_submit_that_names_nobody_who_can_be_called_is_refused(caller, hook, field):
    make_server()

    answer = caller("POST", "/api/v1/generate", {**SUBMIT, **hook})

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == [field]


def _cancelled(key, alias="Laptop"):
    job = lifecycle.submit(
        server=make_server(alias), kind="txt2img", parameters={}, seed=1, key=key
    )
    lifecycle.cancel(job_id=job.id)
    return job
