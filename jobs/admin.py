"""Jobs and pictures in Django admin: to look at. The queue is steered through its verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from jobs.models import Image, Job, Process, Slot

if TYPE_CHECKING:
    # Generic for the type checker only.
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class ReadOnly(_ModelAdmin):
    """A list and details, nothing to change."""

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("id", "status", "target_alias", "created_at", "attempt", "retry_count")
    list_filter = ("status", "server")
    date_hierarchy = "created_at"


@admin.register(Slot)
class SlotAdmin(ReadOnly):
    list_display = ("server", "state", "job", "attempt", "worker", "phase", "progress")


@admin.register(Image)
class ImageAdmin(ReadOnly):
    list_display = ("name", "job", "seed", "bytes", "created_at")


@admin.register(Process)
class ProcessAdmin(ReadOnly):
    list_display = ("name", "role", "seen_at")
