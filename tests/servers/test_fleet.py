"""The life of a server, verb by verb."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from events.models import Event
from servers.address import Address, parse_address
from servers.errors import ServerAddressInvalid, ServerExists, ServerNotFound
from servers.fleet import (
    Logins,
    add_server,
    find_server,
    mark_health,
    pause_server,
    remove_server,
    resume_server,
    update_server,
)
from servers.models import Health, Server

pytestmark = pytest.mark.django_db

HERE = parse_address("192.168.1.100", 7860)
THERE = parse_address("192.168.1.101", 7861)


def laptop(**options: Any) -> Server:
    return add_server(**{"alias": "Laptop", "address": HERE, **options})


def kinds() -> list[str]:
    return list(Event.objects.filter(subject_type="server").values_list("kind", flat=True))


def test_a_new_server_is_unknown_and_has_a_queue_of_its_own() -> None:
    server = laptop(alias="Big PC")

    assert server.address == "http://192.168.1.100:7860"
    assert server.health == Health.UNKNOWN
    assert server.queue_name == f"forge.{server.pk}-big-pc"
    assert kinds() == ["server.added"]


def test_a_name_without_latin_letters_still_makes_a_queue() -> None:
    server = laptop(alias="画室")

    assert server.queue_name == f"forge.{server.pk}-server"


def test_two_servers_cannot_share_a_name_ignoring_case() -> None:
    laptop()

    with pytest.raises(ServerExists):
        laptop(alias="LAPTOP")

    assert kinds() == ["server.added"]


@pytest.mark.django_db(transaction=True)
def test_of_many_adding_one_name_at_once_exactly_one_succeeds() -> None:
    def add(number: int) -> str:
        try:
            return add_server(alias="Laptop", address=HERE).queue_name
        except ServerExists:
            return ""
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        added = [name for name in threads.map(add, range(8)) if name]

    assert added == [Server.objects.get().queue_name]


def test_a_server_is_found_by_its_name_ignoring_case() -> None:
    server = laptop(alias="Küche")

    assert find_server("KÜCHE") == server
    assert find_server(" Ku\u0308che") == server


@pytest.mark.parametrize("alias", ["Desktop", "", "a\0b", "x" * 5000])
def test_a_name_nobody_has_is_not_found(alias: str) -> None:
    with pytest.raises(ServerNotFound) as caught:
        find_server(alias)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_our_own_database_is_no_server(settings) -> None:
    settings.OWN_SERVICES = [("127.0.0.1", 5432)]

    with pytest.raises(ServerAddressInvalid):
        laptop(address=parse_address("localhost", 5432))


def test_a_rename_keeps_the_queue() -> None:
    server = laptop()

    renamed = update_server(server_id=server.pk, alias="Workstation")

    assert renamed.alias == "Workstation"
    assert renamed.queue_name == server.queue_name
    assert Event.objects.get(kind="server.updated").data["changed"] == ["alias"]


def test_a_name_cannot_be_changed_to_one_that_is_taken() -> None:
    laptop()
    desktop = laptop(alias="Desktop")

    with pytest.raises(ServerExists):
        update_server(server_id=desktop.pk, alias="laptop")


def test_a_server_that_moved_is_unknown_again() -> None:
    server = laptop()
    Server.objects.update(health=Health.ONLINE, pinned_options=["samples_format"])

    moved = update_server(server_id=server.pk, address=THERE)

    assert moved.address == "http://192.168.1.101:7861"
    assert moved.health == Health.UNKNOWN
    assert moved.pinned_options == []


def test_a_new_description_does_not_touch_the_health() -> None:
    server = laptop()
    mark_health(server_id=server.pk, health=Health.ONLINE)

    changed = update_server(server_id=server.pk, description="In the attic", address=HERE)

    assert changed.health == Health.ONLINE


def test_a_change_that_changes_nothing_is_no_event() -> None:
    server = laptop()

    update_server(server_id=server.pk, alias="Laptop", address=HERE, logins=Logins())

    assert kinds() == ["server.added"]


def test_passwords_are_sealed_and_in_no_event() -> None:
    secret = Logins(username="me", password="sesame-1", api_username="api", api_password="sesame-2")

    server = laptop(logins=secret)
    update_server(server_id=server.pk, logins=Logins(password="sesame-3"))

    row = str(Server.objects.filter(pk=server.pk).values().get())
    assert "sesame" not in row + str(list(Event.objects.values("data")))
    assert Event.objects.get(kind="server.updated").data["changed"] == ["password"]


def test_what_is_not_named_keeps_its_password() -> None:
    server = laptop(logins=Logins(username="me", password="sesame"))

    kept = update_server(server_id=server.pk, alias="Desktop", logins=Logins(username="you"))

    assert kept.username == "you"
    assert kept.password_sealed == server.password_sealed


def test_an_empty_user_name_drops_the_password() -> None:
    server = laptop(logins=Logins(username="me", password="sesame"))

    assert not update_server(server_id=server.pk, logins=Logins(username="")).password_sealed


def test_a_removed_server_is_not_found_but_keeps_its_row() -> None:
    server = laptop()

    remove_server(server_id=server.pk)

    assert not Server.objects.active().exists()
    assert Server.objects.get().queue_name == server.queue_name
    with pytest.raises(ServerNotFound):
        remove_server(server_id=server.pk)


def test_adding_a_removed_name_again_revives_its_row() -> None:
    server = laptop(description="old", logins=Logins(username="me", password="sesame"))
    pause_server(server_id=server.pk)
    remove_server(server_id=server.pk)

    again = add_server(alias="LAPTOP", address=THERE)

    assert (again.pk, again.queue_name) == (server.pk, server.queue_name)
    assert again.address == THERE.url
    assert (again.alias, again.description, again.username) == ("LAPTOP", "", "")
    assert not again.password_sealed
    assert not again.is_paused
    assert kinds()[-1] == "server.added"


def test_a_pause_is_one_event_however_often_it_is_asked_for() -> None:
    server = laptop()

    pause_server(server_id=server.pk)
    assert pause_server(server_id=server.pk).is_paused
    assert not resume_server(server_id=server.pk).is_paused

    assert kinds() == ["server.added", "server.paused", "server.resumed"]


def test_only_a_change_of_health_is_an_event() -> None:
    server = laptop()

    for reason in ("asleep", "still asleep"):
        mark_health(server_id=server.pk, health=Health.OFFLINE, reason=reason)

    server.refresh_from_db()
    assert server.health_reason == "still asleep"
    assert server.checked_at is not None
    assert kinds() == ["server.added", "server.health"]


def test_a_late_look_at_the_old_address_is_ignored() -> None:
    server = laptop()
    update_server(server_id=server.pk, address=THERE)

    mark_health(server_id=server.pk, health=Health.ONLINE, address=HERE.url)

    server.refresh_from_db()
    assert server.health == Health.UNKNOWN


def test_a_look_at_a_removed_server_is_ignored() -> None:
    server = laptop()
    remove_server(server_id=server.pk)

    mark_health(server_id=server.pk, health=Health.ONLINE)

    assert kinds() == ["server.added", "server.removed"]


def test_the_api_login_goes_before_the_pages() -> None:
    page = laptop(logins=Logins(username="page", password="p"))
    both = laptop(alias="Both", logins=Logins("page", "p", api_username="api", api_password="a"))

    assert page._api_login().pair == (b"page", b"p")  # type: ignore[union-attr]
    assert both._api_login().pair == (b"api", b"a")  # type: ignore[union-attr]
    assert laptop(alias="Open", address=Address("http", "h", 1))._api_login() is None
