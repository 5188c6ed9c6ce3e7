"""The REST door to the servers. Nothing here waits for a Forge: the dispatcher has them probed."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.idempotency import idempotent
from servers.fleet import (
    add_server,
    drain_server,
    find_server,
    pause_server,
    remove_server,
    resume_server,
    update_server,
)
from servers.models import Server
from servers.serializers import ServerInput, ServerSerializer


class ServersView(APIView):
    """`/servers`: list and add."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        # A bare array: published clients iterate over it.
        return Response(ServerSerializer(Server.objects.active(), many=True).data)

    @idempotent()
    def post(self, request: Request) -> Response:
        body = ServerInput(data=request.data)
        body.is_valid(raise_exception=True)
        server = add_server(**body.verb_arguments)
        return _answer(server, f"Server '{server.alias}' added.", status.HTTP_201_CREATED)


class ServerView(APIView):
    """`/servers/<alias>`: read, change and remove. The alias is matched ignoring letter case."""

    access: ClassVar[str] = "application"

    def get(self, request: Request, alias: str) -> Response:
        return Response(ServerSerializer(find_server(alias)).data)

    def put(self, request: Request, alias: str) -> Response:
        server = find_server(alias)
        body = ServerInput(server, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        server = update_server(server_id=server.pk, **body.verb_arguments)
        return _answer(server, f"Server '{server.alias}' updated.")

    def delete(self, request: Request, alias: str) -> Response:
        server = remove_server(server_id=find_server(alias).pk)
        message = f"Server '{server.alias}' deleted successfully."
        return Response({"success": True, "message": message})


class ServerPauseView(APIView):
    """`/servers/<alias>/pause`: start no further job there."""

    access: ClassVar[str] = "application"

    def post(self, request: Request, alias: str) -> Response:
        server = pause_server(server_id=find_server(alias).pk)
        return _answer(server, f"Server '{server.alias}' paused. What runs there ends.")


class ServerDrainView(APIView):
    """`/servers/<alias>/drain`: start no further job there, and say when it is idle."""

    access: ClassVar[str] = "application"

    def post(self, request: Request, alias: str) -> Response:
        server = drain_server(server_id=find_server(alias).pk)
        return _answer(server, f"Server '{server.alias}' is drained once what runs there ended.")


class ServerResumeView(APIView):
    """`/servers/<alias>/resume`: undo a pause or drain, release a held server."""

    access: ClassVar[str] = "application"

    def post(self, request: Request, alias: str) -> Response:
        server = resume_server(server_id=find_server(alias).pk)
        return _answer(server, f"Server '{server.alias}' resumed.")


def _answer(server: Server, message: str, code: int = status.HTTP_200_OK) -> Response:
    return Response(
        {"success": True, "message": message, **ServerSerializer(server).data}, status=code
    )
