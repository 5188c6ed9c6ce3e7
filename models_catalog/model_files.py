"""The model files of all servers, each once, whichever servers have it.

The same file is `Pony\\x.safetensors` on a Windows Forge and `Pony/x.safetensors` on a
Linux one. Here it has one path, with forward slashes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models_catalog.errors import ModelAmbiguous
from models_catalog.listings import Listing
from models_catalog.model_types import ModelType
from models_catalog.names import EXTENSIONS
from servers.forge import Checkpoint, Lora

_LORA_FOLDER = re.compile(r".*?/models/lora/|.*?/lora/", re.IGNORECASE | re.DOTALL)

E = TypeVar("E")


@dataclass(frozen=True)
class ModelFile(Generic[E]):
    """A checkpoint or LoRA file that at least one server lists."""

    type: ModelType
    path: str
    """Below the folder of its type, with forward slashes."""
    on: Mapping[str, E]
    """How each server that has it lists it, by alias, in the order of the servers."""
    hash: str = ""
    sha256: str = ""
    """10 and 64 lower-case digits of the same SHA-256; empty until a server knows them."""
    has_namesake: bool = False
    """Whether another server has a different file under the same path."""

    @property
    def id(self) -> int:
        """A number made of what names the file, small enough for JavaScript.

        It stays the same while no other server shows a different file under the same path.
        """
        told_apart = self.hash if self.has_namesake else ""
        text = f"{self.type}:{self.path}:{told_apart}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])

    @property
    def filename(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path of its folder; empty at the root."""
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        for extension in EXTENSIONS:
            if self.filename.lower().endswith(extension):
                return self.filename[: -len(extension)]
        return self.filename

    @property
    def first(self) -> E:
        """How the first of its servers lists it."""
        return next(iter(self.on.values()))


def gathered(
    listings: Iterable[Listing[E]], key: Callable[[E], str]
) -> list[tuple[str, dict[str, E]]]:
    """Put together what different servers list under the same key, in the order of the keys."""
    found: dict[str, dict[str, E]] = {}
    for listing in listings:
        for entry in listing.entries:
            found.setdefault(key(entry), {}).setdefault(listing.alias, entry)
    return sorted(found.items(), key=lambda item: (item[0].casefold(), item[0]))


def checkpoint_files(listings: Iterable[Listing[Checkpoint]]) -> list[ModelFile[Checkpoint]]:
    """Return the checkpoints. Those with one path but different hashes are different files."""
    files: list[ModelFile[Checkpoint]] = []
    for path, on in gathered(listings, lambda entry: _slashed(entry.name)):
        for digits, same in _told_apart(on):
            sha256 = next((entry.sha256.lower() for entry in same.values() if entry.sha256), "")
            namesake = len(same) < len(on)
            files.append(ModelFile("checkpoint", path, same, digits, sha256, namesake))
    return files


def lora_files(listings: Iterable[Listing[Lora]]) -> list[ModelFile[Lora]]:
    """Return the LoRAs."""
    return [ModelFile("lora", path, on) for path, on in gathered(listings, _lora_path)]


def find(wanted: str, files: Sequence[ModelFile[E]]) -> ModelFile[E] | None:
    """Return the file `wanted` stands for: its id, its path, or its bare name.

    It is compared with what is known and never becomes part of a path.
    Raises ModelAmbiguous.
    """
    path = _slashed(wanted).lstrip("/")
    readings: tuple[Callable[[ModelFile[E]], bool], ...] = (
        lambda file: str(file.id) == wanted,
        lambda file: file.path == path,
        lambda file: file.filename == path,
    )
    for fits in readings:
        found = [file for file in files if fits(file)]
        if len(found) > 1:
            raise ModelAmbiguous(wanted, [f"{file.path} (id {file.id})" for file in found])
        if found:
            return found[0]
    return None


def _told_apart(on: dict[str, Checkpoint]) -> Iterator[tuple[str, dict[str, Checkpoint]]]:
    """Split the servers of one path by the hash they know.

    A server that does not know it yet has the same file as the others, unless these differ.
    """
    hashes = sorted({entry.hash.lower() for entry in on.values()} - {""})
    if len(hashes) < 2:
        yield "".join(hashes), on
        return
    for digits in [*hashes, ""]:
        same = {alias: entry for alias, entry in on.items() if entry.hash.lower() == digits}
        if same:
            yield digits, same


def _lora_path(entry: Lora) -> str:
    """Cut the path on its machine down to what is below the LoRA folder.

    Of a file elsewhere only the base name is kept, as Forge does for checkpoints.
    """
    path = _slashed(entry.path) or entry.name
    folder = _LORA_FOLDER.match(path)
    return path[folder.end() :] if folder else path.rpartition("/")[2]


def _slashed(path: str) -> str:
    return path.replace("\\", "/")
