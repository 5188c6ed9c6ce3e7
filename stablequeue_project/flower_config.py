"""How Flower serves. Its address comes from the command line.

Flower looks, and changes nothing: what runs is decided by the queue, not by its messages.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from stablequeue_project import secret_files

_password = secret_files.load(Path(settings.SECRETS_DIR) / secret_files.FLOWER_PASSWORD)

basic_auth = [f"stablequeue:{_password}"]
read_only = True
