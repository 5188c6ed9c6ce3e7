"""StableQueue as a program sees it: a key, servers, jobs and pictures over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import requests

from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import write_private

_ANSWER_SECONDS = 20
_PNG_BEGINS = b"\x89PNG\r\n\x1a\n"


class Client:
    """Calls the API at `url` with a key that is kept in `key_file` from one run to the next.

    Every method raises StackError when the API refuses, and requests.RequestException when
    it does not answer.
    """

    def __init__(self, url: str, key_file: Path) -> None:
        self._url = url
        self._key_file = key_file
        self._session = requests.Session()
        # Neither a proxy nor a .netrc stands between us and our own machine.
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def sign_in(self) -> None:
        """Use the kept key, or make one if there is none or it is no longer accepted."""
        if self._use_kept_key() and self._call("GET", "/api/v1/servers").ok:
            return
        self._session.headers.pop("X-API-Key", None)
        self._session.headers.pop("X-API-Secret", None)
        # The bars look at every job several times a second.
        wanted = {"name": "Demo", "rate_limit": "off"}
        made = self._accepted("POST", "/api/v1/api-keys", wanted).json()["api_key"]
        kept = {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}
        write_private(self._key_file, json.dumps(kept))
        self._session.headers.update(kept)

    def have_server(self, alias: str, *, port: int) -> None:
        """See to it that a server of this name stands at `port` of this machine."""
        place = {"host": "127.0.0.1", "port": port}
        servers = self._accepted("GET", "/api/v1/servers").json()
        known = {server["alias"]: server["port"] for server in servers}
        if alias not in known:
            about = {"alias": alias, "description": "A simulated Forge of the demo"}
            self._accepted("POST", "/api/v1/servers", {**about, **place})
        elif known[alias] != port:
            self._accepted("PUT", f"/api/v1/servers/{quote(alias)}", place)

    def submit(self, alias: str, parameters: dict[str, Any]) -> str:
        """Send a job and return its id."""
        body = {"target_server_alias": alias, "generation_params": parameters}
        return str(self._accepted("POST", "/api/v1/generate", body).json()["stablequeue_job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return how the job stands."""
        job: dict[str, Any] = self._accepted("GET", f"/api/v1/queue/jobs/{job_id}/status").json()
        return job

    def has_picture(self, name: str) -> bool:
        """Is a PNG served under this name?"""
        answer = self._call("GET", f"/outputs/{quote(name)}")
        return answer.ok and answer.content.startswith(_PNG_BEGINS)

    def _use_kept_key(self) -> bool:
        try:
            kept = json.loads(self._key_file.read_text())
        except (OSError, ValueError):
            return False
        self._session.headers.update({name: str(value) for name, value in kept.items()})
        return True

    def _accepted(self, method: str, path: str, body: Any = None) -> requests.Response:
        answer = self._call(method, path, body)
        if not answer.ok:
            raise StackError(
                "DEMO_REFUSED",
                f"{method} {path} was answered with {answer.status_code}: {answer.text[:500]}",
            )
        return answer

    def _call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self._session.request(
            method, self._url + path, json=body, timeout=_ANSWER_SECONDS, allow_redirects=False
        )
