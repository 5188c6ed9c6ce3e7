"""How long a web request waits for the database before it is answered with 503."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections

LOCK_SECONDS = 4
"""For a row, a table or the event log that somebody else holds. The longest that a bulk
submit of ours holds any of them is a fraction of this."""
STATEMENT_SECONDS = 30
"""For one statement. A count over a million jobs on a slow disk takes a few seconds."""


def limit_statements() -> None:
    """Bound what the statements of this process wait for. To be called before the first one.

    For the web process only: a worker that waits for a lock has nobody who waits for it, and
    a result to store.
    """
    options = connections.settings[DEFAULT_DB_ALIAS]["OPTIONS"]
    options["options"] = (
        f"{options.get('options', '')} -c lock_timeout={LOCK_SECONDS}s "
        f"-c statement_timeout={STATEMENT_SECONDS}s"
    ).strip()
