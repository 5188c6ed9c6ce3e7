"""The worker's side of the queues: which ones it serves, learned from Postgres.

A queue added to a running worker by broadcast is forgotten when the worker restarts, so
each worker reads the list itself, at start and on a timer. `jobs.watchdog` looks after it.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import bootsteps
from django.conf import settings
from django.db import Error, connection

from jobs import presence
from jobs.models import Process
from servers.models import Server

logger = logging.getLogger(__name__)


class ServerQueues(bootsteps.StartStopStep):
    """Consumer step: serves the queue of every server, and says that the worker lives.

    With `--servers` the worker takes the server queues and nothing else; without, it
    serves the queues named on its command line.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, servers: bool = False, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._servers = servers
        self._role = Process.Role.WORKER if servers else Process.Role.CHORES
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Called at start and after each reconnection to Redis."""
        if not (self._servers or hasattr(consumer, "queues_to_serve")):
            # As the command line says; later it may be otherwise, by somebody's word.
            consumer.queues_to_serve = {queue.name for queue in consumer.task_consumer.queues}
        self._refresh(consumer)
        self._timer = consumer.timer.call_repeatedly(
            settings.WORKER_BEAT, self._refresh, (consumer,)
        )

    def stop(self, consumer: Any) -> None:
        """Called when Redis is lost or the worker shuts down."""
        if self._timer:
            self._timer.cancel()

    def _refresh(self, consumer: Any) -> None:
        try:
            if self._servers:
                wanted = set(Server.objects.values_list("queue_name", flat=True))
                consumer.queues_to_serve = wanted
                self._serve(consumer, wanted)
            is_doubtful = consumer.controller.hearing.is_doubtful
            state = Process.State.DEAF if is_doubtful else Process.State.SERVES
            presence.note(name=f"{consumer.hostname}:{os.getpid()}", role=self._role, state=state)
        except Error as error:
            logger.warning("the queues could not be refreshed: %s", error)
        finally:
            connection.close()

    def _serve(self, consumer: Any, wanted: set[str]) -> None:
        served = {queue.name for queue in consumer.task_consumer.queues}
        for name in sorted(wanted - served):
            consumer.add_task_queue(name)
        for name in sorted(served - wanted):
            consumer.cancel_task_queue(name)
