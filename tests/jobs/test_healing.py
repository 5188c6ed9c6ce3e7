"""A Forge that lost its checkpoint is healed; no job pays for it."""

import pytest

from jobs import healing
from jobs.healing import candidates
from jobs.models import Slot
from servers.forge import Checkpoint
from servers.models import Health, Server

pytestmark = pytest.mark.django_db(transaction=True)

LOST, OTHER = "rootrandom_v1.safetensors", "Pony/tinyrandom_v1.safetensors"
BROKEN = "broken_v1.safetensors"


def drawn(bench):
    """The checkpoints that have drawn since the Forge fell ill."""
    entries = bench.forge.journal.generations
    return [entry.checkpoint for entry in entries if entry.outcome == "completed"]


def draw_with(bench, checkpoint):
    """A stranger's picture, or what the stranger gets instead."""
    client = bench.server.api_client()
    body = {**healing.PAYLOAD, "override_settings": {"sd_model_checkpoint": checkpoint}}
    return client._post(client._wire.line(), "txt2img", body).status


def make_ill(bench):
    """Let a stranger's job on a broken checkpoint cost the Forge the one it had loaded."""
    bench.forge.put_model(BROKEN, broken=True)
    bench.forge.engine.catalogue.refresh()
    assert [draw_with(bench, name) for name in (LOST, BROKEN)] == [200, 500]
    bench.forge.journal.generations.clear()


@pytest.fixture
def ill(bench):
    make_ill(bench)
    return bench


def test_a_job_that_meets_an_ill_forge_waits_uncharged_while_it_is_healed(ill):
    job = ill.run(ill.job(checkpoint_name=LOST))

    assert (job.status, job.retry_count, job.errors) == ("pending", 0, [])
    assert drawn(ill) == [OTHER]
    assert ill.slot.state == Slot.State.FREE
    assert ill.run(job).status == "completed"


def test_so_does_a_job_on_the_selected_checkpoint(ill):
    ill.forge.engine.options.set({"sd_model_checkpoint": LOST})

    job = ill.run(ill.job())

    assert (job.status, job.retry_count) == ("pending", 0)
    assert ill.run(job).status == "completed"


def test_a_job_on_another_checkpoint_heals_by_itself(ill):
    assert ill.run(ill.job(checkpoint_name=OTHER)).status == "completed"
    assert drawn(ill) == [OTHER]


def test_the_healing_leaves_no_setting_and_no_file_behind(ill):
    before = ill.forge.engine.options.everything()

    ill.run(ill.job(checkpoint_name=LOST))

    after = ill.forge.engine.options.everything()
    assert {key for key in after if after[key] != before[key]} == {"sd_checkpoint_hash"}
    assert ill.forge.engine.outputs.paths == []


def test_a_forge_that_is_used_through_its_page_is_healed_too(make_bench):
    bench = make_bench()
    make_ill(bench)
    Server.objects.update(protocol="session")

    job = bench.run(bench.job(checkpoint_name=LOST))

    assert (job.status, job.retry_count) == ("pending", 0)
    assert drawn(bench) == [OTHER]
    assert bench.run(job).status == "completed"


def test_a_job_on_a_broken_checkpoint_fails_at_once_and_the_next_one_finds_a_healthy_forge(bench):
    bench.run(bench.job(checkpoint_name=OTHER))
    bench.run(bench.job(checkpoint_name=LOST))
    bench.forge.put_model(BROKEN, broken=True)
    bench.forge.engine.catalogue.refresh()

    job = bench.run(bench.job(checkpoint_name=BROKEN))

    assert (job.status, job.result["error"]) == ("failed", "FORGE_CHECKPOINT_BROKEN")
    assert f"Laptop could not load '{BROKEN}'" in job.result["message"]
    assert bench.run(bench.job(checkpoint_name=LOST)).status == "completed"
    assert drawn(bench) == [OTHER, LOST, OTHER, LOST]


def test_jobs_on_a_broken_checkpoint_do_not_hold_a_server_that_can_be_healed(bench):
    bench.forge.put_model(BROKEN, broken=True)
    bench.forge.engine.catalogue.refresh()

    for _ in range(6):
        assert bench.run(bench.job(checkpoint_name=BROKEN)).status == "failed"

    assert Server.objects.get().held_until is None
    assert bench.run(bench.job(checkpoint_name=LOST)).status == "completed"


def test_a_forge_that_nothing_heals_is_held_with_a_sentence_and_the_job_waits(make_bench):
    bench = make_bench(models=[LOST])
    make_ill(bench)

    job = bench.run(bench.job(checkpoint_name=LOST))

    server = Server.objects.get()
    assert (job.status, job.retry_count, job.errors) == ("pending", 0, [])
    assert server.held_until is not None
    assert "no other checkpoint could be loaded" in server.held_reason
    assert bench.slot.state == Slot.State.FREE


def test_a_forge_that_falls_ill_again_and_again_is_held_in_the_end(bench):
    job = bench.job(checkpoint_name=LOST)

    for _ in range(5):
        assert Server.objects.get().held_until is None
        make_ill(bench)
        job = bench.run(job)

    assert (job.status, job.retry_count) == ("pending", 0)
    assert "failed 5 jobs in a row" in Server.objects.get().held_reason


def test_a_forge_that_dies_while_it_is_healed_is_asked_by_a_recovery(ill):
    ill.forge.fault("die")

    job = ill.run(ill.job(checkpoint_name=LOST))

    assert (job.status, job.retry_count) == ("pending", 0)
    assert (ill.slot.state, ill.slot.job, ill.slot.worker) == (Slot.State.DRAINING, None, "")
    assert Server.objects.get().health == Health.OFFLINE
    ill.forge.start()
    ill.recover(job)
    assert ill.slot.state == Slot.State.FREE


def listed(*described):
    """Checkpoints from words like "name" and "name:hash"."""
    pairs = [word.partition(":")[::2] for word in described]
    return [
        Checkpoint(title=name, model_name=name, filename=name, hash=digest, sha256="")
        for name, digest in pairs
    ]


@pytest.mark.parametrize(
    ("told", "order"),
    [
        ({"drew": ["h1", "h2"]}, ["two", "three", "never", "one"]),
        ({"drew": ["h3", "h2", "h1"]}, ["two", "one", "never", "three"]),
        ({"drew": []}, ["one", "two", "three", "never"]),
        ({"drew": [], "broken": ["one"]}, ["two", "three", "never", "one"]),
        ({"drew": ["h3", "h2"], "spoilt": "two"}, ["one", "never", "three"]),
    ],
)
def test_what_has_drawn_before_is_tried_first_and_what_was_lost_last(told, order):
    have = listed("one:h1", "two:h2", "never", "three:h3")

    tried = candidates(have, **{"spoilt": "", **told})

    assert [checkpoint.name for checkpoint in tried] == order
