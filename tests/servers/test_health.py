"""What a look at a server finds."""

from __future__ import annotations

from typing import Any

import pytest

from servers.address import parse_url
from servers.fleet import Logins, add_server, remove_server, update_server
from servers.forge import ForgeRejected, ForgeStalled
from servers.health import note, probe
from servers.models import Health, Server
from servers.simulator.server import ForgeSimulator
from servers.tasks import probe_server
from tests.servers.stand_in import StandIn, answer_bytes, answer_json

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(forge: StandIn) -> Server:
    return add_server(alias="Laptop", address=parse_url(forge.url))


def test_a_forge_that_answers_is_online() -> None:
    with ForgeSimulator() as simulator:
        server = add_server(alias="Laptop", address=parse_url(simulator.url))

        probe_server.run(server.pk)

    server.refresh_from_db()
    assert (server.health, server.health_reason) == (Health.ONLINE, "")


def test_a_machine_that_is_off_is_offline(forge: StandIn) -> None:
    with ForgeSimulator() as simulator:
        server = add_server(alias="Laptop", address=parse_url(simulator.url))

    verdict = probe(server)

    assert verdict.health == Health.OFFLINE
    assert server.address in verdict.reason


def test_a_refused_password_is_unauthorized(forge: StandIn, server: Server) -> None:
    forge.routes["/sdapi/v1/progress"] = answer_json({"detail": "Not authenticated"}, 401)

    assert probe(server).health == Health.UNAUTHORIZED


def test_a_forge_without_its_api_is_not_ready(forge: StandIn, server: Server) -> None:
    forge.routes.pop("/sdapi/v1/progress")

    assert probe(server).health == Health.NOT_READY


def test_something_else_at_that_address_is_not_ready(forge: StandIn, server: Server) -> None:
    forge.routes["/sdapi/v1/progress"] = answer_bytes(b"<h1>A printer</h1>")

    assert probe(server).health == Health.NOT_READY


def test_a_forge_without_its_page_is_online_with_a_warning(forge: StandIn, server: Server) -> None:
    forge.routes.pop("/internal/progress")

    verdict = probe(server)

    assert verdict.health == Health.ONLINE
    assert "--nowebui" in verdict.reason


def test_a_password_that_cannot_be_read_any_more_is_unauthorized(forge: StandIn, settings) -> None:
    server = add_server(alias="Laptop", address=parse_url(forge.url), logins=Logins("me", "sesame"))
    settings.SECRET_KEY = "another key, long enough to be one"

    verdict = probe(server)

    assert verdict.health == Health.UNAUTHORIZED
    assert forge.requests == []


def test_a_name_that_leads_to_our_own_services_is_never_asked(forge: StandIn, settings) -> None:
    server = add_server(alias="Laptop", address=parse_url(forge.url))
    settings.OWN_SERVICES = [("localhost", forge.port)]

    verdict = probe(server)

    assert verdict.health == Health.OFFLINE
    assert forge.requests == []


def test_an_error_met_in_a_job_tells_about_the_server_or_not(server: Server) -> None:
    note(server, ForgeRejected("Bad steps."))
    server.refresh_from_db()
    assert server.health == Health.UNKNOWN

    note(server, ForgeStalled("It hangs."))
    server.refresh_from_db()
    assert (server.health, server.health_reason) == (Health.NOT_READY, "It hangs.")


def test_a_probe_of_a_removed_server_is_a_no_op(forge: StandIn, server: Server) -> None:
    remove_server(server_id=server.pk)

    probe_server.run(server.pk)
    probe_server.run(0)

    assert forge.requests == []


@pytest.mark.parametrize("in_container", [True, False])
def test_inside_a_container_127_0_0_1_is_explained(settings, in_container: bool) -> None:
    settings.IN_CONTAINER = in_container
    with ForgeSimulator() as simulator:
        server = add_server(alias="Laptop", address=parse_url(simulator.url))

    verdict = probe(server)

    assert ("host.docker.internal" in verdict.reason) is in_container


# --- how a Forge was started ---------------------------------------------------------


def found_at(**flags: Any) -> tuple[Server, dict[str, Any]]:
    """Probe a simulated Forge started with these flags; its row and what was found.

    `told` is what else its owner says of the server.
    """
    told = flags.pop("told", {})
    with ForgeSimulator(**flags) as simulator:
        server = add_server(**{"alias": "Laptop", "address": parse_url(simulator.url), **told})
        probe_server.run(server.pk)
    server.refresh_from_db()
    return server, server.capabilities


def test_with_its_api_it_is_talked_to_over_that() -> None:
    server, found = found_at()

    assert (server.way, found["is_forge"], found["has_files"]) == ("api", True, True)
    assert found["checkpoints"] == 2
    assert server.capabilities_at is not None


def test_without_its_api_it_is_talked_to_over_its_page() -> None:
    server, found = found_at(api=False)

    assert (server.health, server.health_reason) == (Health.ONLINE, "")
    assert (server.way, found["checkpoints"]) == ("session", 2)


def test_a_person_may_choose_the_page_or_insist_on_the_api() -> None:
    assert found_at(told={"protocol": "session"})[0].way == "session"

    server, _ = found_at(api=False, told={"alias": "Other", "protocol": "api"})

    assert (server.health, server.way) == (Health.NOT_READY, "api")
    assert "without --api" in server.health_reason


def test_a_page_that_asks_for_a_login_is_told_apart_from_an_api_that_does() -> None:
    api, _ = found_at(api_auth="api:a")
    page, _ = found_at(api=False, gradio_auth="me:m", told={"alias": "Second"})
    only_files, found = found_at(gradio_auth="me:m", told={"alias": "Third"})

    assert api.health == page.health == Health.UNAUTHORIZED
    assert "--gradio-auth" not in api.health_reason
    assert "--gradio-auth" in page.health_reason
    assert only_files.health == Health.ONLINE
    assert "pictures of a lost answer cannot be fetched" in only_files.health_reason
    assert found["has_files"] is False


def test_a_forge_that_is_starting_is_never_taken_for_one_without_its_api() -> None:
    with ForgeSimulator(startup_seconds=0.6) as simulator:
        server = add_server(alias="Laptop", address=parse_url(simulator.url))
        seen = []
        while server.health != Health.ONLINE:
            probe_server.run(server.pk)
            server.refresh_from_db()
            seen.append((server.health, server.way))

    assert seen[0][0] == Health.NOT_READY
    assert {way for _, way in seen} == {"api"}


def test_what_was_found_at_the_old_address_is_forgotten() -> None:
    server, _ = found_at(api=False)

    update_server(server_id=server.pk, address=parse_url("http://127.0.0.1:9"))

    server.refresh_from_db()
    assert (server.way, server.capabilities) == ("api", {})
