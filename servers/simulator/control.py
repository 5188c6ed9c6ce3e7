"""Routes under /__sim__/ that no Forge has: the referee's journal, faults, other people's jobs."""

from __future__ import annotations

from typing import Any, Protocol

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from servers.simulator.answers import json_answer
from servers.simulator.errors import RefusalError
from servers.simulator.faults import UnknownFaultError
from servers.simulator.journal import Journal
from servers.simulator.launch import WrongSwitchError
from servers.simulator.parameters import read_object

PREFIX = "/__sim__/"


class Controlled(Protocol):
    """What the control routes need of a simulator."""

    @property
    def journal(self) -> Journal: ...

    def fault(
        self, kind: str, *, times: int = 1, seconds: float | None = None, match: str = ""
    ) -> None: ...

    def foreign(self, *, steps: int = 20, seconds: float | None = None) -> str: ...

    def put_model(self, path: str, *, broken: bool = False) -> None: ...

    def remove_model(self, path: str) -> None: ...

    def reset(self) -> None: ...

    def restart_and_answer(self, **changes: Any) -> None: ...


class Control:
    """The control routes of one simulator."""

    def __init__(self, simulator: Controlled) -> None:
        self._simulator = simulator

    def rules(self) -> list[Rule]:
        posts = {
            "faults": self._fault,
            "foreign": self._foreign,
            "models": self._models,
            "reset": self._reset,
            "restart": self._restart,
        }
        return [
            Rule(f"{PREFIX}log", endpoint=self._log, methods=["GET"]),
            *(
                Rule(f"{PREFIX}{name}", endpoint=answer, methods=["POST"])
                for name, answer in posts.items()
            ),
        ]

    def _log(self, _request: Request) -> Response:
        return json_answer(self._simulator.journal.as_json())

    def _fault(self, request: Request) -> Response:
        """Body: {"fault": kind, "times": 1, "seconds": its own, "match": part of a prompt}."""
        body = read_object(request.get_data())
        try:
            self._simulator.fault(
                body.get("fault", ""),
                times=body.get("times", 1),
                seconds=body.get("seconds"),
                match=body.get("match", ""),
            )
        except UnknownFaultError as error:
            raise RefusalError(400, str(error)) from error
        return json_answer({})

    def _foreign(self, request: Request) -> Response:
        """Body: {"steps": 20, "seconds": as all}. Answers the task id of the job begun."""
        body = read_object(request.get_data())
        steps, seconds = body.get("steps", 20), body.get("seconds")
        if not isinstance(steps, int) or not 1 <= steps <= 100_000:
            raise RefusalError(400, "steps must be a whole number from 1 to 100000.")
        if seconds is not None and not _is_duration(seconds):
            raise RefusalError(400, "seconds must be a number from 0 to 86400.")
        return json_answer({"task_id": self._simulator.foreign(steps=steps, seconds=seconds)})

    def _models(self, request: Request) -> Response:
        """Body: {"put": path, "broken": false} or {"remove": path}; shown after a refresh."""
        body = read_object(request.get_data())
        if isinstance(body.get("put"), str):
            self._simulator.put_model(body["put"], broken=bool(body.get("broken")))
        elif isinstance(body.get("remove"), str):
            self._simulator.remove_model(body["remove"])
        else:
            raise RefusalError(400, "Say put or remove, and a path below the model folder.")
        return json_answer({})

    def _reset(self, _request: Request) -> Response:
        self._simulator.reset()
        return json_answer({})

    def _restart(self, request: Request) -> Response:
        """Body: the switches that are other than before, see `Launch`; {} for none."""
        try:
            self._simulator.restart_and_answer(**read_object(request.get_data()))
        except WrongSwitchError as error:
            raise RefusalError(400, str(error)) from error
        return json_answer({})


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 86400
