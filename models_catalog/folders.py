"""Which folders hold model files, and walking through them without being led astray.

No symbolic link to a folder is followed, so nothing is found twice and nothing goes round in
circles. One to a file counts if that file lies in one of our folders.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from models_catalog.model_types import ModelType

MAX_ENTRIES = 100_000
"""Taken of one folder. What lies beyond is left out, and said."""
MAX_DEPTH = 40
MAX_PATH = 1_000
"""Bytes of a path below its folder."""

EXTENSIONS = (
    *(".safetensors", ".sft", ".gguf"),
    *(".ckpt", ".pt", ".pth", ".bin"),
)
PICKLES = EXTENSIONS[3:]
"""Formats that may run code when they are loaded."""
SAFETENSORS = EXTENSIONS[:2]
_NO_MODELS = (".vae.safetensors", ".vae.ckpt", ".vae.pt")
_PASSED_OVER = {"@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found"}
"""What storage devices keep for themselves. Hidden folders and files are passed over, too."""


@dataclass(frozen=True)
class Root:
    """A folder of the settings."""

    type: ModelType
    path: Path


@dataclass(frozen=True)
class FoundFile:
    """A name in a folder, as it was when it was looked at."""

    name: str
    size: int
    modified_ns: int
    changed_ns: int


@dataclass
class Folder:
    """The model files of one folder, and whatever else lies beside them."""

    root: Root
    below: str
    """Its path below the root, with a slash at the end; empty for the root itself."""
    models: list[FoundFile] = field(default_factory=list)
    others: dict[str, FoundFile] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.root.path / self.below


LeaveOut = Callable[[str], None]
"""Is told, in a sentence, of what is passed over though it may be a model file."""


def roots() -> list[Root]:
    """The folders of the settings, in their order."""
    return [
        *(Root("checkpoint", folder) for folder in settings.CHECKPOINT_DIRS),
        *(Root("lora", folder) for folder in settings.LORA_DIRS),
    ]


def real_paths() -> list[Path]:
    """Where all these folders really are: a file must lie in one of them to be opened."""
    return [root.path.resolve() for root in roots()]


def stem_of(filename: str) -> str:
    """A model file's name without its extension."""
    extension = next((end for end in EXTENSIONS if filename.lower().endswith(end)), "")
    return filename[: len(filename) - len(extension)]


def walk(root: Root, leave_out: LeaveOut, unlisted: list[str]) -> Iterator[Folder]:
    """Go through a root folder by folder.

    What could not be listed is added to `unlisted`, as paths below the root: of what lies
    there nothing is known.
    """
    others = {other.path for other in roots()} - {root.path}
    real = real_paths()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folder = Folder(root, below)
        try:
            entries = _entries(folder.path, below, leave_out)
        except OSError as error:
            unlisted.append(below)
            leave_out(f"The folder {folder.path} cannot be read ({error.strerror}).")
            continue
        for entry in entries:
            if _is_folder(entry):
                # A root inside of this one has a type of its own.
                if folder.path / entry.name not in others:
                    waiting.append(f"{below}{entry.name}/")
            elif (found := _file(entry, folder, real, leave_out)) is not None:
                if is_model(found.name):
                    folder.models.append(found)
                else:
                    folder.others[found.name] = found
        yield folder


def is_model(filename: str) -> bool:
    """Whether a name is that of a model file."""
    lower = filename.lower()
    return lower.endswith(EXTENSIONS) and not lower.endswith(_NO_MODELS)


def _entries(path: Path, below: str, leave_out: LeaveOut) -> list[os.DirEntry[str]]:
    """What is to be looked at in one folder, in the order of the names. Raises OSError."""
    entries: list[os.DirEntry[str]] = []
    with os.scandir(path) as listed:
        for entry in listed:
            if len(entries) >= MAX_ENTRIES:
                leave_out(f"Of the folder {path} only {MAX_ENTRIES} entries are looked at.")
                break
            if entry.name.startswith(".") or entry.name.lower() in _PASSED_OVER:
                continue
            if reason := _unusable(entry.name, below):
                leave_out(f"{_shown(entry.name)} in {path} is left out: {reason}.")
                continue
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry.name)


def _unusable(name: str, below: str) -> str:
    try:
        length = len(f"{below}{name}".encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if below.count("/") >= MAX_DEPTH:
        return "it lies too deep"
    return "its path is too long" if length > MAX_PATH else ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _file(
    entry: os.DirEntry[str], folder: Folder, real: Sequence[Path], leave_out: LeaveOut
) -> FoundFile | None:
    """A regular file, as it is now. None if it is none, or gone."""
    try:
        state = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(state.st_mode):
            state = _behind_link(Path(entry.path), real)
    except OSError:
        return None
    if stat.S_ISREG(state.st_mode):
        return FoundFile(entry.name, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    where = f"{_shown(entry.name)} in {folder.path}"
    if stat.S_ISDIR(state.st_mode):
        leave_out(f"{where} is a link, and not followed: name its folder in the settings.")
    elif is_model(entry.name):
        leave_out(f"{where} is left out: it is no file, or lies in none of the folders.")
    return None


def _behind_link(path: Path, real: Sequence[Path]) -> os.stat_result:
    """What a symbolic link leads to, or the link itself if that does not lie in our folders."""
    target = path.resolve(strict=True)
    led_to = target.stat()
    is_ours = stat.S_ISDIR(led_to.st_mode) or any(target.is_relative_to(root) for root in real)
    return led_to if is_ours else path.lstat()


def _shown(name: str) -> str:
    return repr(name.encode(errors="backslashreplace").decode()[:100])
