"""The documentation of the API says what the code does."""

from __future__ import annotations

import json

import pytest

from stablequeue_project.api.codes import CODES
from stablequeue_project.api.reference.chapters import OPERATIONS
from stablequeue_project.api.reference.examples import FOLDER
from stablequeue_project.api.reference.files import documentation
from stablequeue_project.api.reference.schema import DescribedSchema, UndescribedOperation


@pytest.fixture(scope="module")
def written():
    return documentation()


@pytest.mark.parametrize("name", ["openapi.json", "api.md"])
def test_what_is_committed_is_what_the_code_says(written, name):
    [(path, text)] = [(path, text) for path, text in written.items() if path.name == name]

    assert path.read_text() == text, "Run ./stablequeue apidocs and commit docs/."


def test_every_operation_that_is_described_exists(written):
    [document] = [json.loads(text) for path, text in written.items() if path.suffix == ".json"]

    found = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert found == set(OPERATIONS)


def test_an_operation_that_is_not_described_stops_the_making():
    schema = DescribedSchema()
    schema.method, schema.path = "GET", "/api/v1/new"

    with pytest.raises(UndescribedOperation, match="Describe GET /api/v1/new in"):
        _ = schema.described


def test_every_code_is_in_the_documentation(written):
    [page] = [text for path, text in written.items() if path.suffix == ".md"]

    assert not [name for name in CODES if f'<a id="{name.lower()}"></a>`{name}`' not in page]


def test_every_error_an_operation_names_is_a_code():
    named = {code for operation in OPERATIONS.values() for code in operation.errors}

    assert named <= CODES.keys()


def test_every_example_is_shown():
    shown = {operation.example for operation in OPERATIONS.values() if operation.example}

    assert shown == {path.stem for path in FOLDER.glob("*.json")} - {"error"}


def test_the_page_and_the_document_are_served(client, db):
    page, document = client.get("/api/docs"), client.get("/api/openapi.json")

    assert 'id="JOB_NOT_FOUND"' in page.content.decode()
    assert json.loads(document.getvalue())["openapi"] == "3.1.0"


def test_the_page_loads_only_files_of_ours(client, db):
    page = client.get("/api/docs").content.decode()

    assert "<script>" not in page
    assert page.count("http://") + page.count("https://") == 0
