"""GET /health says how StableQueue is: to machines by its status, to people in sentences."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import broker_health, presence
from jobs.broker_health import BrokerState
from servers import fleet
from servers.address import Address
from servers.models import Health
from stablequeue_project import health
from stablequeue_project.bounded_look import BoundedLook
from stablequeue_project.health import Findings, ProcessFound, Report, Rows, ServerFound, Space
from tests.callers import key_headers, our_page
from tests.factories import make_server

ALL_SERVE = [
    ProcessFound(f"{role}@here:1", role, "serves") for role in ("dispatcher", "worker", "chores")
]
WELL = Findings(Rows(ALL_SERVE), BrokerState.WELL, Space(10**12, 10**13))


def report(**found):
    findings = replace(WELL, **found)
    return Report(findings, [*health.troubles_of(findings)])


def parts(a_report):
    return [trouble.part for trouble in a_report.troubles]


class TestJudgement:
    def test_when_all_is_well_it_is_ok(self):
        assert (report().status, report().troubles) == ("ok", [])

    def test_without_the_database_it_is_down(self):
        found = report(rows=None)

        assert found.status == "down"
        assert "no job can be taken" in found.troubles[0].message
        assert found.outline()["message"] == found.troubles[0].message

    @pytest.mark.parametrize("state", [None, *set(BrokerState) - {BrokerState.WELL}])
    def test_a_redis_in_trouble_degrades_it(self, state):
        found = report(broker=state)

        assert (found.status, parts(found)) == ("degraded", ["broker"])

    @pytest.mark.parametrize("role", ["dispatcher", "worker", "chores"])
    def test_a_missing_role_degrades_it(self, role):
        found = report(rows=Rows([one for one in ALL_SERVE if one.role != role]))

        assert (found.status, parts(found)) == ("degraded", [role])

    def test_a_worker_that_takes_no_messages_is_named(self):
        deaf = ProcessFound("worker@attic:2", "worker", "deaf")

        found = report(rows=Rows([*ALL_SERVE, deaf]))

        assert found.status == "degraded"
        assert "worker@attic:2" in found.troubles[0].message

    def test_a_standby_alone_does_not_lead(self):
        standby = ProcessFound("dispatcher@here:2", "dispatcher", "stands_by")

        assert parts(report(rows=Rows([*ALL_SERVE[1:], standby]))) == ["dispatcher"]

    @pytest.mark.parametrize("found", [{"space": None}, {"rows": Rows(ALL_SERVE, (), ["Full."])}])
    def test_a_disk_that_takes_nothing_degrades_it(self, found):
        assert (report(**found).status, parts(report(**found))) == ("degraded", ["disk"])

    def test_a_held_server_is_named_with_the_reason(self):
        held = ServerFound("Attic", "online", "", False, "Attic failed 3 jobs in a row.")

        [trouble] = report(rows=Rows(ALL_SERVE, [held])).troubles

        assert (trouble.part, trouble.message) == ("server", "Attic failed 3 jobs in a row.")

    def test_a_server_that_is_off_is_named_with_its_reason_and_what_helps(self):
        off = ServerFound("Attic", "offline", "No answer from http://10.0.0.7:7860.", False)

        [trouble] = report(rows=Rows(ALL_SERVE, [off])).troubles

        assert trouble.message == "Attic: No answer from http://10.0.0.7:7860."
        assert trouble.help

    def test_a_server_that_somebody_paused_is_no_trouble(self):
        paused = ServerFound("Attic", "offline", "No answer.", True)

        assert report(rows=Rows(ALL_SERVE, [paused])).status == "ok"


@pytest.fixture
def looks_anew(monkeypatch):
    """Let each request look for itself, whatever another test saw a moment ago."""
    for name, look in (("_ROWS", health._look_at_rows), ("_SPACE", health._look_at_space)):
        monkeypatch.setattr(health, name, BoundedLook(look, fresh_for=0))
    monkeypatch.setattr(health, "_BROKER", BoundedLook(broker_health.look, fresh_for=0))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("looks_anew")
class TestAnswers:
    @pytest.fixture(autouse=True)
    def running(self, settings, tmp_path):
        settings.OUTPUTS_DIR = tmp_path
        for role in ("worker", "chores", "dispatcher"):
            presence.note(name=f"{role}@here:1", role=role)

    def test_anybody_may_know_whether_it_works_and_no_more(self, local_tool):
        answer = local_tool.get("/health")

        assert answer.status_code == 200
        assert answer.json().keys() == {"status", "at"}
        assert answer.json()["status"] == "ok"

    def test_our_page_and_keys_are_told_everything(self, local_tool, new_key):
        server = make_server(address=Address("http", "10.0.0.7", 7860))
        fleet.mark_health(
            server_id=server.pk, health=Health.OFFLINE, reason="No answer.", address=server.address
        )

        for answer in (
            our_page().get("/health"),
            local_tool.get("/health", headers=key_headers(new_key)),
        ):
            told = answer.json()
            assert told["status"] == "degraded"
            assert told["troubles"][0]["message"] == "Laptop: No answer."
            assert told["dispatcher"] == {"leader": "dispatcher@here:1", "standbys": []}
            assert told["workers"] == [{"name": "worker@here:1", "consumes": True}]
            assert told["disk"]["free_bytes"] > 0
            assert told["servers"][0]["alias"] == "Laptop"

    def test_a_wrong_key_is_refused(self, local_tool):
        headers = {"X-API-Key": "mk_1", "X-API-Secret": "s"}

        assert local_tool.get("/health", headers=headers).status_code == 401

    def test_redis_being_away_is_told(self, settings):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            settings.REDIS_URL = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"

            told = our_page().get("/health").json()

        assert (told["status"], told["broker"]["state"]) == ("degraded", "away")

    def test_a_pictures_folder_that_is_gone_is_told(self, settings):
        settings.OUTPUTS_DIR = Path("/nowhere/pictures")

        told = our_page().get("/health").json()

        assert [trouble["part"] for trouble in told["troubles"]] == ["disk"]
