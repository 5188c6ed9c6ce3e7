"""Pictures that clients send along."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from jobs import inputs, lifecycle
from jobs.errors import InputInvalid, InputNotFound
from jobs.models import Input
from servers.models import Server
from tests.factories import make_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings, tmp_path):
    settings.INPUTS_DIR = tmp_path


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
