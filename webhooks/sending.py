"""Sends what is due, and judges what came back.

A delivery is taken by moving its due time behind the longest that sending may last: if the
sender dies, it is due again by itself. Its number of attempts fences, as a job's does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from servers.address import refusal_of_peer
from servers.credentials import SealBroken, unseal
from servers.forge_errors import ForgeError
from servers.forge_line import Line
from webhooks import schedule, signing, spreading
from webhooks.errors import WebhookUrlInvalid
from webhooks.models import Delivery, Endpoint
from webhooks.targets import parse_target

logger = logging.getLogger(__name__)

AT_ONCE = 32
AT_ONCE_PER_ENDPOINT = 4
KEPT = 200
"""Ended deliveries that are kept of each endpoint."""

_SENDERS = 8
_CONNECT_SECONDS = 5.0
_MAX_ANSWER = 256 * 1024
_GONE = 410
_TRY_LATER = (429, 503)


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt. `status` is 0 if no answer came."""

    status: int = 0
    error: str = ""
    retry_after: float = 0

    @property
    def is_success(self) -> bool:
        return not self.error and 200 <= self.status < 300


def send_due() -> int:
    """Send some of what is due; returns how many were tried."""
    taken = _take()
    if taken:
        with ThreadPoolExecutor(_SENDERS, thread_name_prefix="webhook") as senders:
            outcomes = list(senders.map(_send, taken))
        for delivery, outcome in zip(taken, outcomes, strict=True):
            _settle(delivery, outcome)
        for endpoint_id in {delivery.endpoint_id for delivery in taken}:
            _trim(endpoint_id)
    return len(taken)


def _take() -> Sequence[Delivery]:
    lease = 4 * settings.WEBHOOK_TIMEOUT + 20
    values = {"lease": lease, "most": AT_ONCE, "each": AT_ONCE_PER_ENDPOINT}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        ids = [row[0] for row in cursor.fetchall()]
    return list(Delivery.objects.select_related("endpoint").filter(id__in=ids))


# One endpoint at a time and a few of its deliveries: one that does not answer holds up no other.
_TAKE = """
    UPDATE webhooks_delivery
       SET attempts = attempts + 1, taken_at = now(), last_attempt_at = now(),
           due_at = now() + make_interval(secs => %(lease)s)
     WHERE due_at <= now() AND id IN (
            SELECT id FROM (
                SELECT id, due_at,
                       row_number() OVER (PARTITION BY endpoint_id ORDER BY due_at, event_id)
                  FROM webhooks_delivery AS waiting
                 WHERE due_at <= now()
                   AND NOT EXISTS (
                        SELECT 1 FROM webhooks_delivery AS other
                         WHERE other.endpoint_id = waiting.endpoint_id
                           AND other.taken_at IS NOT NULL AND other.due_at > now()
                       )
            ) AS queue (id, due_at, place)
             WHERE place <= %(each)s ORDER BY due_at LIMIT %(most)s
           )
    RETURNING id
"""


def _send(delivery: Delivery) -> Outcome:
    """One attempt, in a thread that uses no database."""
    try:
        target = parse_target(delivery.endpoint.url)
        secrets = _secrets(delivery.endpoint)
    except (WebhookUrlInvalid, SealBroken) as error:
        return Outcome(error=str(error) or "Its secret cannot be opened; give it a new one.")
    body = delivery.body.encode()
    guard = partial(refusal_of_peer, own_services=settings.OWN_SERVICES)
    line = Line(target.address.url, connect=_CONNECT_SECONDS, guard=guard)
    signed = signing.headers(
        message_id=delivery.message_id,
        timestamp=int(time.time()),
        body=body,
        secret_texts=secrets,
    )
    try:
        reply = line.exchange(
            "POST",
            target.path,
            deadline=settings.WEBHOOK_TIMEOUT,
            max_bytes=_MAX_ANSWER,
            body=body,
            headers=signed,
        )
    except ForgeError as error:
        return Outcome(error=str(error)[:300])
    return Outcome(status=reply.status, retry_after=_seconds(reply.retry_after))


def _secrets(endpoint: Endpoint) -> list[str]:
    """The secrets to sign with, opened. Raises SealBroken."""
    sealed = [endpoint.secret]
    if endpoint.previous_until is not None and endpoint.previous_until > timezone.now():
        sealed.append(endpoint.previous_secret)
    return [unseal(text) for text in sealed]


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _settle(delivery: Delivery, outcome: Outcome) -> None:
    """Write down what became of an attempt; nothing if somebody else has it by now."""
    mine = Delivery.objects.filter(id=delivery.id, attempts=delivery.attempts, due_at__isnull=False)
    error = outcome.error or ("" if outcome.is_success else f"Answered {outcome.status}.")
    seen = {"taken_at": None, "last_status": outcome.status or None, "last_error": error}
    endpoint = Endpoint.objects.filter(id=delivery.endpoint_id)
    if outcome.is_success:
        mine.update(due_at=None, delivered_at=Now(), ended_at=Now(), **seen)
        endpoint.filter(failing_since__isnull=False).update(failing_since=None)
        return
    logger.info("webhook %s: %s", str(delivery.endpoint_id)[:8], error)
    asked = outcome.retry_after if outcome.status in _TRY_LATER else 0
    wait = schedule.wait(delivery.attempts, asked=asked)
    with transaction.atomic():
        if wait is None:
            mine.update(due_at=None, ended_at=Now(), **seen)
        else:
            mine.update(due_at=Now() + timedelta(seconds=wait * settings.TIME_SCALE), **seen)
        endpoint.update(failing_since=Coalesce(F("failing_since"), Now()))
    _judge(delivery, outcome)


def _judge(delivery: Delivery, outcome: Outcome) -> None:
    """Give an endpoint up that is gone, or has failed for days."""
    if outcome.status == _GONE:
        spreading.give_up(delivery.endpoint_id, "It answered 410: it is gone for good.")
        return
    since = Now() - timedelta(seconds=settings.WEBHOOK_GIVE_UP)
    if Endpoint.objects.filter(id=delivery.endpoint_id, failing_since__lt=since).exists():
        spreading.give_up(delivery.endpoint_id, "It has failed for days, without a success.")


def _trim(endpoint_id: UUID) -> None:
    ended = Delivery.objects.filter(endpoint=endpoint_id, ended_at__isnull=False)
    kept = ended.order_by("-ended_at").values("id")[:KEPT]
    ended.exclude(id__in=list(kept.values_list("id", flat=True))).delete()
