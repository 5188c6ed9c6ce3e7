"""The operations on servers."""

from __future__ import annotations

from rest_framework import serializers

from servers.serializers import ServerInput, ServerSerializer
from stablequeue_project.api.reference.operation import Chapter, Operation
from stablequeue_project.api.reference.shared import IDEMPOTENCY_KEY


class ChangedServer(ServerSerializer):
    """A server, and what was done to it."""

    success = serializers.BooleanField(read_only=True)
    message = serializers.CharField(read_only=True)

    class Meta(ServerSerializer.Meta):
        fields = ["success", "message", *ServerSerializer.Meta.fields]
        read_only_fields = fields


class ServerChange(ServerInput):
    """What to change of a server. What is not given stays as it is."""

    def get_fields(self) -> dict[str, serializers.Field[object, object, object, object]]:
        """Make everything optional."""
        fields = super().get_fields()
        for shown in fields.values():
            shown.required = False
        return fields


class Removed(serializers.Serializer[object]):
    """What was done."""

    success = serializers.BooleanField()
    message = serializers.CharField()


SERVERS = Chapter(
    "Servers",
    "A server is one Forge. It is known by its alias; letter case does not matter.",
    {
        "GET /api/v1/servers": Operation(
            id="list_servers",
            summary="List the servers",
            description="A bare array, without passwords.",
            answer=ServerSerializer(many=True),
        ),
        "POST /api/v1/servers": Operation(
            id="add_server",
            summary="Add a server",
            description="Give its address as `host` and `port`, or as `apiUrl`. `username` and "
            "`password` are those of its pages (`--gradio-auth`), `api_username` and "
            "`api_password` those of its API (`--api-auth`) if they differ; `authUser` and "
            "`authPass` are older names of the former. With `keeps_copies` (the default) Forge "
            "also writes each picture to its own output folder, named after the job's attempt. "
            "If a worker dies or the connection breaks in mid-drawing, the picture is then "
            "fetched from there instead of drawn a second time. StableQueue cannot delete these "
            "copies, since Forge has no way for that: empty the folder now and then, or switch "
            "`keeps_copies` off and accept a second drawing.",
            body=ServerInput,
            status=201,
            answer=ChangedServer,
            errors=("SERVER_EXISTS", "SERVER_ALIAS_INVALID", "SERVER_ADDRESS_INVALID"),
            example="server-add",
            made={"alias": "/alias"},
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v1/servers/{alias}": Operation(
            id="read_server",
            summary="Read a server",
            answer=ServerSerializer,
            errors=("SERVER_NOT_FOUND",),
        ),
        "PUT /api/v1/servers/{alias}": Operation(
            id="change_server",
            summary="Change a server",
            description="Only what is given changes.",
            body=ServerChange,
            answer=ChangedServer,
            errors=(
                *("SERVER_NOT_FOUND", "SERVER_EXISTS"),
                *("SERVER_ALIAS_INVALID", "SERVER_ADDRESS_INVALID"),
            ),
        ),
        "DELETE /api/v1/servers/{alias}": Operation(
            id="remove_server",
            summary="Remove a server",
            description="What it draws right now ends; what waits for it waits until it is added "
            "again, or is cancelled.",
            answer=Removed,
            errors=("SERVER_NOT_FOUND",),
        ),
    },
)
