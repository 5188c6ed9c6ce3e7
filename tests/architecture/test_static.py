"""Form, lint, types and the directions of imports are part of the suite."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
TOOLS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", "."), ("lint-imports",)],
    ids=" ".join,
)
def test_the_tool_has_no_complaint(command):
    tool, *arguments = command

    outcome = subprocess.run(
        [str(TOOLS / tool), *arguments], cwd=CHECKOUT, capture_output=True, text=True
    )

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
