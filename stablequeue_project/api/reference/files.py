"""The files of the documentation: where they are, and what has to be in them."""

from __future__ import annotations

import json
from pathlib import Path

from stablequeue_project.api.reference.document import openapi_document
from stablequeue_project.api.reference.markdown import as_markdown

DOCS = Path(__file__).resolve().parents[3] / "docs"
OPENAPI = DOCS / "openapi.json"
PAGE = DOCS / "api.md"


def documentation() -> dict[Path, str]:
    """Write every file anew from the code; returns its text by its path."""
    document = openapi_document()
    introduction = (Path(__file__).parent / "introduction.md").read_text(encoding="utf-8")
    return {
        OPENAPI: json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        PAGE: as_markdown(document, introduction),
    }
