"""`./stablequeue test`: the test suite on engines of its own, which it leaves no trace of."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stablequeue_project.stack import engines
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.word import run_in_foreground


def run(arguments: Sequence[str]) -> int:
    """Run pytest with `arguments` and return its exit code.

    What the environment says about StableQueue is set aside: the suite must not touch,
    nor depend on, an installation of the user.
    """
    for name in [*os.environ]:
        if name in ("DATABASE_URL", "REDIS_URL") or name.startswith("STABLEQUEUE_"):
            del os.environ[name]
    os.environ["STABLEQUEUE_ENV_FILE"] = os.devnull
    with tempfile.TemporaryDirectory(prefix="stablequeue-test-") as temporary:
        folder = DataFolder(Path(temporary).resolve())
        os.environ["STABLEQUEUE_DATA"] = str(folder.path / "data")
        folder.prepare()
        ours = engines.embedded(folder, durable=False)
        engines.prepare(folder, ours)
        engines.announce(ours)
        with engines.running(folder, ours):
            return run_in_foreground([sys.executable, "-m", "pytest", *arguments])
