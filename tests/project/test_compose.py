"""docker-compose.yml: what it promises, and that its services together make a picture."""

from __future__ import annotations

import io
import re
import uuid
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings
from PIL import Image

from servers.simulator.server import ForgeSimulator
from stablequeue_project import secret_files
from stablequeue_project.stack import processes
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.processes import CHECKOUT
from tests.flows.stack import eventually
from tests.project import compose_file
from tests.project.compose_file import ENGINES, OURS
from tests.project.compose_run import ComposeRun
from tests.project.test_env_example import names_the_settings_read

SERVICES = compose_file.services({})
# Two are for developers; the last one says where .env lies, and containers have none.
NOT_HANDED_ON = {
    *("STABLEQUEUE_DEBUG", "STABLEQUEUE_TIME_SCALE", "STABLEQUEUE_ENV_FILE"),
    *("STABLEQUEUE_FAILPOINT", "STABLEQUEUE_TEST"),
}


# --- the services, running -----------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    with ComposeRun() as started:
        yield started


@pytest.fixture(scope="module")
def api(run):
    """A client of the API with a key of its own."""
    # It polls faster than a key may by default, for as long as a busy machine takes.
    asked = {"name": "compose", "rate_limit": "off"}
    made = requests.post(f"{run.url}/api/v1/api-keys", json=asked, timeout=10)
    key = made.json()["api_key"]
    with requests.Session() as session:
        session.headers.update({"X-API-Key": key["key"], "X-API-Secret": key["secret"]})
        yield session


@pytest.fixture(scope="module")
def flower(run):
    """A client of Flower with the password from the volume."""
    password = (run.volume("secrets") / secret_files.FLOWER_PASSWORD).read_text()
    with requests.Session() as session:
        session.auth = ("stablequeue", password)
        yield session


@pytest.fixture(scope="module")
def job(run, api, flower):
    """A job that has ended."""
    sees_worker(flower, run)
    with ForgeSimulator(seconds=0.3) as forge:
        alias = f"Forge-{uuid.uuid4().hex[:6]}"
        server = {"alias": alias, "host": "127.0.0.1", "port": forge.port}
        assert api.post(f"{run.url}/api/v1/servers", json=server, timeout=10).status_code == 201
        eventually(lambda: health(run, api, alias) == "online", what="the word of chores")
        wanted = {"positive_prompt": "a container ship", "steps": 20, "width": 64, "height": 64}
        body = {"target_server_alias": alias, "generation_params": wanted}
        sent = api.post(f"{run.url}/api/v1/generate", json=body, timeout=10)
        page = f"{run.url}/api/v1/queue/jobs/{sent.json()['stablequeue_job_id']}/status"

        def ended():
            answer = api.get(page, timeout=10).json()
            return answer if answer["status"] in ("completed", "failed") else None

        return eventually(ended, seconds=40, what=f"the job: {run.log('worker')}")


def health(run, api, alias):
    return api.get(f"{run.url}/api/v1/servers/{alias}", timeout=10).json()["health"]


def sees_worker(flower, run):
    """Wait until Flower knows the worker, and return what it knows."""

    def known():
        workers = flower.get(f"{run.flower_url}/api/workers?refresh=1", timeout=15).json()
        return next((info for name, info in workers.items() if name.startswith("worker@")), None)

    return eventually(known, seconds=30, what="Flower's knowledge of the worker")


def queues(flower, run):
    sees_worker(flower, run)
    return flower.get(f"{run.flower_url}/api/queues/length", timeout=15).json()["active_queues"]


def test_a_job_becomes_a_picture_in_the_folder_of_the_owner(run, api, job):
    assert job["status"] == "completed", job

    [name] = job["result_details"]["images"]
    answer = api.get(f"{run.url}/outputs/{name}", timeout=10)
    assert answer.status_code == 200, f"{answer.text}\n{run.log('web')}"
    served = answer.content
    file = run.volume("pictures") / name
    assert Image.open(io.BytesIO(served)).size == (64, 64)
    assert file.read_bytes() == served
    assert (file.stat().st_uid, file.stat().st_gid) == (run.uid, run.gid)


def test_flower_shows_the_task_of_the_job_the_queue_of_its_server_and_the_worker(run, flower, job):
    task_page = f"{run.flower_url}/api/task/info/{job['stablequeue_job_id']}:1"

    task = eventually(
        lambda: (found := flower.get(task_page, timeout=10)).status_code == 200 and found.json(),
        what="the task",
    )
    queue = eventually(
        lambda: next((q for q in queues(flower, run) if q["name"] == task["routing_key"]), None),
        what="the queue",
    )

    assert (task["name"], task["state"]) == ("jobs.run", "SUCCESS")
    assert task["worker"].startswith("worker@")
    assert re.fullmatch(r"forge\.\d+-forge-\w{6}", task["routing_key"])
    assert queue["messages"] == 0


def test_flower_tells_nobody_without_the_password(run):
    assert requests.get(f"{run.flower_url}/api/workers", timeout=10).status_code == 401


def test_flower_lets_nobody_stop_a_worker(run, flower):
    workers = flower.get(f"{run.flower_url}/api/workers?refresh=1", timeout=15).json()
    page = f"{run.flower_url}/api/worker/shutdown/{next(iter(workers))}"

    assert flower.post(page, timeout=10).status_code == 403


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_the_healthcheck_is_content_with_a_running_service(run, job, name):
    outcome = run.healthcheck(name)

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_no_password_is_said_in_a_log_in_flower_or_on_a_command_line(run, flower, job):
    sees_worker(flower, run)
    said = flower.get(f"{run.flower_url}/api/workers?refresh=1", timeout=15).text
    said += "".join(run.log(name) for name in (*OURS, "redis"))
    said += "".join(run.command_lines())

    passwords = [path.read_text() for path in run.volume("secrets").glob("*-password")]

    assert len(passwords) == 3
    assert [password for password in passwords if password in said] == []


def test_a_backup_comes_through_a_pipe_and_goes_back_into_an_empty_database(run, job, tmp_path):
    with (tmp_path / "all.tar").open("wb") as out:
        made = run.execute("web", "python", "manage.py", "backup", "-", stdout=out)
    assert made.returncode == 0, made.stderr

    [name] = job["result_details"]["images"]
    picture = run.volume("pictures") / name
    kept = picture.read_bytes()
    picture.unlink()
    with run.another_database() as database, (tmp_path / "all.tar").open("rb") as archive:
        command = ("python", "manage.py", "restore", "-", "--force")
        put_back = run.run_anew("web", *command, database=database, stdin=archive)

    assert put_back.returncode == 0, put_back.stderr
    assert picture.read_bytes() == kept
    assert picture.stat().st_uid == run.uid


# --- the files -----------------------------------------------------------------------


def test_the_commands_are_those_of_the_stack():
    table = {
        entry.name: list(entry.command[1:]) for entry in processes.table(Address("0.0.0.0", 8083))
    }
    then = {name: compose_file.command_of(SERVICES[name]) for name in OURS}
    gate = ["python", *table["migrate"]]

    assert then["web"] == [*gate, "python", *table["web"]]
    for name in ("worker", "chores", "dispatcher"):
        assert then[name] == [*gate, "--wait", "python", *table[name]]


def test_only_web_is_open_to_the_network_and_flower_to_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"web": ["0.0.0.0:8083:8083"], "flower": ["127.0.0.1:5555:5555"]}


def test_only_our_services_reach_the_engines():
    networks = compose_file.networks()

    assert networks["inside"] == {"internal": True}
    assert {tuple(SERVICES[name]["networks"]) for name in ENGINES} == {("inside",)}


@pytest.mark.parametrize("name", [*OURS, *ENGINES])
def test_every_service_is_confined_and_not_root(name):
    service = SERVICES[name]

    assert service["user"] == "1000:1000"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "docker.sock" not in str(service["volumes"])


@pytest.mark.parametrize("name", [*OURS, *ENGINES])
def test_every_service_comes_back_and_has_a_healthcheck(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert compose_file.healthcheck_of(SERVICES[name])


def test_the_image_is_no_root_either():
    assert compose_file.image().user == "1000:1000"


def test_owner_and_ports_and_folders_can_be_chosen():
    chosen = compose_file.services(
        {"PUID": "99", "PGID": "100", "STABLEQUEUE_BIND": "192.168.1.5", "STABLEQUEUE_PORT": "80"}
    )

    assert {chosen[name]["user"] for name in (*OURS, *ENGINES)} == {"99:100"}
    assert "--user=99:100" in chosen["init"]["command"]
    assert chosen["web"]["ports"] == ["192.168.1.5:80:8083"]


def test_the_engines_are_given_what_our_services_expect():
    ours, engine = SERVICES["web"]["environment"], SERVICES["postgres"]["environment"]
    database, broker = urlsplit(ours["DATABASE_URL"]), urlsplit(ours["REDIS_URL"])

    assert (database.hostname, database.port, broker.hostname) == ("postgres", 5432, "redis")
    assert database.username == engine["POSTGRES_USER"]
    assert database.path == f"/{engine['POSTGRES_DB']}"
    assert engine["POSTGRES_PASSWORD_FILE"] == f"/secrets/{secret_files.POSTGRES_PASSWORD}"
    # Below /var/lib/postgresql/data an image of version 18 or newer refuses to start.
    assert compose_file.mounts_of(SERVICES["postgres"])["/var/lib/postgresql"] == "postgres"


def test_every_setting_of_an_owner_reaches_our_services():
    for name in OURS:
        assert set(SERVICES[name]["environment"]) == names_the_settings_read() - NOT_HANDED_ON


def test_a_forge_on_the_same_machine_can_be_named():
    for name in ("web", "worker", "chores"):
        assert SERVICES[name]["extra_hosts"] == ["host.docker.internal:host-gateway"]
        assert "outside" in SERVICES[name]["networks"]


def test_a_worker_may_finish_its_pictures_before_it_is_stopped():
    seconds = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))

    [worker] = [entry for entry in processes.table(Address("", 8083)) if entry.name == "worker"]
    assert seconds == worker.stop_seconds
    assert seconds >= settings.LEAVE_WITHIN / settings.TIME_SCALE + 5


def test_no_secret_stands_in_a_file():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert urlsplit(value or "").password is None
            assert name.endswith("_FILE") or value is None or not re.search("PASS|KEY", name)


def test_the_image_holds_our_packages_and_what_they_need_alone():
    for_developers = {"tests", "bench", "chaos"}
    packages = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")} - for_developers
    # The page of the API shows what stands in docs.
    needed = {"manage.py", "docs", *packages}
    image = compose_file.image()

    assert {source for source, _ in image.copied} == needed
    assert all(target in (source, "./") for source, target in image.copied)
    assert compose_file.let_into_the_build() == needed | {"requirements.txt"}


def test_the_image_starts_no_shell():
    image = compose_file.image()

    assert {image.entrypoint[0], image.command[0], image.healthcheck[0]} == {"python"}
