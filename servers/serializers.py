"""Servers on the wire. The words that only clients use (`apiUrl`, `authUser`) live here."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from zoneinfo import available_timezones

from rest_framework import serializers

from servers.address import Address, parse_address, parse_url
from servers.aliases import MAX_LENGTH, clean_alias
from servers.errors import ServerAddressInvalid
from servers.fleet import Logins
from servers.models import Protocol, Server
from servers.quiet_hours import DAYS, MAX_SPANS


class ServerSerializer(serializers.ModelSerializer[Server]):
    """What anybody may read of a server; of its secrets only whether there are any."""

    apiUrl = serializers.CharField(source="address", read_only=True)  # noqa: N815
    has_password = serializers.SerializerMethodField()
    has_api_password = serializers.SerializerMethodField()
    drain = serializers.CharField(
        read_only=True, help_text="`draining`, `drained`, or empty for a server that is neither."
    )

    class Meta:
        model = Server
        fields = [
            "id",
            "alias",
            "host",
            "port",
            "description",
            "apiUrl",
            "username",
            "has_password",
            "api_username",
            "has_api_password",
            "keeps_copies",
            "protocol",
            "capabilities",
            "capabilities_at",
            "health",
            "health_reason",
            "checked_at",
            "is_paused",
            "drain",
            "quiet_hours",
            "time_zone",
            "quiet_until",
            "held_reason",
            "held_until",
            "speed",
            "load_seconds",
            "queue_name",
        ]
        read_only_fields = fields

    def get_has_password(self, server: Server) -> bool:
        return bool(server.password_sealed)

    def get_has_api_password(self, server: Server) -> bool:
        return bool(server.api_password_sealed)


_HOURS = ("quiet_hours", "time_zone")


def _secret() -> serializers.CharField:
    return serializers.CharField(
        max_length=256, required=False, allow_blank=True, trim_whitespace=False, write_only=True
    )


def _name() -> serializers.CharField:
    return serializers.CharField(max_length=128, required=False, allow_blank=True)


class QuietSpan(serializers.Serializer[Any]):
    """Hours in which a server starts no job. They may last past midnight."""

    days = serializers.ListField(
        child=serializers.ChoiceField(DAYS),
        required=False,
        max_length=len(DAYS),
        help_text="On which they begin; without, every day.",
    )

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name in Python.
        clock = serializers.RegexField(r"^([01]\d|2[0-3]):[0-5]\d\Z", max_length=5)
        return {"from": clock, "to": deepcopy(clock), **super().get_fields()}


class ServerInput(serializers.Serializer[Server]):
    """A server as a client describes it: by host and port, or by `apiUrl`.

    After validation `verb_arguments` holds what the verbs of `servers.fleet` take. Fields that
    a change does not name keep their value; an empty user name drops its password too.
    """

    alias = serializers.CharField(max_length=MAX_LENGTH)
    host = serializers.CharField(max_length=260, required=False)
    port = serializers.IntegerField(min_value=1, max_value=65535, required=False, allow_null=True)
    apiUrl = serializers.CharField(max_length=300, required=False)  # noqa: N815
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    keeps_copies = serializers.BooleanField(required=False)
    protocol = serializers.ChoiceField(Protocol.choices, required=False)
    quiet_hours = serializers.ListField(
        child=QuietSpan(),
        max_length=MAX_SPANS,
        required=False,
        help_text="When it is to start no job, by the clock in its `time_zone`.",
    )
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="Like `Europe/Berlin`; `UTC` if never told."
    )
    username = _name()
    password = _secret()
    api_username = _name()
    api_password = _secret()
    authUser = _name()  # noqa: N815
    authPass = _secret()  # noqa: N815

    def validate_time_zone(self, name: str) -> str:
        if name not in available_timezones():
            raise serializers.ValidationError("There is no such time zone.")
        return name

    def validate_alias(self, alias: str) -> str:
        return clean_alias(alias)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        address = self._address(attrs)
        if address is None and not self.partial:
            raise ServerAddressInvalid("host", "Give the server's host and port, or its apiUrl.")
        return {**attrs, "address": address}

    @property
    def verb_arguments(self) -> dict[str, Any]:
        given = self.validated_data
        logins = Logins(
            username=given.get("username", given.get("authUser")),
            password=given.get("password", given.get("authPass")),
            api_username=given.get("api_username"),
            api_password=given.get("api_password"),
        )
        plain = ("alias", "address", "description", "keeps_copies", "protocol", *_HOURS)
        return {"logins": logins, **{name: given[name] for name in plain if name in given}}

    def _address(self, given: dict[str, Any]) -> Address | None:
        """Read the two ways to write an address; written both ways they have to agree."""
        if not given.keys() & {"host", "port", "apiUrl"}:
            return None
        known = self._known_address(given)
        if known is None:
            return parse_address(given.get("host", ""), given.get("port"))
        address = parse_address(
            given.get("host", known.host), given.get("port", known.port), known.scheme
        )
        if "apiUrl" in given and address != known:
            raise ServerAddressInvalid("apiUrl", "host, port and apiUrl name different addresses.")
        return address

    def _known_address(self, given: dict[str, Any]) -> Address | None:
        """The address that `host` and `port` alone would only amend."""
        if "apiUrl" in given:
            return parse_url(given["apiUrl"], field="apiUrl")
        return parse_url(self.instance.address) if self.instance else None
