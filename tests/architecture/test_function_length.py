"""What talks to a Forge stays readable: no function over 50 lines."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SERVERS = Path(__file__).resolve().parent.parent.parent / "servers"
MOST_LINES = 50
FILES = sorted(SERVERS.glob("forge*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_function_is_too_long_to_be_read_at_once(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))

    too_long = [
        f"{node.name}: {length} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > MOST_LINES
    ]

    assert too_long == []


def test_there_is_one_file_for_each_way_of_talking_to_a_forge() -> None:
    clients = [file.name for file in FILES if "    def generate(" in file.read_text("utf-8")]

    assert clients == ["forge.py", "forge_session.py", "forge_ways.py"]
