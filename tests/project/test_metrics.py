"""GET /metrics: numbers for Prometheus, from the database."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from prometheus_client.parser import text_string_to_metric_families

from jobs import lifecycle, presence, tally
from jobs.models import Job, Tally
from servers import fleet
from tests.callers import key_headers, our_page
from tests.factories import admit, make_claimed, make_job, make_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def pictures_folder(settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path


def samples():
    """{(name, *label values in the order of the labels' names): value}."""
    answer = our_page().get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_jobs_that_have_not_ended_are_counted_by_server_and_status():
    make_claimed()
    make_job()
    Job.objects.pending().update(created_at=Now() - timedelta(seconds=100))

    found = samples()

    assert found["stablequeue_jobs", "Laptop", "pending"] == 1
    assert found["stablequeue_jobs", "Laptop", "processing"] == 1
    assert 90 <= found["stablequeue_oldest_waiting_seconds", "Laptop"] < 120


def test_what_has_ended_is_counted_by_outcome():
    job, _ = make_claimed()
    lifecycle.complete(job=job, attempt=1, pictures=[], result={"images": []})
    lifecycle.cancel(job_id=make_job().id)
    tally.advance()

    found = samples()

    assert found["stablequeue_jobs_ended_total", "Laptop", "completed"] == 1
    assert found["stablequeue_jobs_ended_total", "Laptop", "cancelled"] == 1
    assert found["stablequeue_attempts_total", "", "completed", "Laptop"] == 1
    assert found["stablequeue_events_uncounted",] == 0


def test_durations_are_a_histogram_per_server():
    server = make_server()
    for label, count, seconds in (("5", 3, 9.5), ("20", 1, 15), ("+Inf", 1, 4000)):
        Tally.objects.create(
            measure="duration", server_id=server.pk, label=label, count=count, seconds=seconds
        )

    found = samples()

    name = "stablequeue_job_duration_seconds"
    bounds = ["2.5", "5.0", "10.0", "20.0", "3600.0", "+Inf"]
    assert [found[f"{name}_bucket", bound, "Laptop"] for bound in bounds] == [0, 3, 3, 4, 4, 5]
    assert found[f"{name}_count", "Laptop"] == 5
    assert found[f"{name}_sum", "Laptop"] == 4024.5


def test_retries_and_busy_seconds_are_summed():
    server = make_server()
    for label, count, seconds in (("retry OOM", 2, 20), ("retry X", 1, 5), ("completed", 7, 70)):
        Tally.objects.create(
            measure="attempt", server_id=server.pk, label=label, count=count, seconds=seconds
        )

    found = samples()

    assert found["stablequeue_retries_total", "Laptop"] == 3
    assert found["stablequeue_busy_seconds_total", "Laptop"] == 95
    assert found["stablequeue_attempts_total", "OOM", "retry", "Laptop"] == 2


def test_servers_that_were_removed_keep_their_counts_under_their_alias():
    server = make_server()
    Tally.objects.create(measure="ended", server_id=server.pk, label="failed", count=2, seconds=0)
    Tally.objects.create(measure="ended", server_id=0, label="failed", count=1, seconds=0)
    fleet.remove_server(server_id=server.pk)

    found = samples()

    assert found["stablequeue_jobs_ended_total", "Laptop", "failed"] == 2
    assert found["stablequeue_jobs_ended_total", "", "failed"] == 1
    assert ("stablequeue_server_paused", "Laptop") not in found


def test_slots_servers_and_processes_are_shown():
    admit(make_job())
    presence.note(name="worker@here:1", role="worker")

    found = samples()

    assert found["stablequeue_slot", "Laptop", "admitted"] == 1
    assert found["stablequeue_slot", "Laptop", "free"] == 0
    assert found["stablequeue_server_health", "unknown", "Laptop"] == 1
    assert found["stablequeue_server_held", "Laptop"] == 0
    assert found["stablequeue_processes", "worker", "serves"] == 1
    assert found["stablequeue_broker_up",] == 1
    assert found["stablequeue_pictures_free_bytes",] > 0


def test_local_tools_and_keys_get_them_and_other_pages_do_not(local_tool, new_key):
    assert local_tool.get("/metrics").status_code == 200
    browser = {"Sec-Fetch-Site": "none"}
    assert local_tool.get("/metrics", headers=browser).status_code == 403
    assert local_tool.get("/metrics", headers=browser | key_headers(new_key)).status_code == 200


def test_the_format_is_the_one_that_is_asked_for(local_tool):
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}

    answer = local_tool.get("/metrics", headers=asked)

    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_it_asks_the_database_the_same_however_many_servers_there_are(
    django_assert_max_num_queries,
):
    for name in ("A", "B", "C", "D"):
        make_job(make_server(name))

    with django_assert_max_num_queries(8):
        samples()
