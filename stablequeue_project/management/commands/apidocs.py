"""`manage.py apidocs`: make the documentation of the API anew from the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from stablequeue_project.api.reference.files import documentation


class Command(BaseCommand):
    """Tests tell when it has to be run."""

    help = "Writes docs/openapi.json and docs/api.md from the code."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files."""
        for path, text in documentation().items():
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"{path} written")
