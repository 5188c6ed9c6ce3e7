"""Servers in Django's admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from events.models import Event
from servers.address import parse_address
from servers.fleet import Logins, add_server
from servers.models import Server

pytestmark = pytest.mark.django_db

ADMIN = "/admin/servers/server/"


@pytest.fixture
def server() -> Server:
    return add_server(
        alias="Laptop",
        address=parse_address("192.168.1.100"),
        logins=Logins(username="me", password="sesame"),
    )


def form(**changes: Any) -> dict[str, Any]:
    return {
        "alias": "Laptop",
        "scheme": "http",
        "host": "192.168.1.100",
        "port": "7860",
        "description": "",
        "protocol": "auto",
        "username": "me",
        "password": "",
        "api_username": "",
        "api_password": "",
        **changes,
    }


def test_a_server_is_added_through_the_verb(admin_client: Client) -> None:
    answer = admin_client.post(f"{ADMIN}add/", form(password="sesame"))

    assert answer.status_code == 302
    assert Server.objects.get().queue_name.endswith("-laptop")
    assert Event.objects.get().kind == "server.added"


@pytest.mark.parametrize(("ticked", "keeps"), [({"keeps_copies": "on"}, True), ({}, False)])
def test_keeping_copies_is_a_tick(
    admin_client: Client, server: Server, ticked: dict[str, str], keeps: bool
) -> None:
    admin_client.post(f"{ADMIN}{server.pk}/change/", form(**ticked))

    server.refresh_from_db()
    assert server.keeps_copies is keeps


def test_a_password_is_never_shown_and_kept_when_left_empty(
    admin_client: Client, server: Server
) -> None:
    page = admin_client.get(f"{ADMIN}{server.pk}/change/")
    answer = admin_client.post(f"{ADMIN}{server.pk}/change/", form(port="7861"))

    assert b"sesame" not in page.content
    assert server.password_sealed.encode() not in page.content
    assert answer.status_code == 302
    assert Server.objects.get().port == 7861
    assert Server.objects.get().password_sealed == server.password_sealed


@pytest.mark.parametrize(
    "changes", [{"host": "169.254.169.254"}, {"alias": "null"}, {"port": "0"}, {"port": "x"}]
)
def test_a_bad_value_is_told_beside_its_field(
    admin_client: Client, changes: dict[str, str]
) -> None:
    answer = admin_client.post(f"{ADMIN}add/", form(**changes))

    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert not Server.objects.exists()


def test_a_name_that_is_taken_is_told(admin_client: Client, server: Server) -> None:
    answer = admin_client.post(f"{ADMIN}add/", form(alias="LAPTOP"))

    assert b"already a server of that name" in answer.content


def test_deleting_retires(admin_client: Client, server: Server) -> None:
    answer = admin_client.post(f"{ADMIN}{server.pk}/delete/", {"post": "yes"})

    assert answer.status_code == 302
    assert Server.objects.get().retired_at is not None
    assert admin_client.get(f"{ADMIN}{server.pk}/change/").status_code == 302


@pytest.mark.parametrize(("action", "is_paused"), [("pause", True), ("resume", False)])
def test_servers_are_paused_and_resumed_from_the_list(
    admin_client: Client, server: Server, action: str, is_paused: bool
) -> None:
    Server.objects.update(is_paused=not is_paused)

    admin_client.post(ADMIN, {"action": action, "_selected_action": [server.pk]})

    assert Server.objects.get().is_paused is is_paused
