"""A lean client of the API: one kept connection, JSON in and out."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from bench.errors import BenchError

ANSWER_SECONDS = 30
# The web process closes a connection that was idle for 15 s.
_KEPT_SECONDS = 10
PARAMETERS: dict[str, Any] = {
    "positive_prompt": "a lighthouse in a storm, tall waves, dramatic clouds, oil painting",
    "negative_prompt": "blurry, watermark, text, low quality",
    "width": 64,
    "height": 64,
    "steps": 20,
    "cfg_scale": 7,
    "sampler_name": "Euler",
}
"""What every job asks for. Its picture is small: Forge's own work is not what is measured."""


class Api:
    """Calls the API of one web process."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.headers = {"Content-Type": "application/json"}
        self._line = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        self._used_at = 0.0

    def close(self) -> None:
        self._line.close()

    def sign_in(self) -> None:
        """Make a key and use it from now on."""
        # Its use is counted as for any key, but never too much.
        wanted = {"name": "Benchmark", "rate_limit": "off"}
        made = self.call("POST", "/api/v1/api-keys", wanted)["api_key"]
        self.headers |= {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}

    def submit(self, alias: str, **more: object) -> str:
        """Send a job and return its id."""
        return str(self.call("POST", "/api/v1/generate", job(alias, **more))["job_id"])

    def has_completed(self, job_id: str) -> bool:
        """Is the job's picture kept? Raises BenchError if it ended otherwise."""
        told = self.call("GET", f"/api/v1/queue/jobs/{job_id}/status")
        if told["status"] in ("failed", "cancelled"):
            raise BenchError(f"A job ended as {told['status']}: {told['result_details']}")
        return bool(told["status"] == "completed")

    def health(self, alias: str) -> str:
        """Return how the server of this name is taken to be."""
        return str(self.call("GET", f"/api/v1/servers/{alias}")["health"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return what was answered. Raises BenchError for a refusal."""
        data = None if body is None else json.dumps(body).encode()
        if time.monotonic() > self._used_at + _KEPT_SECONDS:
            self._line.close()
        try:
            self._line.request(method, path, data, self.headers)
            answer = self._line.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._line.close()
            raise BenchError(f"{method} {path} was not answered: {error!r}") from error
        self._used_at = time.monotonic()
        if answer.status >= 400:
            raise BenchError(f"{method} {path} was answered with {answer.status}: {text[:300]!r}")
        return json.loads(text)


def job(alias: str, **more: object) -> dict[str, Any]:
    """Return the body of POST /generate."""
    return {"target_server_alias": alias, "generation_params": {**PARAMETERS, **more}}
