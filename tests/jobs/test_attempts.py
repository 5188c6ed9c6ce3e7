"""What becomes of an attempt whose Forge misbehaves: R40 to R45, R54 and R57 by name."""

import pytest

from jobs import images, lifecycle
from jobs.models import Job, Slot
from jobs.slots import Lease
from servers import models
from servers.forge import Timing
from servers.models import Health, Server
from tests.flows.stack import eventually

pytestmark = pytest.mark.django_db(transaction=True)

UNUSABLE = ["not_json", "html", "no_images", "not_png", "huge_image"]
LOST = ["close_midway", "truncate"]


def codes(job):
    return [error["code"] for error in job.errors]


def files():
    return [path.name for path in images.path_of("").glob("*.png")]


@pytest.mark.parametrize("fault", UNUSABLE)
def test_r42_r43_an_unusable_answer_is_charged_and_never_completed(make_bench, fault):
    bench = make_bench(keeps_copies=False)
    bench.forge.fault(fault)

    job = bench.run(bench.job())

    assert (job.status, job.retry_count, codes(job)) == ("pending", 1, ["FORGE_BAD_REPLY"])
    assert files() == []
    assert bench.slot.state == Slot.State.FREE


@pytest.mark.parametrize("fault", UNUSABLE)
def test_an_unusable_answer_is_made_good_from_the_copy(bench, fault):
    bench.forge.fault(fault)

    job = bench.run(bench.job())

    assert (job.status, job.retry_count, codes(job)) == ("completed", 0, [])
    assert bench.outcomes == ["completed"]
    assert files() == job.result["images"]
    assert "copies" in job.result["warnings"][0]


def test_r43_fewer_pictures_than_asked_for_are_no_result(make_bench):
    bench = make_bench(keeps_copies=False)
    bench.forge.fault("fewer_images")

    job = bench.run(bench.job(num_images=2))

    assert (job.status, codes(job)) == ("pending", ["FORGE_BAD_REPLY"])


@pytest.mark.parametrize("fault", LOST)
def test_r42_a_lost_answer_is_charged_where_there_is_no_copy(make_bench, fault):
    bench = make_bench(keeps_copies=False)
    bench.forge.fault(fault)

    job = bench.run(bench.job())
    assert (job.status, bench.slot.worker) == ("processing", "")
    job = bench.recover(job)

    assert (job.status, job.retry_count) == ("pending", 1)
    assert codes(job) == ["FORGE_CONNECTION_LOST"]
    assert files() == []
    assert bench.slot.state == Slot.State.FREE


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_made_good_from_the_copy(bench, fault):
    bench.forge.fault(fault)

    job = bench.recover(bench.run(bench.job(num_images=2)))

    assert (job.status, job.retry_count, job.errors) == ("completed", 0, [])
    assert bench.outcomes == ["completed"]
    assert sorted(files()) == sorted(job.result["images"])
    assert job.result["generation_info"]["all_seeds"] == [1, 2]
    assert bench.slot.state == Slot.State.FREE


def test_what_is_told_of_a_fetched_picture_is_what_an_answer_tells(bench):
    usual = bench.run(bench.job()).result["generation_info"]
    bench.forge.fault("close_midway")

    fetched = bench.recover(bench.run(bench.job())).result["generation_info"]

    assert fetched == {key: usual[key] for key in fetched}
    assert {"prompt", "seed", "all_seeds", "infotexts", "sd_model_name"} <= fetched.keys()


def test_r40_a_forge_that_restarted_has_forgotten_the_task_and_draws_again(bench):
    bench.forge.engine.seconds = 30
    job = bench.job()
    running = bench.run_in_background(job)
    wait_until_drawing(bench)

    bench.forge.restart()
    running.join(20)
    job = bench.recover(job)

    assert (job.status, job.retry_count) == ("pending", 1)
    assert codes(job) == ["FORGE_CONNECTION_LOST"]
    bench.forge.engine.seconds = 0.2
    Job.objects.update(not_before=None)
    assert bench.run(job).status == "completed"
    assert [entry.seed for entry in bench.forge.journal.generations] == [1, 1]


def wait_until_drawing(bench):
    eventually(lambda: bench.slot.phase in ("loading_model", "generating"), what="drawing")


def test_a_picture_that_was_kept_before_forge_restarted_is_still_there(bench):
    bench.forge.fault("close_midway")
    job = bench.run(bench.job())
    wait_until_idle(bench)

    bench.forge.restart()
    job = bench.recover(job)

    assert (job.status, job.retry_count) == ("completed", 0)


def wait_until_idle(bench):
    eventually(lambda: bench.outcomes == ["completed"], what="the drawing's end")


def test_a_job_waits_uncharged_for_a_forge_that_went_away_in_the_middle(bench):
    bench.forge.fault("close_midway")
    job = bench.run(bench.job())
    wait_until_idle(bench)
    bench.forge.stop()

    job = bench.recover(job)

    assert (job.status, job.retry_count, bench.slot.worker) == ("processing", 0, "")
    assert Server.objects.get().health == Health.OFFLINE
    bench.forge.start()
    assert bench.recover(job).status == "completed"


def test_a_removed_server_is_not_waited_for(bench):
    bench.forge.fault("close_midway")
    job = bench.run(bench.job())
    bench.forge.stop()
    Server.objects.update(retired_at="2026-01-01T00:00Z")

    job = bench.recover(job)

    assert (job.status, codes(job)) == ("pending", ["FORGE_CONNECTION_LOST"])


def test_r44_an_answer_that_is_too_large_is_cut_off(make_bench, monkeypatch):
    monkeypatch.setattr(models, "_patience", lambda: Timing(reply_bytes=1000, poll_short=0.05))
    bench = make_bench(keeps_copies=False)

    job = bench.run(bench.job())

    assert (job.status, codes(job)) == ("pending", ["FORGE_BAD_REPLY"])
    assert bench.slot.state == Slot.State.FREE


def test_r44_an_answer_that_drips_is_not_waited_for_and_the_copy_is_taken(bench):
    bench.forge.fault("drip", seconds=60)

    job = bench.recover(bench.run(bench.job()))

    assert (job.status, job.retry_count) == ("completed", 0)
    assert bench.outcomes == ["completed"]


@pytest.mark.parametrize("fault", ["progress_500", "progress_hang"])
def test_r45_broken_progress_does_not_spoil_the_job(bench, fault, settings):
    # An exchange is not scaled below a second, so patience must not be either.
    settings.STALL_AFTER = 10.0
    bench.forge.engine.seconds = 1.5
    bench.forge.fault(fault, times=1000)

    job = bench.run(bench.job(steps=50))

    assert (job.status, job.retry_count) == ("completed", 0), job.errors


def test_r54_another_model_than_asked_for_fails_the_job(bench):
    bench.forge.fault("wrong_model")

    job = bench.run(bench.job(checkpoint_name="rootrandom_v1"))

    assert (job.status, job.result["error"]) == ("failed", "MODEL_MISMATCH")
    assert files() == []


def test_r54_a_fetched_picture_of_another_model_fails_the_job_too(bench):
    bench.forge.fault("wrong_model")
    bench.forge.fault("close_midway")

    job = bench.recover(bench.run(bench.job(checkpoint_name="rootrandom_v1")))

    assert (job.status, job.result["error"]) == ("failed", "MODEL_MISMATCH")
    assert files() == []


def test_r57_a_picture_that_would_crash_a_decoder_fails_the_job_in_the_end(make_bench):
    bench = make_bench(keeps_copies=False)
    bench.forge.fault("huge_image", times=10)
    job = bench.job()

    for _ in range(4):
        Job.objects.update(not_before=None)
        job = bench.run(job)

    assert (job.status, codes(job)) == ("failed", ["FORGE_BAD_REPLY"] * 4)
    assert "180000 x 180000" in job.result["message"]
    bench.forge.reset()
    assert bench.run(bench.job()).status == "completed"


def test_an_interrupted_drawing_leaves_no_copy_to_be_taken_for_whole(bench):
    bench.forge.engine.options.set({"save_incomplete_images": True})
    bench.forge.engine.seconds = 5
    bench.forge.fault("close_midway")
    job = bench.run(bench.job())

    bench.forge.engine.progress.interrupt()
    job = bench.recover(job)

    assert (job.status, codes(job)) == ("pending", ["FORGE_CONNECTION_LOST"])
    assert bench.outcomes == ["interrupted"]
    assert files() == []


def test_a_cancelled_job_is_not_fetched(bench):
    bench.forge.fault("close_midway")
    job = bench.run(bench.job())
    lifecycle.cancel(job_id=job.id)

    job = bench.recover(job)

    assert job.status == "cancelled"
    assert files() == []
    assert bench.slot.state == Slot.State.FREE


def test_a_job_that_was_never_sent_waits_uncharged_when_a_question_gets_no_answer(bench):
    bench.forge.stop()

    job = bench.run(bench.job(checkpoint_name="rootrandom_v1"))

    assert (job.status, job.retry_count, job.errors) == ("pending", 0, [])
    assert bench.slot.state == Slot.State.FREE


def test_copies_leave_forges_own_settings_as_they_were(bench):
    before = bench.forge.engine.options.everything()

    job = bench.run(bench.job(num_images=2))

    after = bench.forge.engine.options.everything()
    changed = {key for key in after if after[key] != before[key]}
    assert job.status == "completed"
    assert changed <= {"sd_checkpoint_hash"}
    assert [path.rsplit("/", 1)[1] for path in bench.forge.engine.outputs.paths] == [
        f"{job.task_id}-1.png",
        f"{job.task_id}-2.png",
    ]


def test_no_copy_is_asked_for_while_forge_cannot_promise_to_forget_the_name(bench):
    bench.forge.foreign(seconds=0.5)

    job = bench.run(bench.job())

    assert job.status == "completed"
    assert bench.forge.engine.outputs.paths == []
    assert bench.forge.engine.options["samples_filename_pattern"] == ""


def test_a_forge_that_was_replaced_by_one_without_our_settings_draws_without_copies(bench):
    bench.run(bench.job())
    options = bench.forge.engine.options
    del options._defaults["return_grid"], options._data["return_grid"]
    job = bench.job()

    assert (bench.run(job).status, job.retry_count) == ("pending", 1)
    Job.objects.update(not_before=None)
    assert bench.run(job).status == "completed"
    assert len(bench.forge.engine.outputs.paths) == 1


def test_no_copy_is_kept_where_the_owner_wants_none(make_bench):
    bench = make_bench(keeps_copies=False)

    assert bench.run(bench.job()).status == "completed"
    assert bench.forge.engine.outputs.paths == []


def test_a_worker_that_is_unsure_of_its_lease_sends_nothing(bench, settings):
    settings.FENCE_AFTER = -1

    job = bench.run(bench.job())

    assert bench.outcomes == []
    assert (job.status, bench.slot.state) == ("processing", Slot.State.SENT)


def test_what_a_worker_draws_after_it_lost_its_lease_is_not_attached(bench):
    bench.forge.engine.seconds = 1
    job = bench.job()
    running = bench.run_in_background(job)
    wait_until_drawing(bench)
    lease = Lease(bench.server.pk, bench.slot.task_id, bench.slot.attempt)

    assert lifecycle.rescue(job_id=job.id, lease=lease)
    running.join(20)

    job.refresh_from_db()
    assert (job.status, bench.slot.state, bench.slot.attempt) == ("processing", "sent", 2)
    assert bench.recover(job).status == "completed"
    assert bench.outcomes == ["completed"]
    assert len(files()) == 1


def test_a_setting_of_the_owner_is_not_lost_to_a_job_that_comes_while_somebody_draws(bench):
    options = bench.forge.engine.options
    bench.forge.foreign(seconds=0.5)

    job = bench.run(bench.job(clip_skip=2))
    assert (job.status, job.retry_count, job.errors) == ("pending", 0, [])
    eventually(lambda: bench.outcomes == ["completed"], what="the stranger's picture")
    Job.objects.update(not_before=None)

    assert bench.run(job).result["generation_info"]["clip_skip"] == 2
    assert options["CLIP_stop_at_last_layers"] == 1
