"""A simulated Forge on a port: in a test, in the demo, or as a command."""

from __future__ import annotations

import json
import os
import random
import secrets
import string
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from servers.simulator import faults, parameters
from servers.simulator.api import ForgeApi
from servers.simulator.application import Application
from servers.simulator.catalogue import Catalogue, ModelFile
from servers.simulator.control import Control
from servers.simulator.engine import Engine, Order
from servers.simulator.errors import AbortedError, SimulatorError
from servers.simulator.files import Outputs
from servers.simulator.flavours import FlavourName
from servers.simulator.gradio_calls import PageCalls, offered
from servers.simulator.gradio_page import Page
from servers.simulator.gradio_routes import PageRoutes
from servers.simulator.journal import Journal
from servers.simulator.launch import Launch
from servers.simulator.login import Login
from servers.simulator.options import Options
from servers.simulator.switchboard import Switchboard
from servers.simulator.wire import Listener

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DEFAULT_MODELS = ("Pony/tinyrandom_v1.safetensors", "rootrandom_v1.safetensors")
DEFAULT_LORAS = (
    ModelFile(
        "fakestyle_v1.safetensors",
        sha256="c24f0d71af7dafdbec7106bd62b982c0b061cb483cfb3265611a23d940274031",
    ),
)


class ForgeSimulator:
    """One simulated Forge. As a context manager it listens from start to end.

    `seconds` is the time of one batch, whatever its number of steps; `load_seconds` that
    of loading a checkpoint. `windows` lists names with backslashes, and finds them only so.
    `modules` are paths of VAEs and text encoders below Forge's folder.

    Ways to start a Forge: without --api (`api`), with --nowebui (`nowebui`), without --port
    (`port_flag`), with --api-auth (`api_auth`) and --gradio-auth (`gradio_auth`), both as
    "user:password"; `page_login` is --gradio-auth with a password nobody knows. For
    `startup_seconds` after its port is open its own routes are missing.

    `page_shift` moves the numbers and places of the page's functions and inputs, as another
    version would; `page_without` names elem_ids it lacks; `page_heartbeat` is in seconds.

    `flavour` is the member of Forge's family it stands for: forge, a1111 or neo.

    `on_die` is what the fault `die` does; in a test it is a sudden stop.
    """

    def __init__(
        self,
        models: Sequence[str | ModelFile] = DEFAULT_MODELS,
        *,
        loras: Sequence[str | ModelFile] = DEFAULT_LORAS,
        seconds: float = 2.0,
        load_seconds: float = 0.5,
        windows: bool = False,
        nowebui: bool = False,
        page_login: bool = False,
        api: bool = True,
        api_auth: str | None = None,
        gradio_auth: str | None = None,
        port_flag: bool = True,
        startup_seconds: float = 0.0,
        modules: Sequence[str] = (),
        flavour: FlavourName = "forge",
        page_shift: int = 0,
        page_without: Sequence[str] = (),
        page_heartbeat: float = 15.0,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        on_die: Callable[[], None] | None = None,
    ) -> None:
        if not models:
            raise ValueError("A Forge needs at least one model.")
        self._models, self._loras = _files(models), _files(loras)
        self._windows = windows
        if page_login and gradio_auth is None:
            gradio_auth = f"somebody:{secrets.token_hex(16)}"
        self.launch = Launch(
            api=api,
            nowebui=nowebui,
            api_auth=api_auth,
            gradio_auth=gradio_auth,
            port_flag=port_flag,
            startup_seconds=startup_seconds,
            flavour=flavour,
            page_shift=page_shift,
            page_without=tuple(page_without),
            page_heartbeat=page_heartbeat,
        )
        self._modules = modules
        self._seconds, self._load_seconds = seconds, load_seconds
        self._log = log
        self._on_die = on_die or (lambda: threading.Thread(target=self.stop, daemon=True).start())
        self._host = host
        self._listener = Listener(self, host, port)
        self._running = False
        self._journal = Journal(log)
        self._build()

    def _build(self, *, disk: Engine | None = None) -> None:
        """A Forge fresh from its start: nothing loaded, no task known, no faults.

        What an earlier engine left on `disk` is still there: pictures and the config file.
        """
        lists = json.loads((Path(__file__).parent / "forge_lists.json").read_text("utf-8"))
        catalogue = Catalogue(self._models, self._loras, windows=self._windows)
        first = catalogue.listed[0]
        config = {
            **lists["config_file"],
            "sd_model_checkpoint": catalogue.name(first),
            "sd_checkpoint_hash": first.digest if first.hashed else None,
        }
        if disk is not None:
            config = disk.options.saved
        self._faults = faults.FaultPlan()
        self.engine = Engine(
            catalogue,
            Options(lists["options"], config),
            lists,
            modules=self._modules,
            flavour=self.launch.family,
            seconds=self._seconds,
            load_seconds=self._load_seconds,
            journal=self._journal,
            faults=self._faults,
            outputs=disk.outputs if disk is not None else Outputs(catalogue.root),
            die=self._on_die,
        )
        self._application = self._routes_of_a_start()

    def _routes_of_a_start(self) -> Application:
        launch, engine = self.launch, self.engine
        api = ForgeApi(engine, port=lambda: self._listener.port if launch.port_flag else None)
        page = Page(launch, choices=offered(engine))
        calls = PageCalls(engine, page.own_values)
        self._page = PageRoutes(page, calls, heartbeat=launch.page_heartbeat)
        login = Login(
            api=launch.api_auth,
            page=launch.gradio_auth,
            cookie_has_id=launch.family.cookie_has_id,
        )
        self._switchboard = Switchboard(launch, login)
        rules = self._switchboard.rules({**api.routes(), **self._page.routes()})
        return Application([*rules, *Control(self).rules()], launch.family)

    # --- life ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to listen. Raises OSError if the port is taken."""
        self._listener.open()
        self._switchboard.opened()
        self._running = True

    def stop(self) -> None:
        """Stop at once, as a killed Forge: connections close without an answer."""
        self._running = False
        self._listener.close()
        self._abort()

    def restart(self, **changes: Any) -> None:
        """Die and come back on the same port, with what is on the disk. The journal goes on.

        `changes` are switches of `Launch` that are other than before. Raises WrongSwitchError.
        """
        self._come_back(self.launch.changed(changes), idle_only=False)

    def restart_and_answer(self, **changes: Any) -> None:
        """The same, asked for over HTTP: the answer to that is still let out."""
        self._come_back(self.launch.changed(changes), idle_only=True)

    def _come_back(self, launch: Launch, *, idle_only: bool) -> None:
        self._running = False
        self._listener.close(idle_only=idle_only)
        self._abort()
        self.launch = launch
        self._build(disk=self.engine)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._application(environ, start_response)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    # --- what tests steer ------------------------------------------------------------

    @property
    def journal(self) -> Journal:
        """What really happened since the start or the last reset."""
        return self._journal

    def fault(
        self, kind: str, *, times: int = 1, seconds: float | None = None, match: str = ""
    ) -> None:
        """Let `kind` happen, see `faults.KINDS`. Raises UnknownFaultError."""
        fault = faults.make(kind, times=times, seconds=seconds, match=match)
        if fault.kind == "forget_tasks":
            self.engine.progress.forget_tasks()
        elif fault.kind == "refuse":
            threading.Thread(target=self._refuse, args=(fault.seconds,), daemon=True).start()
        else:
            self._faults.add(fault)

    def foreign(self, *, steps: int = 20, seconds: float | None = None) -> str:
        """Somebody else's job, from Forge's own page. Returns its id once Forge knows it."""
        letters = string.ascii_lowercase + string.digits
        task_id = f"task({''.join(random.choices(letters, k=15))})"
        wanted = {"prompt": "somebody else's picture", "steps": steps, "width": 64, "height": 64}
        request = parameters.read(json.dumps(wanted).encode(), parameters.TXT2IMG)
        order = Order("txt2img", request, task_id, task_id, from_page=True, seconds=seconds)

        def draw() -> None:
            with suppress(SimulatorError):
                self.engine.generate(order, list)

        threading.Thread(target=draw, name="foreign-job", daemon=True).start()
        self.engine.progress.wait_until_known(task_id)
        return task_id

    def put_model(self, path: str, *, broken: bool = False) -> None:
        """Lay a checkpoint into the model folder; listed after refresh-checkpoints."""
        self.engine.catalogue.put(ModelFile(path, broken=broken))

    def remove_model(self, path: str) -> None:
        """Delete a checkpoint; still listed until refresh-checkpoints."""
        self.engine.catalogue.remove(path)

    def reset(self) -> None:
        """As just started: no jobs, no faults, nothing loaded, an empty journal."""
        self._abort()
        self._journal = Journal(self._log)
        self._build()

    def _abort(self) -> None:
        """Throw out whoever waits, works or listens."""
        self.engine.gate.abort()
        self._page.queue.stop()

    def _refuse(self, seconds: float) -> None:
        """Listen to nobody for a while. Answers under way still go out."""
        self._listener.close(idle_only=True)
        with suppress(AbortedError):
            self.engine.gate.wait(seconds)
            if self._running:
                self._listener.open()


def die_at_once() -> None:
    """What the fault `die` does in a process of its own: no goodbye, nothing flushed."""
    os._exit(1)


def _files(names: Sequence[str | ModelFile]) -> list[ModelFile]:
    return [ModelFile(name) if isinstance(name, str) else name for name in names]
