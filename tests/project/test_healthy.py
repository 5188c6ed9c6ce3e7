"""`manage.py healthy`: what a container's healthcheck asks."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.management import CommandError, call_command

from jobs import presence
from stablequeue_project.stack import ports


@pytest.fixture
def answering():
    """Serve one status to whoever asks; returns the port."""
    servers = []

    def start(status):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["worker", "chores"])
def test_a_worker_is_well_while_it_takes_messages_here(role):
    with pytest.raises(CommandError, match=f"The {role} has not said"):
        call_command("healthy", role)

    presence.note(name=f"{role}@{socket.gethostname()}:7", role=role)

    call_command("healthy", role)


@pytest.mark.django_db
def test_a_worker_elsewhere_does_not_make_this_one_well():
    presence.note(name="worker@elsewhere:7", role="worker")

    with pytest.raises(CommandError):
        call_command("healthy", "worker")


@pytest.mark.django_db
def test_a_dispatcher_that_stands_by_is_well_while_another_one_leads():
    presence.note(name="dispatcher@elsewhere:7", role="dispatcher")

    call_command("healthy", "dispatcher")


@pytest.mark.parametrize("status", [200, 503])
def test_web_is_well_when_it_answers_whatever_else_is_missing(answering, status):
    call_command("healthy", "web", port=answering(status))


def test_flower_is_not_well_when_it_fails(answering):
    with pytest.raises(CommandError, match="answers 500"):
        call_command("healthy", "flower", port=answering(500))


def test_web_is_not_well_when_nobody_listens():
    with pytest.raises(CommandError, match="does not answer on port"):
        call_command("healthy", "web", port=ports.free_port())
