"""The operations that tell what happens: event streams and webhooks."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.stream_api import LAST_EVENT_ID, EventsQuery, PlaceQuery
from stablequeue_project.api.reference.operation import Chapter, Operation
from stablequeue_project.api.reference.shared import IDEMPOTENCY_KEY
from webhooks.serializers import DeliveryOutput, WebhookChange, WebhookCreation, WebhookOutput


class ShownWebhook(serializers.Serializer[Any]):
    """One webhook."""

    success = serializers.BooleanField()
    webhook = WebhookOutput()


class ShownWebhooks(serializers.Serializer[Any]):
    """All webhooks."""

    success = serializers.BooleanField()
    webhooks = WebhookOutput(many=True)


class WebhookWithSecret(WebhookOutput):
    """A webhook with its new secret."""

    secret = serializers.CharField(help_text="Shown this once.")

    class Meta(WebhookOutput.Meta):
        fields = [*WebhookOutput.Meta.fields, "secret"]


class NewWebhook(serializers.Serializer[Any]):
    """A webhook with its new secret, which is shown this once."""

    success = serializers.BooleanField()
    webhook = WebhookWithSecret()


class DeletedWebhook(serializers.Serializer[Any]):
    """That it is gone."""

    success = serializers.BooleanField()
    message = serializers.CharField()


class ShownDeliveries(serializers.Serializer[Any]):
    """The latest deliveries of a webhook."""

    success = serializers.BooleanField()
    deliveries = DeliveryOutput(many=True, help_text="The newest event first; 200 at most.")


class ReplayedDelivery(serializers.Serializer[Any]):
    """A delivery that is sent again."""

    success = serializers.BooleanField()
    delivery = DeliveryOutput()


EVENTS = Chapter(
    "Events",
    "Every change is an event with a number, kept for 30 days (those of jobs that have not ended, "
    "for longer). A stream is what browsers call server-sent events: each has `id`, `event` (its "
    "type, like `job.completed`) and `data`, a JSON object with `event_id`, `type`, `timestamp`, "
    "`subject`, `job_id`, `batch_id`, `server` and `data`, what is particular to the type. The "
    "first event is `ready`: what you list after it and what the stream tells leave no gap. Who "
    "comes back with `Last-Event-ID`, as browsers do, is told what it missed, each event once. If "
    "that isn't possible the first event is `reset`: list afresh. `job.progress` has no id and is "
    "not repeated: at most twice a second for a job, with `fraction` (from 0 to 1), `eta_seconds`, "
    "`phase` and `preview_url`. A line with a colon alone comes every 15 seconds. A stream ends "
    "with the API key that opened it, and when StableQueue stops.",
    {
        "GET /api/v1/events": Operation(
            id="stream_events",
            summary="Follow everything that happens",
            description="Without a place in the log it begins with what happens now. Filters must "
            "all fit. `curl -N` shows it.",
            query=EventsQuery,
            media=("text/event-stream",),
            errors=("VALIDATION_FAILED", "TOO_MANY_STREAMS"),
            headers=(LAST_EVENT_ID,),
        ),
        "GET /api/v1/queue/jobs/{job_id}/events": Operation(
            id="stream_job_events",
            summary="Follow one job",
            description="Without a place in the log it begins with the job's first event. It ends "
            "once the job has ended and all was told.",
            query=PlaceQuery,
            media=("text/event-stream",),
            more_answers={204: "The job has ended and its last event was seen: do not come back."},
            errors=("VALIDATION_FAILED", "JOB_NOT_FOUND", "TOO_MANY_STREAMS"),
            headers=(LAST_EVENT_ID,),
        ),
    },
)

WEBHOOKS = Chapter(
    "Webhooks",
    "StableQueue calls you: a POST per event, signed as the Standard Webhooks specification says, "
    "whose libraries verify it (`webhook-id`, `webhook-timestamp`, `webhook-signature`). The body "
    "is `type`, `timestamp` and `data`, which is what event streams tell. Any answer of 2xx within "
    "15 seconds is a success. Otherwise it is tried again after about 5 s, 5 min, 30 min, 2, 5, "
    "10, 14, 20 and 24 h, or later where 429 or 503 come with `Retry-After`; the `webhook-id` "
    "stays the same. 410 switches the webhook off, and so do three days of failures. Redirects are "
    "not followed. Addresses of the local network may be called; link-local ones and StableQueue's "
    "own engines may not. `POST /generate` and `/generate/bulk` take `webhook_url`, "
    "`webhook_secret` and `webhook_events` for just that job or batch.",
    {
        "GET /api/v1/webhooks": Operation(
            id="list_webhooks",
            summary="List webhooks",
            description="Those of the key that asks.",
            answer=ShownWebhooks,
        ),
        "POST /api/v1/webhooks": Operation(
            id="add_webhook",
            summary="Add a webhook",
            body=WebhookCreation,
            status=201,
            answer=NewWebhook,
            errors=("TOO_MANY_WEBHOOKS", "IDEMPOTENCY_SECRET_SHOWN"),
            made={"webhook_id": "/webhook/id"},
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v1/webhooks/{webhook_id}": Operation(
            id="read_webhook",
            summary="Read a webhook",
            answer=ShownWebhook,
            errors=("WEBHOOK_NOT_FOUND", "NOT_FOUND"),
        ),
        "PUT /api/v1/webhooks/{webhook_id}": Operation(
            id="change_webhook",
            summary="Change a webhook",
            description="What is not sent stays. Activated again, it is told what happens from "
            "then on.",
            body=WebhookChange,
            answer=ShownWebhook,
            errors=("WEBHOOK_NOT_FOUND", "NOT_FOUND"),
        ),
        "DELETE /api/v1/webhooks/{webhook_id}": Operation(
            id="delete_webhook",
            summary="Delete a webhook",
            answer=DeletedWebhook,
            errors=("WEBHOOK_NOT_FOUND", "NOT_FOUND"),
        ),
        "POST /api/v1/webhooks/{webhook_id}/rotate-secret": Operation(
            id="rotate_webhook_secret",
            summary="Give a webhook a new secret",
            description="For a day both sign, so that no call is refused meanwhile.",
            answer=NewWebhook,
            errors=("WEBHOOK_NOT_FOUND", "NOT_FOUND"),
        ),
        "GET /api/v1/webhooks/{webhook_id}/deliveries": Operation(
            id="list_webhook_deliveries",
            summary="See what became of the latest calls",
            answer=ShownDeliveries,
            errors=("WEBHOOK_NOT_FOUND", "NOT_FOUND"),
        ),
        "POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Operation(
            id="replay_webhook_delivery",
            summary="Make a call once more",
            status=202,
            answer=ReplayedDelivery,
            errors=("WEBHOOK_NOT_FOUND", "WEBHOOK_DELIVERY_NOT_FOUND", "WEBHOOK_OFF", "NOT_FOUND"),
        ),
    },
)
