"""Whoever listens, or has asked to be called, learns what happens to a job."""

from __future__ import annotations

import json

import pytest
import requests

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually
from tests.streams import Stream
from tests.webhooks.receiver import Receiver


@pytest.fixture
def slow_forge():
    """Slow enough to be watched."""
    with ForgeSimulator(seconds=1) as simulator:
        yield simulator


def listen(stack, path="/api/v1/events", **headers):
    return Stream(stack.port, path, **{**dict(stack.api.headers), **headers})


def test_a_listener_sees_a_job_from_submit_to_picture(stack, slow_forge):
    alias = stack.add_server(slow_forge.port)
    with listen(stack, f"/api/v1/events?server={alias}&types=job.*") as stream:
        assert stream.first().kind == "ready"

        job_id = stack.generate(alias)
        told = stream.until("job.completed")

    stored = [event for event in told if event.id is not None]
    assert [event.kind for event in stored] == ["job.submitted", "job.claimed", "job.completed"]
    assert {event.data["job_id"] for event in told} == {job_id}
    progress = [event.data["fraction"] for event in told if event.kind == "job.progress"]
    assert progress == sorted(progress)
    assert progress


def test_a_stream_ends_with_its_job(stack, forge):
    alias = stack.add_server(forge.port)
    job_id = stack.generate(alias)

    with listen(stack, f"/api/v1/queue/jobs/{job_id}/events") as stream:
        told = stream.rest()

    assert told[-1].kind == "job.completed"


def test_a_listener_that_comes_back_after_the_web_process_died_misses_nothing(stack, forge):
    alias = stack.add_server(forge.port)
    path = f"/api/v1/events?server={alias}&types=job.submitted"
    with listen(stack, path) as stream:
        last = stream.first().id
        stack.kill("gunicorn")
        assert stream.rest() == []
    stack.wait_until_ready()
    ids = [stack.generate(alias) for _ in range(3)]

    with listen(stack, path, Last_Event_ID=str(last)) as stream:
        told = [stream.next() for _ in range(4)]

    assert [event and event.data.get("job_id") for event in told] == [None, *ids]


def test_a_webhook_is_called_with_a_signature_that_the_official_library_verifies(stack, forge):
    alias = stack.add_server(forge.port)
    with Receiver(500, 204) as receiver:
        webhook = _add_webhook(stack, receiver)
        job_id = stack.generate(alias)

        # The first call fails, and is made again.
        eventually(lambda: len(receiver.calls) == 2, seconds=40, what="two calls")
        told = [call.verified(webhook["secret"]) for call in receiver.calls]

    assert told[0] == told[1]
    assert told[0]["type"] == "job.completed"
    assert told[0]["data"]["job_id"] == job_id
    assert receiver.calls[0].headers["webhook-id"] == receiver.calls[1].headers["webhook-id"]
    assert stack.picture(told[0]["data"]["data"]["images"][0]).startswith(b"\x89PNG")
    _delete(stack, webhook)


def test_a_killed_sender_forgets_no_call(stack, forge):
    alias = stack.add_server(forge.port)
    with Receiver() as receiver:
        webhook = _add_webhook(stack, receiver)
        stack.kill("--queues chores")
        ids = {stack.generate(alias) for _ in range(2)}

        def called():
            return {json.loads(call.body)["data"]["job_id"] for call in receiver.calls} == ids

        eventually(called, seconds=60, what="a call for each job")
    _delete(stack, webhook)


def _add_webhook(stack, receiver):
    body = {"url": receiver.url}
    answer = stack.api.post(f"{stack.url}/api/v1/webhooks", json=body, timeout=10)
    return answer.json()["webhook"]


def _delete(stack, webhook):
    answer = stack.api.delete(f"{stack.url}/api/v1/webhooks/{webhook['id']}", timeout=10)
    assert answer.status_code == requests.codes.ok
