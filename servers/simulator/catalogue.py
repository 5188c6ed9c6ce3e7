"""The model files a simulated Forge has, how it names them, and which names it understands.

Forge looks a checkpoint up by exact string in a table of aliases, so a name that is
right on Windows is unknown on Linux, and a short hash is unknown until Forge has hashed
the file, which it does at the first load.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

LINUX_ROOT = PurePosixPath("/home/user/forge")
WINDOWS_ROOT = PureWindowsPath("D:\\forge\\webui")

_LORA_IN_PROMPT = re.compile(r"<lora:([^:>]+)(?::[^>]*)?>")


@dataclass(frozen=True)
class ModelFile:
    """One file below a model folder. `path` is relative to that folder, with `/`."""

    path: str
    sha256: str = ""
    """Hex digest; made from the path when not given, so it is stable but of no real file."""
    hashed: bool = False
    """Whether Forge knows the hash from the start, as it does after an earlier load."""
    broken: bool = False
    """Whether loading it fails, as with a safetensors that is no model."""

    @property
    def digest(self) -> str:
        return self.sha256 or hashlib.sha256(self.path.encode()).hexdigest()

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem


class Catalogue:
    """What is on disk, what Forge has listed of it, and what it has hashed so far."""

    def __init__(
        self, models: Iterable[ModelFile], loras: Iterable[ModelFile], *, windows: bool
    ) -> None:
        self.root: PurePosixPath | PureWindowsPath = WINDOWS_ROOT if windows else LINUX_ROOT
        self.loras = list(loras)
        self._disk = {model.path: model for model in models}
        self._hashed = {path for path, model in self._disk.items() if model.hashed}
        self._listed: list[ModelFile] = []
        self.refresh()

    def put(self, model: ModelFile) -> None:
        """Lay a file into the model folder. It is listed only after `refresh`."""
        self._disk = {**self._disk, model.path: model}

    def remove(self, path: str) -> None:
        """Delete a file. It stays listed until `refresh`, and loading it fails."""
        self._disk = {known: model for known, model in self._disk.items() if known != path}

    def refresh(self) -> None:
        """List the folder anew: its own files first, then those of subfolders."""

        def order(model: ModelFile) -> tuple[str, str]:
            path = PurePosixPath(model.path)
            folder = "" if path.parent == PurePosixPath() else str(path.parent).lower()
            return folder, path.name.lower()

        self._listed = sorted(self._disk.values(), key=order)

    @property
    def listed(self) -> list[ModelFile]:
        return self._listed

    def loadable(self, model: ModelFile) -> bool:
        return model.path in self._disk and not model.broken

    def mark_hashed(self, model: ModelFile) -> None:
        self._hashed = self._hashed | {model.path}

    def hash_known(self, model: ModelFile) -> bool:
        return model.path in self._hashed

    def name(self, model: ModelFile) -> str:
        """Forge's name: the path below the model folder, with this system's separator."""
        return str(type(self.root)(model.path))

    def title(self, model: ModelFile) -> str:
        name = self.name(model)
        return f"{name} [{model.digest[:10]}]" if self.hash_known(model) else name

    def find(self, alias: object) -> ModelFile | None:
        """The listed file `alias` names, by exact string. Of equal aliases the last wins."""
        if not isinstance(alias, str):
            return None
        for model in reversed(self._listed):
            if alias in self._aliases(model):
                return model
        return None

    def _aliases(self, model: ModelFile) -> set[str]:
        name, legacy = self.name(model), _legacy_hash(model)
        aliases = {legacy, _model_name(name), self.title(model), name, model.stem}
        aliases.add(f"{name} [{legacy}]")
        if self.hash_known(model):
            short = model.digest[:10]
            aliases |= {short, model.digest, f"{name} [{short}]", f"{model.stem} [{short}]"}
        return aliases

    def sd_models(self) -> list[dict[str, Any]]:
        """The answer of GET /sdapi/v1/sd-models."""
        return [
            {
                "title": self.title(model),
                "model_name": _model_name(self.name(model)),
                "hash": model.digest[:10] if self.hash_known(model) else None,
                "sha256": model.digest if self.hash_known(model) else None,
                "filename": str(self.root / "models" / "Stable-diffusion" / model.path),
                "config": None,
            }
            for model in self._listed
        ]

    def lora_list(self) -> list[dict[str, Any]]:
        """The answer of GET /sdapi/v1/loras."""
        return [
            {
                "name": lora.stem,
                "alias": _lora_alias(lora),
                "path": str(self.root / "models" / "Lora" / lora.path),
                "metadata": {
                    "ss_base_model_version": "sd_v1",
                    "ss_network_dim": "4",
                    "ss_output_name": _lora_alias(lora),
                    "ss_network_alpha": "4",
                },
            }
            for lora in self.loras
        ]

    def loras_in(self, prompt: str) -> list[ModelFile]:
        """The LoRAs a prompt asks for and this server has. Unknown ones are passed over."""
        known = {lora.stem: lora for lora in self.loras}
        known |= {_lora_alias(lora): lora for lora in self.loras if _lora_alias(lora) not in known}
        wanted = _LORA_IN_PROMPT.findall(prompt)
        return [known[name] for name in dict.fromkeys(wanted) if name in known]


def _model_name(name: str) -> str:
    """`Pony/x.safetensors` as `Pony_x`: the same on both systems."""
    stem = name.rsplit(".", 1)[0]
    return stem.replace("\\", "_").replace("/", "_")


def _legacy_hash(model: ModelFile) -> str:
    """Stands for the 8-digit hash of older versions, which is over a part of the file."""
    return hashlib.sha256(b"legacy " + model.path.encode()).hexdigest()[:8]


def _lora_alias(lora: ModelFile) -> str:
    """The name the trainer gave: the stem without its version."""
    return re.sub(r"_v\d+$", "", lora.stem)
