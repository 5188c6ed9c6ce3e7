"""`manage.py dispatcher`: decide what runs next, until told to stop."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from jobs.dispatcher import Dispatcher


class Command(BaseCommand):
    help = (
        "Decides what runs next, on which server. One leads; "
        "any further one stands by and takes over when the first is gone."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        dispatcher = Dispatcher()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: dispatcher.stop())
        dispatcher.run()
