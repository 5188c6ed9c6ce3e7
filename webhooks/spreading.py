"""From the event log to what each endpoint is to be told, by a mark that only goes forward.

The mark moves in the transaction that stores the deliveries: whenever a process dies, each
event has become its deliveries once. Events are read first, endpoints after them: an endpoint
that was there before an event is seen with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Min, Q

from events.entries import Entry, Scopes, read
from events.filters import Filter
from events.log import Change, record
from events.timestamps import utc_millis
from webhooks import registry
from webhooks.models import Delivery, Endpoint, Mark

MOST_WAITING = 10_000
"""Deliveries that may wait for one endpoint."""


def spread(scopes: Scopes) -> int:
    """Go through some of the log; returns how many events. A no-op while another does it."""
    with transaction.atomic():
        Mark.objects.get_or_create()
        mark = Mark.objects.select_for_update(skip_locked=True).first()
        if mark is None:
            return 0
        entries = _next(scopes, mark)
        if entries:
            _store(entries)
            Mark.objects.update(event_id=entries[-1].id)
    return len(entries)


def switch_off_the_overfull() -> None:
    """Give endpoints up for which so much waits that they will not come after it any more."""
    waiting = Delivery.objects.filter(due_at__isnull=False).values_list("endpoint")
    for endpoint_id, count in waiting.annotate(count=Count("id")).order_by():
        if count > MOST_WAITING:
            give_up(endpoint_id, f"More than {MOST_WAITING} deliveries waited for it.")


def give_up(endpoint_id: UUID, reason: str) -> None:
    """Switch an endpoint off, and record it."""
    with transaction.atomic():
        if registry.switch_off(endpoint_id, reason):
            data = {"reason": reason}
            record([Change("webhook.disabled", "webhook", str(endpoint_id), data)])


def body_of(entry: Entry) -> str:
    """What a receiver gets: the specification's frame around what event streams tell."""
    told = {"type": entry.kind, "timestamp": utc_millis(entry.at), "data": entry.told()}
    return json.dumps(told, separators=(",", ":"))


def _next(scopes: Scopes, mark: Mark) -> list[Entry]:
    # What lies before the first endpoint is nobody's.
    first = Endpoint.objects.enabled().aggregate(first=Min("after_event"))["first"]
    if first is None:
        return []
    with connection.cursor() as cursor:
        return read(cursor, scopes, after=max(mark.event_id, first))


def _store(entries: Sequence[Entry]) -> None:
    standing = list(Endpoint.objects.enabled().standing())
    for_one = _for_one(entries)
    Delivery.objects.bulk_create(
        (
            Delivery(endpoint=endpoint, event_id=entry.id, kind=entry.kind, body=body_of(entry))
            for entry in entries
            for endpoint in _wanting(entry, [*standing, *for_one])
        ),
        ignore_conflicts=True,
    )


def _for_one(entries: Iterable[Entry]) -> list[Endpoint]:
    """The endpoints of just these jobs and their batches."""
    jobs = {entry.job_id for entry in entries if entry.job_id}
    batches = {entry.scope.batch for entry in entries if entry.scope.batch}
    theirs = Q(job_id__in=jobs) | Q(batch_id__in=batches)
    return list(Endpoint.objects.enabled().filter(theirs)) if jobs else []


def _wanting(entry: Entry, endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    for endpoint in endpoints:
        is_foreign = endpoint.only_own_jobs and entry.job_id and not _is_own(entry, endpoint)
        wanted = Filter(
            kinds=endpoint.events,
            job=str(endpoint.job_id or ""),
            batch=str(endpoint.batch_id or ""),
        )
        is_wanted = wanted.takes(entry.kind, entry.job_id, entry.scope)
        if entry.id > endpoint.after_event and is_wanted and not is_foreign:
            yield endpoint


def _is_own(entry: Entry, endpoint: Endpoint) -> bool:
    return entry.scope.key == str(endpoint.key_id)
