"""The pages as a browser without scripts gets them, and what their scripts ask for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from apikeys import registry
from apikeys.page_cookie import NAME
from jobs import images, lifecycle, slots
from servers import fleet
from servers.models import Health, Server
from stablequeue_project.queue_now import ROWS
from tests.factories import make_claimed, make_job, make_server

PAGES = ["/", "/create", "/gallery", "/servers", "/keys"]
MARKUP = """<script>alert(1)</script>"><img src=x onerror=alert(2)>"""

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_outputs(settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path


def html(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def complete(job, pictures: int = 1) -> list[str]:
    """Let a worker finish a job; returns the names of its pictures."""
    job, lease = make_claimed(job)
    contents = [b"a picture"] * pictures
    staged = images.stage(
        job_id=job.id, attempt=job.attempt, pictures=contents, seeds=range(pictures)
    )
    names = [picture.name for picture in staged]
    lifecycle.complete(job=job, attempt=job.attempt, pictures=staged, result={"images": names})
    slots.free(lease)
    return names


def fail(job, message: str) -> None:
    job, lease = make_claimed(job)
    lifecycle.fail(job_id=job.id, attempt=job.attempt, code="X", message=message)
    slots.free(lease)


def fill_everything(text: str) -> None:
    """Rows for every page, with `text` wherever a person may write."""
    server = make_server(text[:30].replace("/", ""), description=text)
    make_job(server, positive_prompt=text, checkpoint_name=text)
    complete(make_job(server, positive_prompt=text))
    fail(make_job(server, positive_prompt=text), text)
    registry.create(name=text, description=text)
    make_claimed(make_job(server, positive_prompt=text))


def names_in(markup: str, attribute: str) -> set[str]:
    return set(re.findall(rf'\s{attribute}="([^"]*)"', markup))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_with_nothing_stored_and_marks_the_browser(client, path):
    response = client.get(path)

    assert response.status_code == 200
    assert response.cookies[NAME]["httponly"]
    assert " · StableQueue</title>" in response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_what_people_write_is_never_markup(client, path):
    fill_everything(MARKUP)

    page = html(client, path)

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert path == "/create" or "&lt;script&gt;alert" in page


@pytest.mark.parametrize("path", PAGES)
def test_no_script_or_style_stands_in_a_page(client, path):
    fill_everything("a fox")

    response = client.get(path)
    page = response.content.decode()

    assert re.findall(r"<script(?![^>]*\ssrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page) == []
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_files_of_ours_only_and_they_exist(client, path):
    fill_everything("a fox")

    page = html(client, path)
    needed = {url.split("#")[0] for name in ("src", "href") for url in names_in(page, name)}

    assert not [url for url in needed if "//" in url]
    files = [url.removeprefix("/static/") for url in needed if url.startswith("/static/")]
    assert files
    assert all(finders.find(file) for file in files)


def test_the_first_visit_says_what_to_do_next(client):
    page = html(client, "/")

    assert "Connect a Forge server" in page
    assert 'href="/servers#add"' in page


def test_create_leads_to_the_servers_while_there_is_none(client):
    page = html(client, "/create")

    assert 'href="/servers#add"' in page
    assert "<form" not in page.split("<main")[1].split("<dialog")[0]


def test_the_queue_shows_its_jobs_without_a_script(client):
    server = make_server("Attic")
    fail(make_job(server, positive_prompt="a greenhouse"), "Attic ran out of GPU memory.")
    name = complete(make_job(server, positive_prompt="a koi pond"))[0]
    make_job(server, positive_prompt="a lighthouse")

    page = html(client, "/")

    assert page.index("Attic ran out of GPU memory.") < page.index("a lighthouse")
    assert page.index("a lighthouse") < page.index("a koi pond")
    assert f'src="/outputs/{name}?size=small"' in page


@pytest.mark.parametrize("tab", ROWS)
def test_a_tab_shows_the_jobs_of_its_name(client, tab):
    server = make_server()
    fail(make_job(server, positive_prompt="failed one"), "It broke.")
    complete(make_job(server, positive_prompt="completed one"))
    make_claimed(make_job(server, positive_prompt="generating one"))
    make_job(server, positive_prompt="waiting one")

    rows = html(client, f"/?show={tab}").split('id="list"')[1]

    shown = {word for word in ROWS if f"{word} one" in rows}
    # A running job is in its server's lane; the list of all does not repeat it.
    assert shown == ({tab} if tab != "all" else set(ROWS) - {"all", "generating"})


def test_waiting_jobs_know_their_place_in_the_line_of_their_server(client):
    attic, studio = make_server("Attic"), make_server("Studio")
    for server in (attic, studio, attic, attic):
        make_job(server)

    sections = client.get("/queue/now").json()["sections"]

    waiting = next(section for section in sections if section["name"] == "up-next")
    sentences = [row["sentence"] for row in waiting["rows"]]
    assert sentences == ["on Attic", "on Studio", "2nd in line for Attic", "3rd in line for Attic"]


def test_a_job_says_that_it_waits_for_a_server_that_is_away(client):
    server = make_server("Attic")
    fleet.mark_health(server_id=server.pk, health=Health.OFFLINE, reason="No answer.")
    make_job(server)

    page = html(client, "/")

    assert "Attic is offline; starts when it is back" in page
    assert "No answer." in page


def test_a_lane_tells_what_its_server_draws(client):
    server = make_server("Attic")
    make_job(server, positive_prompt="second")
    make_claimed(make_job(server, positive_prompt="first"))

    lane = client.get("/queue/now").json()["lanes"][0]

    assert (lane["alias"], lane["running"], lane["prompt"]) == ("Attic", True, "first")
    assert (lane["waiting_count"], lane["progress"]) == (1, None)


def test_the_queue_now_is_for_our_pages_and_local_tools(client):
    foreign = {"HTTP_ORIGIN": "http://evil.example"}

    assert client.get("/queue/now").status_code == 200
    assert client.get("/queue/now", **foreign).status_code == 403


@pytest.mark.parametrize("tab", ROWS)
def test_looking_at_a_long_queue_costs_as_many_queries_as_at_a_short_one(
    client, tab, django_assert_max_num_queries
):
    server = make_server()
    for _ in range(5):
        complete(make_job(server), pictures=2)
        fail(make_job(server), "It broke.")
        make_job(server)

    with django_assert_max_num_queries(16):
        client.get(f"/queue/now?show={tab}")


def test_a_long_prompt_is_cut_in_the_list(client):
    make_job(positive_prompt="fox " * 10_000)

    page = html(client, "/")

    assert len(page) < 40_000
    assert "fox …" in page


def test_the_gallery_shows_the_newest_picture_first_and_pages(client, monkeypatch):
    monkeypatch.setattr("stablequeue_project.pages.PICTURES_PER_PAGE", 2)
    server = make_server()
    names = [complete(make_job(server))[0] for _ in range(3)]

    first, second = html(client, "/gallery"), html(client, "/gallery?page=2")

    assert first.index(names[2]) < first.index(names[1])
    assert names[0] not in first
    assert names[0] in second


@pytest.mark.parametrize("path", ["/?show=<b>", "/gallery?page=99", "/gallery?page=x"])
def test_a_wrong_address_shows_the_nearest_page(client, path):
    make_job()

    assert html(client, path)


def test_a_retired_server_leaves_the_pages_but_its_jobs_stay(client):
    server = make_server("Closet-P40")
    make_job(server, positive_prompt="a lighthouse")
    fleet.remove_server(server_id=server.pk)

    queue, servers = html(client, "/"), html(client, "/servers")

    assert "a lighthouse" in queue
    assert "Its server was removed" in queue
    assert "Closet-P40" not in servers


def test_keys_are_listed_without_their_secret(client):
    made = registry.create(name="Phone", description="")

    page = html(client, "/keys")

    assert made.api_key.key in page
    assert made.secret not in page


def test_the_scripts_stay_small():
    found = finders.find("stablequeue/queue.js")
    assert found is not None

    sizes = [path.stat().st_size for path in Path(found).parent.glob("*.js")]

    assert sum(sizes) < 40_000
    assert max(sizes) < 12_000


def test_a_held_server_says_so_and_offers_to_resume_it(client):
    server = make_server("Attic")
    Server.objects.update(held_until="2026-11-25T03:00:00Z", held_reason="Attic failed a job.")

    (lane,) = client.get("/queue/now").json()["lanes"]
    page = html(client, "/servers")

    assert (lane["chip"]["word"], lane["stopped"], lane["troubled"]) == ("Held", True, True)
    assert "Attic failed a job." in page
    assert f'aria-label="Resume {server.alias}">' in page


def test_a_failed_job_offers_a_retry(client):
    fail(make_job(make_server()), "It failed.")

    page = html(client, "/")

    assert "data-retry-all" in page
    assert 'data-act="retry">' in page
