"""Pictures that clients send along."""

import base64
import hashlib
import io
import threading
from typing import Any

import pytest
from django.db import connection
from PIL import Image

from jobs import inputs, lifecycle
from jobs.errors import InputInvalid, InputNotFound, InputsUnwritable
from jobs.models import Input
from servers.models import Server
from tests.factories import make_server
from tests.flows.stack import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _folder(folders):
    """Each test has folders of its own."""


def picture(colour="red", kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def keep(parameters):
    with inputs.kept({"generation_params": parameters}) as (body, kept):
        return body["generation_params"], kept


def job_with(parameters):
    server = Server.objects.first() or make_server()
    with inputs.kept(parameters) as (replaced, kept):
        return lifecycle.submit(
            server=server, kind="img2img", parameters=replaced, seed=1, inputs=kept
        )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_becomes_a_reference_and_can_be_read_back(kind):
    sent = picture(kind=kind)

    job = job_with({"init_images": [sent], "mask": f"data:image/png;base64,{sent}"})

    [reference] = job.parameters["init_images"]
    assert reference == job.parameters["mask"]
    assert inputs.reader_of(job)(reference["sha256"]) == sent
    assert Input.objects.count() == 1


def test_pictures_in_the_arguments_of_a_script_are_kept_too():
    job = job_with({"alwayson_scripts": {"controlnet": {"args": [{"image": picture()}]}}})

    reference = job.parameters["alwayson_scripts"]["controlnet"]["args"][0]["image"]
    assert set(reference) == {"sha256", "bytes", "url"}


def test_a_picture_sent_before_can_be_named_by_its_hash():
    first = job_with({"init_images": [picture()]})
    sha256 = first.parameters["init_images"][0]["sha256"]

    replaced, kept = keep({"init_images": [{"sha256": sha256}]})

    assert replaced["init_images"] == first.parameters["init_images"]
    assert [stored.sha256 for stored in kept] == [sha256]


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ("http://192.168.0.1/x.png", "not its address"),
        ("file:///etc/passwd", "not its address"),
        ("%%%", "not base64"),
        (base64.b64encode(b"GIF89a" + b"x" * 100).decode(), "no PNG, JPEG or WebP"),
        (base64.b64encode(b"<svg/>").decode(), "no PNG, JPEG or WebP"),
        ({"sha256": "0" * 64}, "send it again"),
        ({"sha256": "../../../../etc/passwd"}, "send it again"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_place(sent, problem):
    with pytest.raises(InputInvalid, match=problem) as refusal:
        keep({"init_images": [picture(), sent]})

    assert list(refusal.value.fields) == ["generation_params.init_images.1"]


def test_a_forged_reference_reads_no_file():
    forged: dict[str, Any] = {"sha256": "../../../../etc/passwd", "bytes": 1}
    job = job_with({"alwayson_scripts": {"controlnet": {"args": [{"model": forged}]}}})

    with pytest.raises(InputNotFound):
        inputs.reader_of(job)(forged["sha256"])


def test_more_pictures_than_allowed_are_refused():
    many = [picture(colour=(shade, 0, 0)) for shade in range(inputs.MAX_INPUTS + 1)]

    with pytest.raises(InputInvalid, match="At most"):
        keep({"init_images": many})


# --- removing ------------------------------------------------------------------------------


def sha256_in(job):
    return job.parameters["init_images"][0]["sha256"]


def is_kept(sha256):
    """Whether row and file are there; one without the other is a fault."""
    row, file = Input.objects.filter(sha256=sha256).exists(), inputs.path_of(sha256).exists()
    assert row == file
    return row


def test_an_input_goes_with_the_last_job_that_uses_it():
    first, second = (job_with({"init_images": [picture()]}) for _ in range(2))
    sha256 = sha256_in(first)

    lifecycle.delete(job_id=first.id)
    assert is_kept(sha256)

    lifecycle.delete(job_id=second.id)
    assert not is_kept(sha256)


def test_a_removal_waits_for_the_submit_that_is_about_to_use_the_input():
    first = job_with({"init_images": [picture()]})
    sha256 = sha256_in(first)
    removal = threading.Thread(target=_in_a_thread, args=(lifecycle.delete, first.id))

    with inputs.kept({"init_images": [picture()]}) as (parameters, rows):
        removal.start()
        eventually(_somebody_waits, what="the removal at the row")
        second = lifecycle.submit(
            server=first.server, kind="img2img", parameters=parameters, seed=1, inputs=rows
        )
    removal.join()

    assert is_kept(sha256)
    assert inputs.reader_of(second)(sha256) == picture()


def _in_a_thread(verb, job_id):
    verb(job_id=job_id)
    connection.close()


def _somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def test_submits_and_removals_of_the_same_input_lose_nothing():
    server = make_server()
    errors: list[Exception] = []

    def submit_and_delete(_):
        try:
            for _ in range(25):
                job = job_with({"init_images": [picture()]})
                assert inputs.reader_of(job)(sha256_in(job)) == picture()
                lifecycle.delete(job_id=job.id)
        except Exception as error:  # noqa: BLE001  # of a thread: told by the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=submit_and_delete, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert server.jobs.count() == 0
    assert Input.objects.count() == 0


def test_a_row_whose_file_was_lost_gets_it_back_with_the_next_submit():
    first = job_with({"init_images": [picture()]})
    sha256 = sha256_in(first)
    inputs.path_of(sha256).unlink()

    job_with({"init_images": [picture()]})

    assert is_kept(sha256)


def test_a_reference_to_a_lost_file_is_refused():
    sha256 = sha256_in(job_with({"init_images": [picture()]}))
    inputs.path_of(sha256).unlink()

    with pytest.raises(InputInvalid, match="send it again"):
        keep({"init_images": [{"sha256": sha256}]})


def test_a_file_without_a_row_is_not_removed_while_somebody_is_about_to_use_it():
    sha256 = hashlib.sha256(base64.b64decode(picture())).hexdigest()
    path = inputs.path_of(sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(base64.b64decode(picture()))
    removal = threading.Thread(target=_forget_file, args=(sha256,))

    with inputs.kept({"init_images": [picture()]}):
        removal.start()
        eventually(_somebody_waits, what="the removal at the row")
    removal.join()

    assert is_kept(sha256)


def _forget_file(sha256):
    inputs.forget_file(sha256)
    connection.close()


def test_a_disk_that_refuses_stores_nothing_and_says_so(settings, tmp_path):
    settings.INPUTS_DIR = tmp_path / "a file"
    settings.INPUTS_DIR.write_bytes(b"x")

    with pytest.raises(InputsUnwritable, match="nothing was stored"):
        job_with({"init_images": [picture()]})

    assert not Input.objects.exists()
