"""`.env.example` names what the settings and docker-compose.yml take from it."""

import ast
import re

from stablequeue_project.stack.processes import CHECKOUT
from tests.project.compose_file import interpolated_names


def names_the_settings_read():
    tree = ast.parse((CHECKOUT / "stablequeue_project" / "settings.py").read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {
        text
        for text in texts
        if isinstance(text, str)
        and re.fullmatch(r"STABLEQUEUE_[A-Z_]+|DATABASE_URL|REDIS_URL", text)
    }


def test_all_that_can_be_set_is_in_the_example_and_nothing_else_is():
    example = (CHECKOUT / ".env.example").read_text()

    shown = set(re.findall(r"^# ?([A-Z_]+)=", example, re.M))

    assert shown == names_the_settings_read() | interpolated_names()


def test_the_example_copied_as_it_is_sets_nothing():
    lines = (CHECKOUT / ".env.example").read_text().splitlines()

    assert all(line.startswith("#") or not line for line in lines)
