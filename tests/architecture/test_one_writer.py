"""`status` of a job changes in one module only."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WRITES = {"update", "create", "bulk_create", "bulk_update", "update_or_create", "Job"}


def writers_of_status():
    for path in ROOT.glob("jobs/**/*.py"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if _writes_status(node):
                yield path.relative_to(ROOT).as_posix()


def _writes_status(node):
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        guarded = name in WRITES or name == "_change"
        return guarded and any(keyword.arg == "status" for keyword in node.keywords)
    if isinstance(node, ast.Assign):
        targets = [target for target in node.targets if isinstance(target, ast.Attribute)]
        return any(target.attr == "status" for target in targets)
    return False


def test_only_the_lifecycle_writes_the_status_of_a_job():
    assert set(writers_of_status()) == {"jobs/lifecycle.py"}
