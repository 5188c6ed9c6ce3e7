"""What happens reaches those who asked to be called: once each, signed, and again if it failed."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys import registry as keys
from events.models import Event
from jobs import lifecycle, live
from jobs.drafts import Draft
from tests.factories import make_server
from tests.webhooks.receiver import Receiver
from webhooks import delivery, registry, sending, signing, spreading
from webhooks.models import Delivery, Endpoint, Mark
from webhooks.registry import Hook

pytestmark = pytest.mark.django_db(transaction=True)


def ended(server=None, key=None):
    """A job that was cancelled."""
    server = server or make_server()
    job = lifecycle.submit(server=server, kind="txt2img", parameters={}, seed=1, key=key)
    lifecycle.cancel(job_id=job.id)
    return job


def events_about(job):
    return list(Event.objects.filter(subject_id=str(job.id)).values_list("id", flat=True))


def test_an_event_is_told_signed_and_once(webhook, receiver, advance):
    job = ended()

    advance()
    advance()

    calls = [call for call in receiver.calls if str(job.id) in call.body.decode()]
    told = [call.verified(webhook.secret) for call in calls]
    assert sorted(event["data"]["event_id"] for event in told) == events_about(job)
    cancelled = next(event for event in told if event["type"] == "job.cancelled")
    stored = Event.objects.get(kind="job.cancelled")
    assert cancelled["data"]["job_id"] == str(job.id)
    assert cancelled["data"]["server"] == "Laptop"
    assert cancelled["data"]["data"] == stored.data
    assert calls[0].path == "/hook?who=me"
    assert calls[0].headers["content-type"] == "application/json"


def test_only_what_was_asked_for_is_told(key, receiver, advance):
    other = keys.create(name="Other").api_key
    registry.create(key=key, url=receiver.url, events=["job.can*"])
    server = make_server()
    mine = ended(server, key)
    ended(server, other)
    ended(server)

    advance()

    told = [json.loads(call.body) for call in receiver.calls]
    assert [(event["type"], event["data"]["job_id"]) for event in told] == [
        ("job.cancelled", str(mine.id))
    ]


def test_what_was_before_the_webhook_is_not_told(key, receiver, advance):
    ended()
    registry.create(key=key, url=receiver.url, events=["job.*"], only_own_jobs=False)
    advance()

    assert receiver.calls == []


def test_an_event_of_a_deleted_job_is_told_with_what_it_belonged_to(key, receiver, advance):
    registry.create(key=key, url=receiver.url, events=["job.deleted"])
    job = ended(key=key)
    lifecycle.delete(job_id=job.id)

    advance()

    [call] = receiver.calls
    assert json.loads(call.body)["data"]["server"] == "Laptop"


def test_a_sender_that_dies_leaves_nothing_out_and_stores_nothing_twice(
    webhook, advance, receiver, monkeypatch
):
    """The mark and the deliveries are stored together."""
    job = ended()

    class Died(Exception):
        pass

    def die(**_):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Mark.objects, "update", die)
        with pytest.raises(Died):
            spreading.spread(live.scopes)
    assert not Delivery.objects.exists()

    advance()

    assert {json.loads(call.body)["data"]["event_id"] for call in receiver.calls} >= set(
        events_about(job)
    )


def test_two_that_spread_at_once_store_each_event_once(webhook):
    ended()
    threads = [threading.Thread(target=_spread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spreading.spread(live.scopes)

    ids = list(Delivery.objects.values_list("event_id", flat=True))
    assert sorted(ids) == sorted(set(ids))
    assert Mark.objects.get().event_id == max(ids)


def _spread():
    from django.db import connection

    try:
        spreading.spread(live.scopes)
    finally:
        connection.close()


@pytest.mark.parametrize("status", [301, 302, 400, 404, 500, 503])
def test_what_is_no_success_is_tried_again_under_the_same_id(webhook, receiver, advance, status):
    receiver.statuses[:] = [status, 204]
    receiver.headers["Location"] = receiver.url
    Endpoint.objects.update(events=["job.cancelled"])
    ended()

    advance()
    failed = Delivery.objects.get()
    advance()
    assert len(receiver.calls) == 1
    advance(later=True)

    assert (failed.attempts, failed.last_status) == (1, status)
    assert failed.due_at is not None
    first, second = receiver.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert Delivery.objects.get().delivered_at is not None


def test_nobody_there_is_tried_again_and_said(webhook, receiver, advance):
    nobody = "http://127.0.0.1:1/"
    Endpoint.objects.update(events=["job.cancelled"], url=nobody)
    ended()

    advance()

    failed = Delivery.objects.get()
    assert "cannot be reached" in failed.last_error
    assert failed.due_at is not None
    assert Endpoint.objects.get().failing_since is not None


def test_a_receiver_that_is_slow_is_given_up_in_time(webhook, receiver, advance, settings):
    settings.WEBHOOK_TIMEOUT = 0.3
    receiver.may_answer.clear()
    Endpoint.objects.update(events=["job.cancelled"])
    ended()

    advance()

    failed = Delivery.objects.get()
    assert "answer" in failed.last_error
    assert failed.last_status is None


def test_a_receiver_says_when_to_try_again(webhook, receiver, advance):
    receiver.statuses[:] = [503]
    receiver.headers["Retry-After"] = "7200"
    Endpoint.objects.update(events=["job.cancelled"])
    ended()

    advance()

    assert Delivery.objects.filter(due_at__gt=timezone.now() + timedelta(minutes=119)).exists()


def test_after_the_last_attempt_it_has_failed(webhook, receiver, advance):
    receiver.statuses[:] = [500]
    Endpoint.objects.update(events=["job.cancelled"])
    ended()

    for _ in range(11):
        advance(later=True)

    assert len(receiver.calls) == 10
    failed = Delivery.objects.get()
    assert failed.due_at is None
    assert failed.ended_at is not None


def test_410_switches_it_off(webhook, receiver, advance):
    receiver.statuses[:] = [410]
    ended()

    advance()
    ended(make_server("Desk"))
    advance(later=True)

    endpoint = Endpoint.objects.get()
    assert "410" in endpoint.disabled_reason
    assert not Delivery.objects.filter(due_at__isnull=False).exists()
    assert Event.objects.filter(kind="webhook.disabled", subject_id=str(endpoint.id)).count() == 1
    assert len(receiver.calls) <= sending.AT_ONCE_PER_ENDPOINT


def test_failing_for_days_switches_it_off(webhook, receiver, advance):
    receiver.statuses[:] = [500]
    Endpoint.objects.update(
        events=["job.cancelled"], failing_since=timezone.now() - timedelta(days=4)
    )
    ended()

    advance()

    assert Endpoint.objects.get().disabled_at is not None
    assert Event.objects.filter(kind="webhook.disabled").exists()


def test_one_success_ends_the_failing(webhook, advance):
    Endpoint.objects.update(
        events=["job.cancelled"], failing_since=timezone.now() - timedelta(days=4)
    )
    ended()

    advance()

    assert Endpoint.objects.get().failing_since is None


def test_one_for_which_too_much_waits_is_switched_off(webhook, receiver, advance, monkeypatch):
    monkeypatch.setattr(spreading, "MOST_WAITING", 1)
    receiver.statuses[:] = [500]
    ended()

    advance()

    assert "More than 1 deliveries" in Endpoint.objects.get().disabled_reason


def test_one_that_does_not_answer_holds_up_no_other(key, receiver, webhook, settings, advance):
    settings.WEBHOOK_TIMEOUT = 1.0
    with Receiver() as silent:
        silent.may_answer.clear()
        stuck = registry.create(key=key, url=silent.url, events=["*"], only_own_jobs=False)
        job = ended()

        advance()

        assert len(silent.calls) <= sending.AT_ONCE_PER_ENDPOINT
    assert any(str(job.id) in call.body.decode() for call in receiver.calls)
    assert Delivery.objects.filter(endpoint=stuck.endpoint, delivered_at=None).exists()


def test_where_a_connection_leads_is_judged_too(webhook, receiver, advance, settings):
    """The names say nothing: it turns out only then that they are the same place."""
    Endpoint.objects.update(events=["job.cancelled"])
    settings.OWN_SERVICES = [("127.1", receiver.port)]
    ended()

    advance()

    assert receiver.calls == []
    assert "a service of StableQueue itself" in Delivery.objects.get().last_error


def test_a_sender_that_died_in_the_middle_is_made_up_for(webhook, receiver, advance):
    Endpoint.objects.update(events=["job.cancelled"])
    ended()
    spreading.spread(live.scopes)
    [taken] = sending._take()

    advance()
    assert receiver.calls == []
    advance(later=True)

    assert len(receiver.calls) == 1
    # What the first one still writes is not heeded.
    sending._settle(taken, sending.Outcome(status=500))
    assert Delivery.objects.get().delivered_at is not None


def test_only_the_latest_deliveries_are_kept(webhook, advance, monkeypatch):
    monkeypatch.setattr(sending, "KEPT", 3)
    server = make_server()
    for _ in range(5):
        ended(server)

    advance()

    newest = Delivery.objects.order_by("-event_id").values_list("event_id", flat=True)
    assert len(newest) == 3


def test_a_job_has_a_webhook_of_its_own(key, receiver, advance):
    secret = signing.new_secret()
    hook = Hook(receiver.url, secret, ["job.cancelled"])
    server = make_server()
    mine = lifecycle.submit(server=server, kind="txt2img", parameters={}, seed=1, hook=hook)
    lifecycle.cancel(job_id=mine.id)
    ended(server)

    advance()

    [call] = receiver.calls
    assert call.verified(secret)["data"]["job_id"] == str(mine.id)


def test_a_batch_has_a_webhook_of_its_own(receiver, advance):
    secret = signing.new_secret()
    server = make_server()
    drafts = [Draft("txt2img", {}, seed) for seed in range(3)]
    hook = Hook(receiver.url, secret, ["job.cancelled"])
    batch, ids = lifecycle.submit_many(server=server, drafts=drafts, hook=hook)
    lifecycle.cancel_batch(batch_id=batch.id)
    ended(server)

    advance()

    told = {call.verified(secret)["data"]["job_id"] for call in receiver.calls}
    assert told == {str(job_id) for job_id in ids}


def test_the_webhook_of_a_job_goes_once_its_end_was_told_a_day_ago(receiver, advance):
    hook = Hook(receiver.url, signing.new_secret(), ["job.cancelled"])
    job = lifecycle.submit(server=make_server(), kind="txt2img", parameters={}, seed=1, hook=hook)
    lifecycle.cancel(job_id=job.id)
    advance()
    assert Endpoint.objects.exists()

    Delivery.objects.update(ended_at=timezone.now() - timedelta(days=2))
    delivery.forget_the_done()

    assert not Endpoint.objects.exists()


def test_there_is_nothing_to_do_without_webhooks_or_news(webhook, advance):
    ended()
    assert delivery.is_due()
    advance()
    assert not delivery.is_due()

    registry.delete(webhook.endpoint.id, key=None)
    ended(make_server("Desk"))
    assert not delivery.is_due()
