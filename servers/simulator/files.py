"""The pictures Forge wrote to its disk: their names, and who may see them.

They are kept in memory, and survive a restart of the simulated Forge as files would.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import PurePath, PureWindowsPath
from typing import Any

from servers.simulator.errors import RefusalError
from servers.simulator.options import Options
from servers.simulator.recipe import Recipe

KEPT_FILES = 2000
"""Older pictures are dropped, so that a long benchmark does not fill the memory."""

LINUX_TEMPORARY = "/home/user/.cache/gradio"
WINDOWS_TEMPORARY = "C:\\Users\\user\\AppData\\Local\\Temp\\gradio"
"""Where pictures go that the page shows and Forge does not keep."""

_TOKEN = re.compile(r"(.*?)(?:\[([^\[\]]+)\]|$)", re.DOTALL)
_UNSAFE = re.compile(r"[\\/:*?\"<>|\r\n\t ]+")


class Outputs:
    """Forge's output folders. Every picture below Forge's folder can be fetched by path."""

    def __init__(self, root: PurePath) -> None:
        self._root = root
        is_windows = isinstance(root, PureWindowsPath)
        self._temporary = WINDOWS_TEMPORARY if is_windows else LINUX_TEMPORARY
        self._flavour = ntpath if isinstance(root, PureWindowsPath) else posixpath
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def save(self, folder: str, recipe: Recipe, index: int, data: bytes, options: Options) -> str:
        """Write one picture under the name the options give it; its path.

        An equal name is replaced.
        """
        pattern = options["samples_filename_pattern"]
        if not pattern:
            pattern = "[seed]" if options["save_to_dirs"] else "[seed]-[prompt_spaces]"
        ending, name = options["samples_format"], file_name(pattern, recipe, index)
        folder = self._day_folder(folder, is_on=options["save_to_dirs"])
        with self._lock:
            if options["save_images_add_number"] or not name:
                number = f"{self._count(folder):05}"
                name = f"{number}-{name}" if name else number
            return self._write(folder, f"{name}.{ending}", data)

    def save_grid(self, folder: str, data: bytes, options: Options) -> str:
        """Write the sheet of all pictures of a run; its path. Grids are numbered by themselves."""
        folder = self._day_folder(folder, is_on=options["grid_save_to_dirs"])
        with self._lock:
            return self._write(folder, f"grid-{self._count(folder):04}.png", data)

    def save_temporary(self, data: bytes, ending: str) -> str:
        """Write a picture that only the page shows, outside of the output folders; its path."""
        with self._lock:
            return self._write(self._temporary, f"tmp{secrets.token_hex(4)}.{ending}", data)

    def fetch(self, path: str) -> bytes:
        """The file at an absolute path or one relative to Forge's folder.

        Raises RefusalError 403 for folders and for anything outside Forge, 404 for no file.
        """
        full = self._full(path)
        with self._lock:
            if full in self._files:
                return self._files[full]
            is_folder = any(name.startswith(full + self._flavour.sep) for name in self._files)
        inside = full.startswith(str(self._root) + self._flavour.sep)
        if is_folder or not inside:
            raise RefusalError(403, f"File not allowed: {path}.")
        raise RefusalError(404, f"File not found: {path}.")

    @property
    def paths(self) -> list[str]:
        with self._lock:
            return list(self._files)

    def clear(self) -> None:
        with self._lock:
            self._files.clear()

    def _write(self, folder: str, name: str, data: bytes) -> str:
        full = self._full(self._flavour.join(folder, name))
        self._files[full] = data
        while len(self._files) > KEPT_FILES:
            self._files.popitem(last=False)
        return full

    def _day_folder(self, folder: str, *, is_on: bool) -> str:
        return self._flavour.join(folder, time.strftime("%Y-%m-%d")) if is_on else folder

    def _count(self, folder: str) -> int:
        """How many files are in a folder."""
        inside = self._full(folder) + self._flavour.sep
        return sum(1 for known in self._files if known.startswith(inside))

    def _full(self, path: str) -> str:
        full: str = self._flavour.normpath(self._flavour.join(str(self._root), path))
        return full


def file_name(pattern: str, recipe: Recipe, index: int) -> str:
    """Fill in the words in brackets.

    `[generation_number]` counts from 1; with a single picture it vanishes together with
    the text before it.
    """
    name = ""
    for text, word in _TOKEN.findall(pattern):
        if not word:
            name += text
        elif word == "generation_number" and recipe.count == 1:
            continue
        else:
            name += f"{text}{_word(word, recipe, index)}"
    return name


def _word(word: str, recipe: Recipe, index: int) -> Any:
    words = {
        "seed": recipe.seeds[index],
        "generation_number": index + 1,
        "date": time.strftime("%Y-%m-%d"),
        "job_timestamp": recipe.job_timestamp,
        "steps": recipe.request["steps"],
        "model_name": recipe.checkpoint.stem,
        "model_hash": recipe.checkpoint.digest[:10],
        "prompt_spaces": _UNSAFE.sub(" ", recipe.request["prompt"])[:128].strip(),
    }
    return words.get(word, f"[{word}]")
