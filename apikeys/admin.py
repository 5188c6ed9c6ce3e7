"""Keys in Django's admin, through the same verbs as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apikeys import registry
from apikeys.models import ApiKey
from apikeys.registry import NewKey

if TYPE_CHECKING:
    # Generic for the type checker only.
    _ModelAdmin = admin.ModelAdmin[ApiKey]
else:
    _ModelAdmin = admin.ModelAdmin

_NEW_KEY = "apikeys.new_key"


@admin.register(ApiKey)
class ApiKeyAdmin(_ModelAdmin):
    """Lists, makes, changes and deletes keys. A new key's secret is on the answer page only."""

    list_display = ["name", "key", "is_active", "created_at", "last_used_at", "usage_count"]
    list_filter = ["is_active"]
    search_fields = ["name", "description", "key"]
    readonly_fields = ["key", "created_at", "last_used_at", "usage_count"]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """Ask for the words of a new key only; show all but the hash of an old one."""
        words = ["name", "description", "rate_limit", "max_waiting"]
        return words if obj is None else [*words, "is_active", *self.readonly_fields]

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make or change a key."""
        if change:
            registry.update(
                obj.id,
                name=obj.name,
                description=obj.description,
                is_active=obj.is_active,
                rate_limit=obj.rate_limit,
                max_waiting=obj.max_waiting or 0,
            )
            return
        new = registry.create(
            name=obj.name,
            description=obj.description,
            rate_limit=obj.rate_limit,
            max_waiting=obj.max_waiting or 0,
        )
        obj.id, obj.key = new.api_key.id, new.api_key.key
        request.META[_NEW_KEY] = new

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret, without a redirect: it must not be kept anywhere to survive one."""
        new: NewKey = request.META.pop(_NEW_KEY)
        return TemplateResponse(
            request,
            "admin/apikeys/apikey/created.html",
            {**self.admin_site.each_context(request), "title": "API key created", "new": new},
        )

    def delete_model(self, request: HttpRequest, obj: ApiKey) -> None:
        """Delete a key."""
        registry.delete(obj.id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Delete several keys."""
        for api_key in queryset:
            registry.delete(api_key.id)
