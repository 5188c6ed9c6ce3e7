"""The numbers behind GET /metrics, computed from the database when they are asked for.

So they are the same whichever process answers, and outlive all of them. Nothing here counts
finished jobs: those are summed up by `jobs.tally` as they finish.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from jobs import broker_health, presence, tally
from jobs.broker_health import BrokerState
from jobs.models import Job, Slot, Tally
from servers.models import Health, Server

Measure = Tally.Measure


def exposition(accept: str) -> tuple[bytes, str]:
    """Return all numbers in the text format that the Accept header prefers, and its type."""
    registry = CollectorRegistry()
    registry.register(_FromTheDatabase())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _FromTheDatabase(Collector):
    """What prometheus_client asks for metrics."""

    def collect(self) -> Iterator[Metric]:
        aliases = dict(Server.objects.values_list("id", "alias"))
        yield from _of_waiting_and_running_jobs(aliases)
        yield from _of_the_tally(aliases)
        yield from _of_servers()
        yield from _of_processes_and_engines()

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering it asks for no numbers."""
        return []


def _of_waiting_and_running_jobs(aliases: dict[int, str]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "stablequeue_jobs", "Jobs that have not ended.", labels=["server", "status"]
    )
    oldest = GaugeMetricFamily(
        "stablequeue_oldest_waiting_seconds",
        "How long the job has waited that has waited longest.",
        labels=["server"],
    )
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        for server_id, count, seconds in cursor.fetchall():
            jobs.add_metric([aliases[server_id], Job.Status.PENDING], count)
            oldest.add_metric([aliases[server_id]], seconds)
    running = Counter(Job.objects.processing().values_list("server_id", flat=True))
    for server_id, alias in aliases.items():
        jobs.add_metric([alias, Job.Status.PROCESSING], running[server_id])
    yield jobs
    yield oldest


# One entry of the index per server for the oldest, however many wait.
_WAITING = """
    SELECT server.id, waiting.count, coalesce(extract(epoch FROM now() - oldest.created_at), 0)
      FROM servers_server AS server
     CROSS JOIN LATERAL (
            SELECT count(*) FROM jobs_job
             WHERE server_id = server.id AND status = 'pending'
           ) AS waiting
      LEFT JOIN LATERAL (
            SELECT created_at FROM jobs_job
             WHERE server_id = server.id AND status = 'pending'
             ORDER BY created_at, id LIMIT 1
           ) AS oldest ON true
"""


@dataclass
class _Sums:
    """The tally of one measure: counts and seconds by server alias and label."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


def _of_the_tally(aliases: dict[int, str]) -> Iterator[Metric]:
    sums = {measure: _Sums() for measure in Measure.values}
    for row in Tally.objects.all():
        alias, of_measure = aliases.get(row.server_id, ""), sums[row.measure]
        of_measure.counts[alias, row.label] += row.count
        of_measure.seconds[alias] += row.seconds
    yield _counter(
        "stablequeue_jobs_ended",
        "Jobs that ended, by the status they ended with; one that is retried ends again.",
        ("status",),
        {(alias, status): count for (alias, status), count in sums[Measure.ENDED].counts.items()},
    )
    attempts, retries = _attempts(sums[Measure.ATTEMPT])
    yield attempts
    yield retries
    yield _counter(
        "stablequeue_busy_seconds",
        "Seconds that workers spent on attempts, counted when each ends.",
        (),
        {(alias,): seconds for alias, seconds in sums[Measure.ATTEMPT].seconds.items()},
    )
    yield _histogram(
        "stablequeue_job_duration_seconds",
        "Seconds from the claim of an attempt to its completed job.",
        sums[Measure.DURATION],
    )
    yield _histogram(
        "stablequeue_job_wait_seconds",
        "Seconds from submit to the first claim.",
        sums[Measure.WAIT],
    )
    yield GaugeMetricFamily(
        "stablequeue_events_uncounted",
        "Events that the counters above do not hold yet.",
        value=tally.uncounted(),
    )


def _attempts(sums: _Sums) -> tuple[Metric, Metric]:
    outcomes: dict[tuple[str, ...], float] = {}
    retries: Counter[tuple[str, ...]] = Counter()
    for (alias, label), count in sums.counts.items():
        outcome, _, code = label.partition(" ")
        outcomes[alias, outcome, code] = count
        if outcome == "retry":
            retries[(alias,)] += count
    return (
        _counter(
            "stablequeue_attempts",
            "Attempts that ended, by what became of them and why.",
            ("outcome", "code"),
            outcomes,
        ),
        _counter("stablequeue_retries", "Attempts that were charged and tried again.", (), retries),
    )


def _counter(
    name: str,
    description: str,
    more_labels: Sequence[str],
    values: Any,
) -> Metric:
    family = CounterMetricFamily(name, description, labels=["server", *more_labels])
    for labels, value in values.items():
        family.add_metric(list(labels), value)
    return family


def _histogram(name: str, description: str, sums: _Sums) -> Metric:
    family = HistogramMetricFamily(name, description, labels=["server"])
    for alias in sorted({alias for alias, _ in sums.counts}):
        total, buckets = 0, []
        for bound in (*tally.BUCKETS, math.inf):
            total += sums.counts[alias, tally.label_of(bound)]
            buckets.append(("+Inf" if math.isinf(bound) else str(bound), total))
        family.add_metric([alias], buckets, sums.seconds[alias])
    return family


def _of_servers() -> Iterator[Metric]:
    slots = GaugeMetricFamily(
        "stablequeue_slot", "1 for the state the slot is in.", labels=["server", "state"]
    )
    healths = GaugeMetricFamily(
        "stablequeue_server_health", "1 for the health last seen.", labels=["server", "health"]
    )
    paused = GaugeMetricFamily(
        "stablequeue_server_paused", "1 while the server is paused.", labels=["server"]
    )
    held = GaugeMetricFamily(
        "stablequeue_server_held",
        "1 while the server gets no jobs because it failed too many.",
        labels=["server"],
    )
    for server in Server.objects.active().select_related("slot"):
        for health in Health.values:
            healths.add_metric([server.alias, health], server.health == health)
        paused.add_metric([server.alias], server.is_paused)
        held.add_metric([server.alias], server.held_until is not None)
        slot: Slot | None = getattr(server, "slot", None)
        for state in Slot.State.values:
            slots.add_metric([server.alias, state], slot is not None and slot.state == state)
    yield from (slots, healths, paused, held)


def _of_processes_and_engines() -> Iterator[Metric]:
    processes = GaugeMetricFamily(
        "stablequeue_processes", "Living processes.", labels=["role", "state"]
    )
    for (role, state), count in Counter(presence.living().values_list("role", "state")).items():
        processes.add_metric([role, state], count)
    yield processes
    yield GaugeMetricFamily(
        "stablequeue_broker_up",
        "Whether Redis takes messages.",
        value=broker_health.look() in (BrokerState.WELL, BrokerState.EVICTS),
    )
    try:
        free = shutil.disk_usage(settings.OUTPUTS_DIR).free
    except OSError:
        return
    yield GaugeMetricFamily(
        "stablequeue_pictures_free_bytes", "Free space in the pictures folder.", value=free
    )
