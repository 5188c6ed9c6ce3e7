"""What the environment and the `.env` file say before Django's settings are read."""

from __future__ import annotations

import os
from pathlib import Path

from environs import Env

from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.processes import CHECKOUT


def load_env_file() -> None:
    """Add the variables of `.env` that the environment does not have, as the settings do."""
    env = Env()
    env.read_env(env.str("STABLEQUEUE_ENV_FILE", "") or str(CHECKOUT / ".env"), recurse=False)


def data_folder(option: str | None = None) -> DataFolder:
    """Return the data folder: `--data`, else STABLEQUEUE_DATA, else `data` in the checkout.

    STABLEQUEUE_DATA is set to the answer for all processes started from here. If relative,
    it is meant from the checkout; `--data` is meant from the current folder.
    """
    if option:
        path = Path(option).expanduser()
    else:
        path = CHECKOUT / Path(os.environ.get("STABLEQUEUE_DATA") or "data").expanduser()
    path = path.resolve()
    os.environ["STABLEQUEUE_DATA"] = str(path)
    return DataFolder(path)


def of_its_own(path: Path) -> DataFolder:
    """Return a data folder that has nothing to do with the user's own installation.

    What the environment or `.env` say about that one's engines, folders and secrets is
    overruled for all processes started from here.
    """
    folder = DataFolder(path.expanduser().resolve())
    os.environ |= {
        "STABLEQUEUE_DATA": str(folder.path),
        "STABLEQUEUE_OUTPUTS": str(folder.path / "outputs"),
        "STABLEQUEUE_INPUTS": str(folder.path / "inputs"),
        "STABLEQUEUE_SECRET_KEY": "",
        "DATABASE_URL": "",
        "REDIS_URL": "",
    }
    return folder


def pictures_folder(folder: DataFolder) -> Path:
    """Return where the pictures are kept."""
    return (
        CHECKOUT
        / Path(os.environ.get("STABLEQUEUE_OUTPUTS") or folder.path / "outputs").expanduser()
    )
