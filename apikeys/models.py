"""The keys with which applications name themselves."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from apikeys.keys import MAX_KEY_LENGTH
from apikeys.rates import Rate

one_line = RegexValidator(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029]",
    message="Use one line of text without control characters.",
    inverse_match=True,
)


def a_rate(text: str) -> None:
    """Refuse what is no rate."""
    try:
        Rate.parse(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class ApiKey(models.Model):
    """One application's key. Its secret was shown once and is kept as a hash only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, validators=[one_line])
    description = models.CharField(max_length=500, blank=True, default="")
    key = models.CharField(max_length=MAX_KEY_LENGTH, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    is_active = models.BooleanField(default=True)
    rate_limit = models.CharField(
        max_length=9,
        blank=True,
        default="",
        validators=[a_rate],
        help_text="Like 60/m, or off. Empty: the limit set for all keys.",
    )
    max_waiting = models.PositiveIntegerField(
        blank=True,
        default=0,
        db_default=0,
        validators=[MaxValueValidator(1_000_000)],
        help_text="How many of its jobs may wait at a time. 0: any number.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    usage_count = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="apikey_has_a_name"),
            models.CheckConstraint(
                condition=models.Q(("secret_hash__regex", r"^[0-9a-f]{64}$")),
                name="apikey_secret_is_hashed",
            ),
            models.CheckConstraint(
                condition=models.Q(("rate_limit__regex", r"^(|off|[1-9][0-9]{0,6}/[smhd])$")),
                name="apikey_rate_limit_is_a_rate",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.key[:11]}…)"
