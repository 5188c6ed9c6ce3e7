"""What can be refused about webhooks.

WebhookError
├─ WebhookNotFound     there is no such endpoint, or it is another key's
├─ DeliveryNotFound    the endpoint has no such delivery, or none any more
├─ WebhookUrlInvalid   the address is none that may be called
├─ WebhookOff          it is switched off, so nothing is sent to it
└─ TooManyWebhooks     the key has as many endpoints as it may
"""

from __future__ import annotations


class WebhookError(Exception):
    """Base of the refusals. `str(error)` is a sentence for a person."""

    code: str


class WebhookNotFound(WebhookError):
    code = "WEBHOOK_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no webhook with this id.")


class DeliveryNotFound(WebhookError):
    code = "WEBHOOK_DELIVERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("The webhook has no delivery with this id; only the latest are kept.")


class WebhookUrlInvalid(WebhookError):
    code = "VALIDATION_FAILED"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


class WebhookOff(WebhookError):
    code = "WEBHOOK_OFF"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The webhook is switched off: {reason} Activate it first.")


class TooManyWebhooks(WebhookError):
    code = "TOO_MANY_WEBHOOKS"

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} webhooks already. Delete one that is not needed.")
