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
            "`keeps_copies` off and accept a second drawing. `protocol` says how that Forge is "
            "talked to: `api` (it was started with `--api`), `session` (over its own page), or "
            "`auto` (the default), which finds out. Over its page it draws from words only, and "
            "scripts are left out with a warning. What was found is in `capabilities`. In its "
            "`quiet_hours` it starts no job but one that is run now; what runs is finished.",
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
        "POST /api/v1/servers/{alias}/pause": Operation(
            id="pause_server",
            summary="Pause a server",
            description="No further job starts there; what it draws right now ends. It stays "
            "paused, also over restarts, until it is resumed.",
            answer=ChangedServer,
            errors=("SERVER_NOT_FOUND",),
        ),
        "POST /api/v1/servers/{alias}/drain": Operation(
            id="drain_server",
            summary="Drain a server",
            description="A pause that tells its end: `drain` is `draining`, and `drained` once "
            "nothing of ours runs there any more.",
            answer=ChangedServer,
            errors=("SERVER_NOT_FOUND",),
        ),
        "POST /api/v1/servers/{alias}/resume": Operation(
            id="resume_server",
            summary="Resume a server",
            description="Undoes a pause or drain. A server that is held because it kept failing "
            "(`held_reason`, `held_until`) is released and tried at once.",
            answer=ChangedServer,
            errors=("SERVER_NOT_FOUND",),
        ),
    },
)
