"""Clients of the API: what they ask for, how often, and what they remember being told."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from chaos.facts import Asked, Told

_PATIENCE = 4.0
"""Seconds a client waits for an answer."""
_HASTE = 0.02
"""Seconds of one who is sure to miss the answer, and asks again."""
_TRIES = 40
_BETWEEN_TRIES = 0.25


@dataclass
class Ledger:
    """Everything that clients were promised in one run."""

    asked: list[Asked] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    maybe_deleted: set[str] = field(default_factory=set)
    retried: int = 0
    lost_answers: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Answers other than 2xx, by method, last word of the path, and status."""

    def told(self) -> Told:
        return Told(
            frozenset(self.cancelled - self.maybe_deleted - self.deleted),
            frozenset(self.deleted),
            frozenset(self.maybe_deleted),
        )

    def accepted(self) -> list[str]:
        """Return all jobs that were accepted, the latest last, each once."""
        ids = (job for asked in self.asked for answer in asked.accepted for job in answer)
        return list(dict.fromkeys(ids))


class Client:
    """Speaks to the API with a key, and writes into the ledger what came of it."""

    def __init__(self, url: str, headers: dict[str, str], ledger: Ledger) -> None:
        self._url = url
        self._headers = headers
        self.ledger = ledger

    def submit(
        self,
        alias: str,
        marker: str,
        *,
        count: int,
        key: str = "",
        hasty: bool = False,
        checkpoint: str = "",
    ) -> None:
        """Have `count` pictures drawn. With a key, ask until there is an answer.

        A hasty client leaves before its first answer can have come.
        """
        path, body = _wish(alias, marker, count, checkpoint)
        more = {"Idempotency-Key": key} if key else {}
        answers: list[tuple[str, ...]] = []
        for number in range(_TRIES if key else 1):
            seconds = _HASTE if hasty and number == 0 else _PATIENCE
            answer = self.call("POST", path, body, more=more, seconds=seconds)
            if answer is not None and answer.ok:
                answers.append(_job_ids(answer.json()))
                # Now and then the answer came, and the client asks all the same.
                if not (hasty and len(answers) == 1):
                    break
            elif answer is not None and answer.status_code not in (409, 503):
                break
            time.sleep(_BETWEEN_TRIES)
        self.ledger.asked.append(Asked(marker, key, tuple(answers)))

    def cancel(self, job_id: str) -> None:
        answer = self.call("POST", f"/api/v1/queue/jobs/{job_id}/cancel")
        if answer is not None and answer.ok:
            self.ledger.cancelled.add(job_id)

    def delete(self, job_id: str) -> None:
        answer = self.call("DELETE", f"/api/v1/queue/jobs/{job_id}")
        if answer is None or answer.status_code >= 500:
            self.ledger.maybe_deleted.add(job_id)
        elif answer.ok:
            self.ledger.deleted.add(job_id)

    def retry(self, job_id: str) -> None:
        """Ask, as a person, for another try of a failed job."""
        answer = self.call("POST", f"/api/v1/queue/jobs/{job_id}/retry")
        self.ledger.retried += answer is not None and answer.ok

    def jobs(self, status: str) -> list[dict[str, Any]]:
        """Return what the API tells of the jobs in `status`, the newest first."""
        answer = self.call("GET", f"/api/v1/queue/jobs?status={status}&limit=500")
        return list(answer.json()["jobs"]) if answer is not None and answer.ok else []

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        more: dict[str, str] | None = None,
        seconds: float = _PATIENCE,
    ) -> requests.Response | None:
        """Return the answer, or None if none came."""
        headers = {**self._headers, **(more or {})}
        try:
            answer = requests.request(
                method, self._url + path, json=body, headers=headers, timeout=seconds
            )
        except requests.RequestException:
            self.ledger.lost_answers += 1
            return None
        if not answer.ok:
            what = f"{method} {path.partition('?')[0].rpartition('/')[2][:12]}"
            name = f"{what if len(what) < 14 else method} {answer.status_code}"
            self.ledger.refused[name] = self.ledger.refused.get(name, 0) + 1
        return answer


class Crowd:
    """Clients that ask for this and that, in a thread, until they are sent home."""

    def __init__(
        self, client: Client, aliases: list[str], marker: str, chance: random.Random, jobs: int
    ) -> None:
        """`jobs`: how many wishes there are to come. `marker` is unique to this crowd."""
        self._client = client
        self._aliases = aliases
        self._marker = marker
        self._chance = chance
        self._wishes = jobs
        self._home = threading.Event()
        self._thread = threading.Thread(target=self._act, name="crowd", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send_home(self) -> None:
        """Let them finish what they are at, and return once they have."""
        self._home.set()
        self._thread.join()

    def is_busy(self) -> bool:
        """Whether there are wishes to come, or answers."""
        return self._thread.is_alive()

    def _act(self) -> None:
        for number in range(self._wishes):
            if self._home.wait(self._chance.uniform(0.05, 0.4)):
                return
            self._submit(number)
            self._change_a_mind()

    def _submit(self, number: int) -> None:
        marker = f"{self._marker}-{number}"
        count = self._chance.choice((1, 1, 1, 1, 3))
        key = marker if self._chance.random() < 0.7 else ""
        hasty = bool(key) and self._chance.random() < 0.2
        alias = self._chance.choice(self._aliases)
        # Such a job fails, for a person to try it again.
        checkpoint = "nobody-has.safetensors" if self._chance.random() < 0.1 else ""
        self._client.submit(alias, marker, count=count, key=key, hasty=hasty, checkpoint=checkpoint)

    def _change_a_mind(self) -> None:
        what, which = self._chance.random(), self._chance.random()
        # Few of the latest: those may be on their way just now.
        recent = self._client.ledger.accepted()[-6:]
        if not recent:
            return
        job_id = recent[int(which * len(recent))]
        if what < 0.2:
            self._client.cancel(job_id)
        elif what < 0.27:
            self._client.delete(job_id)
        elif what < 0.4:
            for failed in self._client.jobs("failed")[:1]:
                self._client.retry(failed["stablequeue_job_id"])


def _wish(alias: str, marker: str, count: int, checkpoint: str) -> tuple[str, dict[str, Any]]:
    parameters = {
        **({"checkpoint_name": checkpoint} if checkpoint else {}),
        "positive_prompt": f"a lighthouse {marker} in a storm",
        "width": 64,
        "height": 64,
        "steps": 20,
    }
    body: dict[str, Any] = {"target_server_alias": alias, "generation_params": parameters}
    if count == 1:
        return "/api/v1/generate", body
    return "/api/v1/generate/bulk", {**body, "bulk_quantity": count}


def _job_ids(answer: dict[str, Any]) -> tuple[str, ...]:
    jobs = answer.get("jobs", [answer])
    return tuple(job["stablequeue_job_id"] for job in jobs)
