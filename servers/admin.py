"""Servers in Django's admin, changed through the same verbs as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from servers.address import parse_address
from servers.aliases import clean_alias
from servers.errors import ServerInvalid
from servers.fleet import (
    Logins,
    add_server,
    pause_server,
    remove_server,
    require_usable,
    resume_server,
    update_server,
)
from servers.models import Server

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Server]
    _ModelAdmin = admin.ModelAdmin[Server]
else:
    _ModelForm = forms.ModelForm
    _ModelAdmin = admin.ModelAdmin


class ServerForm(_ModelForm):
    """Passwords can be entered but are never shown; an empty one leaves the stored one."""

    scheme = forms.ChoiceField(choices=[("http", "http"), ("https", "https")], initial="http")
    password = forms.CharField(
        max_length=256,
        required=False,
        strip=False,
        widget=forms.PasswordInput,
        help_text="Leave empty to keep the stored one. Emptying the user name removes it.",
    )
    api_password = forms.CharField(
        max_length=256,
        required=False,
        strip=False,
        widget=forms.PasswordInput,
        help_text="Only where --api-auth differs from the page's login.",
    )

    class Meta:
        model = Server
        fields = [
            *("alias", "scheme", "host", "port", "description", "keeps_copies", "protocol"),
            *("username", "api_username"),
        ]
        help_texts = {
            "keeps_copies": "Its Forge keeps a copy of each picture on its disk, so that a "
            "picture whose answer was lost is fetched instead of drawn again.",
            "protocol": "How it is talked to: its API (--api), the session of its own page, "
            "or whichever it was started with.",
        }

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        try:
            given["alias"] = clean_alias(given["alias"])
            given["address"] = parse_address(given["host"], given["port"], given["scheme"])
            require_usable(given["address"])
        except ServerInvalid as error:
            raise forms.ValidationError(
                {field: list(sentences) for field, sentences in error.fields.items()}
            ) from error
        namesakes = Server.objects.active().by_alias(given["alias"])
        if namesakes.exclude(pk=self.instance.pk).exists():
            self.add_error("alias", "There is already a server of that name.")
        return given


@admin.register(Server)
class ServerAdmin(_ModelAdmin):
    form = ServerForm
    list_display = ["alias", "address", "health", "health_reason", "is_paused", "checked_at"]
    list_filter = ["health", "is_paused"]
    search_fields = ["alias", "host", "description"]
    readonly_fields = ["queue_name", "health", "health_reason", "checked_at", "is_paused"]
    readonly_fields += ["drain", "held_reason", "held_until", "capabilities", "capabilities_at"]
    actions = ["pause", "resume"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Server]:
        return Server.objects.active()

    def save_model(self, request: HttpRequest, obj: Server, form: Any, change: bool) -> None:
        given = form.cleaned_data
        wanted = {
            "alias": given["alias"],
            "address": given["address"],
            "description": given["description"],
            "keeps_copies": given["keeps_copies"],
            "protocol": given["protocol"],
            "logins": Logins(
                username=given["username"],
                password=given["password"] or None,
                api_username=given["api_username"],
                api_password=given["api_password"] or None,
            ),
        }
        saved = update_server(server_id=obj.pk, **wanted) if change else add_server(**wanted)
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: Server) -> None:
        remove_server(server_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Server]) -> None:
        for server in queryset:
            remove_server(server_id=server.pk)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Nothing is deleted along with a server: it is retired, and its jobs stay.
        return [str(server) for server in objs], {}, set(), []

    @admin.action(description="Pause: start no further job there")
    def pause(self, request: HttpRequest, queryset: QuerySet[Server]) -> None:
        for server in queryset:
            pause_server(server_id=server.pk)

    @admin.action(description="Resume, also one that is held")
    def resume(self, request: HttpRequest, queryset: QuerySet[Server]) -> None:
        for server in queryset:
            resume_server(server_id=server.pk)
