"""`manage.py runforgesim`: a Forge that needs no GPU, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from servers.simulator.flavours import FLAVOURS
from servers.simulator.launch import WrongSwitchError
from servers.simulator.server import DEFAULT_MODELS, ForgeSimulator, die_at_once


class Command(BaseCommand):
    help = "Run a simulated Forge, for trying StableQueue without a GPU. Touches no database."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=7860, help="0 takes a free one")
        parser.add_argument(
            "--models",
            default=",".join(DEFAULT_MODELS),
            help="checkpoint paths below the model folder, with commas between",
        )
        parser.add_argument(
            "--windows", action="store_true", help="list names with backslashes and drive letters"
        )
        parser.add_argument(
            "--nowebui", action="store_true", help="as a Forge started with --nowebui"
        )
        parser.add_argument(
            "--page-login", action="store_true", help="as with --gradio-auth, password unknown"
        )
        self._add_launch_arguments(parser)
        parser.add_argument(
            "--seconds", type=float, default=2.0, help="time of one batch, whatever its steps"
        )
        parser.add_argument(
            "--load-seconds", type=float, default=0.5, help="time of loading a checkpoint"
        )
        parser.add_argument("--name", default="Forge simulator", help="how to call it on screen")
        parser.add_argument("--log", type=Path, help="append each start and end as a JSON line")

    @staticmethod
    def _add_launch_arguments(parser: ArgumentParser) -> None:
        parser.add_argument("--no-api", action="store_true", help="as a Forge without --api")
        parser.add_argument("--api-auth", metavar="USER:PASSWORD", help="as Forge's --api-auth")
        parser.add_argument(
            "--gradio-auth", metavar="USER:PASSWORD", help="as Forge's --gradio-auth"
        )
        parser.add_argument(
            "--no-port-flag", action="store_true", help="as a Forge started without --port"
        )
        parser.add_argument(
            "--startup-seconds",
            type=float,
            default=0.0,
            help="for how long after its port is open its own routes are missing",
        )
        parser.add_argument(
            "--modules", default="", help="paths of VAEs and text encoders, with commas between"
        )
        parser.add_argument(
            "--flavour",
            choices=list(FLAVOURS),
            default="forge",
            help="the member of Forge's family it stands for",
        )
        parser.add_argument(
            "--page-shift",
            type=int,
            default=0,
            help="by how much the numbers of the page's functions and inputs differ",
        )
        parser.add_argument(
            "--page-without", default="", help="elem_ids the page lacks, with commas between"
        )
        parser.add_argument(
            "--page-heartbeat",
            type=float,
            default=15.0,
            help="seconds between two signs of life of a stream with nothing to say",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        simulator = self._simulator(options)
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        try:
            simulator.start()
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {options['host']}:{options['port']}: "
                f"{os.strerror(error.errno or 0)}. "
                "Choose another --port, or 0 for a free one."
            ) from error
        self.stdout.write(f"{options['name']} listens on {simulator.url}")
        self.stdout.flush()
        over.wait()
        simulator.stop()

    def _simulator(self, options: dict[str, Any]) -> ForgeSimulator:
        """The simulator the options describe. Raises CommandError for impossible ones."""
        models = _listed(options["models"])
        if not models:
            raise CommandError("--models names no model.")
        if not 0 <= options["port"] <= 65535:
            raise CommandError("--port must be a number from 0 to 65535.")
        durations = options["seconds"], options["load_seconds"]
        if min(durations) < 0:
            raise CommandError("--seconds and --load-seconds cannot be negative.")
        try:
            return self._made(models, options)
        except WrongSwitchError as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _made(models: list[str], options: dict[str, Any]) -> ForgeSimulator:
        return ForgeSimulator(
            models,
            api=not options["no_api"],
            api_auth=options["api_auth"],
            gradio_auth=options["gradio_auth"],
            port_flag=not options["no_port_flag"],
            startup_seconds=options["startup_seconds"],
            modules=_listed(options["modules"]),
            flavour=options["flavour"],
            page_shift=options["page_shift"],
            page_without=_listed(options["page_without"]),
            page_heartbeat=options["page_heartbeat"],
            seconds=options["seconds"],
            load_seconds=options["load_seconds"],
            windows=options["windows"],
            nowebui=options["nowebui"],
            page_login=options["page_login"],
            host=options["host"],
            port=options["port"],
            log=options["log"],
            on_die=die_at_once,
        )


def _listed(text: str) -> list[str]:
    """The names in a text with commas between."""
    return [path for name in text.split(",") if (path := name.strip())]
