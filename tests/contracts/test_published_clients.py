"""The three published extensions, as they speak on the wire and judge what they hear.

Each class below sends what its extension sends and takes for success what that takes for it.
They can't be changed any more, so we fit them, not they us.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import requests

from apikeys import registry
from jobs import presence
from jobs.models import Job, Process
from tests.factories import make_server

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Account:
    """What somebody typed into the settings of an extension."""

    url: str
    key: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        # Sent even if nothing was typed in: then they are empty.
        return {
            "Content-Type": "application/json",
            "X-API-Key": self.key,
            "X-API-Secret": self.secret,
        }

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=self.headers, timeout=10)

    def get(self, path: str) -> requests.Response:
        headers = {"X-API-Key": self.key, "X-API-Secret": self.secret}
        return requests.get(self.url + path, headers=headers, timeout=5)


class ForgeExtension:
    """A tab in Forge that sends what its page shows, once or with seeds that count up."""

    PAGE = {
        "positive_prompt": "a cat",
        "negative_prompt": "ugly",
        "width": 512,
        "height": 768,
        "steps": 20,
        "cfg_scale": 7.0,
        "sampler_name": "Euler a",
        "seed": -1,
        "batch_size": 1,
        "n_iter": 1,
        "restore_faces": False,
        "checkpoint_name": "Pony\\cyberrealisticPony_v8.safetensors",
        "enable_hr": False,
        "hr_scale": 2.0,
        "hr_upscaler": "Latent",
        "denoising_strength": 0.7,
    }

    def __init__(self, account: Account) -> None:
        self.account = account

    def fetch_servers(self) -> list[str] | None:
        answer = self.account.get("/api/v1/servers")
        if answer.status_code != 200:
            return None
        return [server["alias"] for server in answer.json() if "alias" in server]

    def queue(self, alias: str, **shown: Any) -> str | None:
        answer = self.account.post(
            "/api/v2/generate",
            {
                "app_type": "forge",
                "target_server_alias": alias,
                "generation_params": {**self.PAGE, **shown},
                "source_info": "forge_extension_v1.0.0",
            },
        )
        return answer.json().get("mobilesd_job_id") if answer.status_code == 202 else None

    def queue_many(self, alias: str, count: int, seed: int) -> list[str | None]:
        return [self.queue(alias, seed=seed + index) for index in range(count)]


class ForgeExtensionCheck:
    """The script that comes with it, to try a connection."""

    SUCCESS = (200, 201, 202)

    def __init__(self, account: Account) -> None:
        self.account = account

    def reaches_the_server(self) -> bool:
        return requests.get(f"{self.account.url}/status", timeout=5).status_code == 200

    def key_is_good(self) -> bool | None:
        answer = self.account.get("/api/v1/servers")
        return {200: True, 401: False}.get(answer.status_code)

    def submit(self) -> tuple[str | None, int]:
        job = {
            "app_type": "forge",
            "target_server_alias": self.account.get("/api/v1/servers").json()[0]["alias"],
            "generation_params": {
                "positive_prompt": "test prompt from extension",
                "negative_prompt": "bad quality",
                "width": 512,
                "height": 512,
                "steps": 5,
                "cfg_scale": 7,
                "sampler_name": "Euler",
                "seed": -1,
            },
            "source_info": "stablequeue_forge_extension_test",
        }
        one = self.account.post("/api/v2/generate", job)
        assert one.status_code in self.SUCCESS
        many = {**job, "bulk_quantity": 3, "seed_variation": "random", "job_delay": 1}
        all_of_them = self.account.post("/api/v2/generate/bulk", many)
        assert all_of_them.status_code in self.SUCCESS
        told = one.json()
        job_id = told.get("stablequeue_job_id") or told.get("mobilesd_job_id")
        return job_id, all_of_them.json().get("total_jobs", 0)


class CivitaiBrowserPlus:
    """A button below a picture found on Civitai: sends the infotext it was drawn by."""

    INFOTEXT = (
        "a lighthouse,\nstormy sea, <lora:waves:0.8>\n"
        "Negative prompt: people, text\n"
        "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 1806652750, "
        "Size: 832x1216, Model hash: 9f90c59f3a, Model: cyberrealisticPony_v8, Clip skip: 2"
    )

    def __init__(self, account: Account) -> None:
        self.account = account

    def send(self, alias: str, infotext: str = INFOTEXT) -> str | None:
        answer = self.account.post(
            "/api/v2/generate",
            {
                "app_type": "forge",
                "target_server_alias": alias,
                "source_info": "civitai_browser_plus",
                "generation_info_raw": infotext,
            },
        )
        return answer.json().get("job_id", "Unknown") if answer.status_code == 200 else None


class CivitaiRandomizer:
    """Sends prompts at random; joins the lines of an infotext by commas."""

    INFOTEXT = (
        "a lighthouse, stormy sea, Negative prompt: people, text, Steps: 20, Sampler: Euler a, "
        "CFG scale: 7, Contract: 1, Size: 512x768, Model: cyberrealisticPony_v8, "
        "Model hash: 9f90c59f3a, hashes: {'model': '9f90c59f3a'}, "
        "resources: [{'name': 'waves', 'type': 'lora', 'weight': 0.8}], civitaiResources: []"
    )

    def __init__(self, account: Account) -> None:
        self.account = account

    def send(self, alias: str) -> tuple[str, int] | None:
        answer = self.account.post(
            "/api/v2/generate",
            {
                "app_type": "forge",
                "target_server_alias": alias,
                "source_info": "civitai_randomizer",
                "generation_info_raw": self.INFOTEXT,
            },
        )
        if answer.status_code not in (200, 202):
            return None
        told = answer.json()
        return told.get("mobilesd_job_id") or told["job_id"], told["queue_position"]


@pytest.fixture
def alias():
    return make_server("Laptop").alias


@pytest.fixture
def account(live_server):
    made = registry.create(name="extension")
    return Account(live_server.url, made.api_key.key, made.secret)


def job_of(job_id):
    return Job.objects.get(id=job_id)


# --- the Forge extension -------------------------------------------------------------


def test_the_forge_extension_fills_its_list_of_servers(account, alias):
    make_server("Attic")

    assert ForgeExtension(account).fetch_servers() == ["Attic", "Laptop"]


def test_the_forge_extension_queues_what_its_page_shows(account, alias):
    job_id = ForgeExtension(account).queue(alias)

    job = job_of(job_id)
    assert job.parameters == ForgeExtension.PAGE
    assert job.source_info == "forge_extension_v1.0.0"
    assert job.seed >= 0


def test_the_forge_extension_may_name_no_checkpoint(account, alias):
    assert ForgeExtension(account).queue(alias, checkpoint_name="")


def test_the_forge_extension_queues_ten_in_a_row(account, alias):
    queued = ForgeExtension(account).queue_many(alias, 10, seed=500)

    assert [job_of(job_id).seed for job_id in queued] == [*range(500, 510)]


def test_the_forge_extension_without_a_key_in_its_settings_is_told_so(account, alias):
    nobody = Account(account.url, "", "")

    assert ForgeExtension(nobody).fetch_servers() is None
    assert ForgeExtensionCheck(nobody).key_is_good() is False
    assert ForgeExtension(nobody).queue(alias) is None
    assert Job.objects.count() == 0


def test_the_check_of_the_forge_extension_finds_everything_well(account, alias):
    for role in Process.Role.values:
        presence.note(name=f"{role}@here:1", role=role)
    check = ForgeExtensionCheck(account)

    assert check.reaches_the_server()
    assert check.key_is_good() is True
    job_id, total = check.submit()
    assert (job_of(job_id).source_info, total) == ("stablequeue_forge_extension_test", 3)


def test_the_check_of_the_forge_extension_sees_a_wrong_key(account):
    wrong = Account(account.url, account.key, "no such secret")

    assert ForgeExtensionCheck(wrong).key_is_good() is False


# --- the two that send infotexts -----------------------------------------------------


def test_civitai_browser_plus_learns_the_id_of_its_job(account, alias):
    job_id = CivitaiBrowserPlus(account).send(alias)

    asked = job_of(job_id).parameters
    assert asked["positive_prompt"] == "a lighthouse,\nstormy sea, <lora:waves:0.8>"
    assert asked["negative_prompt"] == "people, text"
    assert (asked["width"], asked["height"], asked["steps"]) == (832, 1216, 28)
    assert (asked["sampler_name"], asked["scheduler"]) == ("DPM++ 2M", "Karras")
    assert job_of(job_id).seed == 1806652750
    assert asked["raw_generation_info"] == CivitaiBrowserPlus.INFOTEXT


def test_civitai_browser_plus_is_refused_where_there_is_nothing_to_draw(account, alias):
    assert CivitaiBrowserPlus(account).send(alias, "   ") is None
    assert CivitaiBrowserPlus(account).send("Attic") is None
    assert Job.objects.count() == 0


def test_the_randomizer_learns_the_id_of_its_job_and_its_place(account, alias):
    randomizer = CivitaiRandomizer(account)
    randomizer.send(alias)

    told = randomizer.send(alias)

    assert told is not None
    asked = job_of(told[0]).parameters
    assert told[1] == 2
    assert asked["positive_prompt"] == "a lighthouse, stormy sea"
    assert asked["negative_prompt"] == "people, text"
    assert (asked["width"], asked["height"], asked["cfg_scale"]) == (512, 768, 7)
