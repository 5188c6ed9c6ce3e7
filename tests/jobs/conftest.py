from __future__ import annotations

import pytest


@pytest.fixture
def folders(settings, tmp_path):
    """Empty folders of pictures and inputs; returns the one of the pictures."""
    settings.OUTPUTS_DIR, settings.INPUTS_DIR = tmp_path / "outputs", tmp_path / "inputs"
    settings.OUTPUTS_DIR.mkdir()
    return settings.OUTPUTS_DIR
