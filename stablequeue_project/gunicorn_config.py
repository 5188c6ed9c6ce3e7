"""How gunicorn serves the web process. The address comes from the command line.

A thread serves one request or one event stream; the database connections are bounded by
Django's pool, not by the number of threads.
"""

from __future__ import annotations

import datetime
import gc
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

worker_class = "stablequeue_project.web_worker.ImpatientWorker"
workers = 2
threads = 100
worker_connections = 400
keepalive = 15
# Event streams never end by themselves, so a stop does not wait long for them.
graceful_timeout = 3
timeout = 30

limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# No proxy is trusted: nothing in X-Forwarded-* changes what a request is taken for.
forwarded_allow_ips = ""
proxy_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# A control socket would be one more door, at a path that may be too long for a socket.
control_socket_disable = True

accesslog = "-"
# Without the query, which may hold what people search for.
access_log_format = "%(m)s %(U)s answered %(s)s after %(M)s ms"
errorlog = "-"


class ErrorsOnly(Logger):  # type: ignore[misc]
    """Logs a request only if it surprised us; the event log knows all that succeeded."""

    def access(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta
    ) -> None:
        """Log the request if it crashed. A 503 names a part that is away: not news each time."""
        # Only the text is set in answers that gunicorn itself gives to what it can't read.
        code = int(str(resp.status).split()[0])
        if code >= 500 and code != 503:
            super().access(resp, req, environ, request_time)


logger_class = ErrorsOnly


def post_worker_init(worker: Any) -> None:
    """Keep the garbage collector from what was loaded at start: it stays for ever.

    Its full rounds would otherwise walk all of Django in the middle of requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
