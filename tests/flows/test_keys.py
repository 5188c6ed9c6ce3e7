"""What becomes of a key's jobs when the key is switched off or deleted."""

from __future__ import annotations

import pytest
import requests

from servers.simulator.server import ForgeSimulator


@pytest.fixture
def other(stack):
    """A second key: its id, and a client that shows it."""
    made = stack.api.post(f"{stack.url}/api/v1/api-keys", json={"name": "other"}, timeout=10)
    key = made.json()["api_key"]
    with requests.Session() as session:
        session.headers.update({"X-API-Key": key["key"], "X-API-Secret": key["secret"]})
        yield key["id"], session


@pytest.mark.parametrize(("method", "change"), [("PUT", {"is_active": False}), ("DELETE", None)])
def test_a_key_that_is_gone_is_refused_at_once_and_its_job_is_finished(
    stack, other, method, change
):
    key_id, session = other
    with ForgeSimulator(seconds=1) as forge:
        parameters = {"positive_prompt": "a cat", "steps": 20}
        alias = stack.add_server(forge.port)
        body = {"target_server_alias": alias, "generation_params": parameters}
        answer = session.post(f"{stack.url}/api/v1/generate", json=body, timeout=10)
        job_id = answer.json()["job_id"]
        stack.wait_for(job_id, "processing")

        address = f"{stack.url}/api/v1/api-keys/{key_id}"
        stack.api.request(method, address, json=change, timeout=10)
        refused = session.get(f"{stack.url}/api/v1/queue/jobs/{job_id}/status", timeout=10)

        assert refused.status_code == 401
        assert stack.wait_for(job_id)["status"] == "completed"
