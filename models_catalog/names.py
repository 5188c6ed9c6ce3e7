"""Which of a Forge server's checkpoints a client means by the name it wrote.

Clients write names in many forms: with either slash, with or without extension, hash or
folder, as the path on another machine, as a bare hash. Forge itself looks a name up
exactly and silently draws with the loaded model when it does not know it, so a name is
resolved here, against the list of the very server that will draw.

    CheckpointNameError
    ├── NameRejected           no name at all: a way out of the folder, too long
    ├── CheckpointNotFound     nothing on the server's list
    └── CheckpointAmbiguous    more than one entry of the list
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

EXTENSIONS = (".safetensors", ".ckpt", ".gguf")
"""What Forge loads as a checkpoint. Any other ending is part of the name (`sd_xl_base_1.0`)."""

HASH_MISMATCH = "hash_mismatch"
"""The warning of a match by name whose hash on the server is another than the one asked for."""

MAX_LENGTH = 1024
MAX_KEY_LENGTH = 200
_MAX_SHOWN = 120
_MAX_CANDIDATES = 5
_MAX_SUGGESTIONS = 3
_MAX_COMPARED = 2000

_HASH = r"[0-9a-fA-F]{64}|[0-9a-fA-F]{10}|[0-9a-fA-F]{8}"
_WITH_HASH = re.compile(rf"(?P<name>.*) \[(?P<hash>{_HASH})\]", re.DOTALL)
_BARE_HASH = re.compile(_HASH)
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_MODEL_FOLDER = re.compile(r".*/stable-diffusion/", re.IGNORECASE | re.DOTALL)
_ROOT = re.compile(r"(?:[a-z]:)?/*(?:models/+)?", re.IGNORECASE)

MatchedBy = Literal[
    "title",
    "name",
    "filename",
    "path",
    "path_without_extension",
    "hash",
    "basename",
    "stem",
    "model_name",
]


class Listed(Protocol):
    """One entry of a Forge server's `/sdapi/v1/sd-models`."""

    @property
    def title(self) -> str:
        """The name, followed by ` [hash]` once the server has hashed the file."""

    @property
    def model_name(self) -> str:
        """The name without extension, its slashes turned into `_`."""

    @property
    def filename(self) -> str:
        """The absolute path on the Forge machine."""

    @property
    def hash(self) -> str | None:
        """The first ten digits of the SHA-256, or None before the first load."""

    @property
    def sha256(self) -> str | None:
        """All 64 digits, or None before the first load."""


L = TypeVar("L", bound=Listed)


@dataclass(frozen=True)
class Match(Generic[L]):
    """The entry a name stands for, which reading of the name found it, and a warning or None."""

    listed: L
    matched_by: MatchedBy
    warning: str | None = None


class CheckpointNameError(ValueError):
    """A checkpoint name that leads to no single checkpoint."""

    code: str


class NameRejected(CheckpointNameError):
    """The text can't be a checkpoint's name anywhere."""

    code = "CHECKPOINT_NAME_INVALID"


class CheckpointNotFound(CheckpointNameError):
    """The server lists no such checkpoint. `suggestions` are names that look alike."""

    code = "CHECKPOINT_NOT_FOUND"

    def __init__(self, wanted: str, suggestions: Sequence[str] = ()) -> None:
        self.suggestions = tuple(suggestions)
        hint = f" Did you mean {_enumerated(self.suggestions)}?" if suggestions else ""
        super().__init__(f"The server has no checkpoint {_shown(wanted)}.{hint}")


class CheckpointAmbiguous(CheckpointNameError):
    """Several checkpoints fit equally well. `candidates` are the names of all of them."""

    code = "CHECKPOINT_AMBIGUOUS"

    def __init__(self, wanted: str, candidates: Sequence[str]) -> None:
        self.candidates = tuple(candidates)
        super().__init__(
            f"{_shown(wanted)} may be {_enumerated(self.candidates)}. "
            "Write the name with its folder."
        )


def is_no_override(name: str | None) -> bool:
    """Say whether `name` asks for no checkpoint of its own, so the loaded one draws."""
    return name is None or _unquoted(name) in {"", "None", "none"}


def name_of(listed: Listed) -> str:
    """Return the form Forge always accepts: the title without its hash.

    The path below the checkpoint folder, with the extension and the server's own slashes.
    A title can't serve as a key: it changes when the server hashes the file.
    """
    return listed.title.removesuffix(f" [{listed.hash}]") if listed.hash else listed.title


def match(wanted: str, listing: Sequence[L]) -> Match[L]:
    """Find the one entry of `listing` that `wanted` stands for.

    Readings are tried from the strictest to the loosest, each first as written and then
    ignoring case. The first that fits anything decides; if it fits several entries, the
    hash in `wanted` may still single one out. Nothing is guessed from similarity.

    Raises NameRejected, CheckpointNotFound, CheckpointAmbiguous.
    """
    wish = _Wish.read(wanted)
    for reading in _READINGS:
        found = reading.fitting(wish, listing)
        if len(found) > 1 and wish.hash:
            found = [e for e in found if _same_hash(wish.hash, _listed_hash(e))] or found
        if len(found) > 1:
            raise CheckpointAmbiguous(wish.text, [name_of(entry) for entry in found])
        if found:
            warning = HASH_MISMATCH if _contradicts(wish.hash, found[0]) else None
            return Match(found[0], reading.label(wish), warning)
    raise CheckpointNotFound(wish.text, _look_alikes(wish, listing))


def normalized(wanted: str, listing: Sequence[Listed]) -> str:
    """Return `wanted` in the server's form: the listed name, or its path with their slashes.

    Raises NameRejected.
    """
    try:
        return name_of(match(wanted, listing).listed)
    except (CheckpointNotFound, CheckpointAmbiguous):
        path = _Wish.read(wanted).below_models
        return path.replace("/", "\\") if _is_windows(listing) else path


def key_of(wanted: str | None) -> str:
    """A short form that is the same for most ways to write one name: its stem in lower case.

    Empty for no name at all, and for what can be none. Enough to tell whether two jobs are
    likely to want the same file loaded; two files of one name in two folders look the same.
    """
    if wanted is None or is_no_override(wanted):
        return ""
    try:
        wish = _Wish.read(wanted)
    except NameRejected:
        return ""
    return _without_extension(wish.basename).casefold()[-MAX_KEY_LENGTH:]


def is_answered_by(listed: Listed, model_name: str, model_hash: str) -> bool:
    """Whether a generation's own word on its model (`info.sd_model_name`, a bare stem, and
    `info.sd_model_hash`) fits the listed one. What Forge left out counts as fitting."""
    if listed.hash and model_hash:
        return _same_hash(model_hash, listed.hash)
    stem = _without_extension(_basename(_slashed(name_of(listed))))
    return not model_name or model_name == stem


# --- what was asked for --------------------------------------------------------------


@dataclass(frozen=True)
class _Wish:
    """A client's text, taken apart."""

    text: str
    """As written, without the space and the quotes around it."""
    path: str
    """Its path with forward slashes, the hash taken off."""
    below_models: str
    """That path below the checkpoint folder, whichever machine it was written on."""
    hash: str | None
    """8, 10 or 64 lower-case hex digits."""

    @classmethod
    def read(cls, wanted: str) -> _Wish:
        """Take `wanted` apart. Raises NameRejected."""
        text = _unquoted(wanted)
        if len(text) > MAX_LENGTH:
            raise NameRejected(f"A checkpoint name has at most {MAX_LENGTH} characters.")
        if any(character < " " or character == "\x7f" for character in text):
            raise NameRejected("A checkpoint name has no control characters.")
        with_hash = _WITH_HASH.fullmatch(text)
        digits = with_hash["hash"] if with_hash else text if _BARE_HASH.fullmatch(text) else None
        path = _slashed(with_hash["name"] if with_hash else text)
        if any(part.strip() == ".." for part in path.split("/")):
            raise NameRejected(f"A checkpoint name can't lead out of its folder: {_shown(text)}.")
        below = _ROOT.sub("", _MODEL_FOLDER.sub("", path, count=1), count=1)
        return cls(text, path, below, digits.lower() if digits else None)

    @property
    def basename(self) -> str:
        return _basename(self.below_models)


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def _slashed(path: str) -> str:
    """Return `path` with single forward slashes and no `.` parts."""
    path = re.sub(r"/+", "/", path.replace("\\", "/"))
    return re.sub(r"(?:^|(?<=/))(?:\./)+", "", path)


def _basename(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _without_extension(name: str) -> str:
    for extension in EXTENSIONS:
        if name.lower().endswith(extension):
            return name[: -len(extension)]
    return name


def _is_windows(listing: Sequence[Listed]) -> bool:
    return any("\\" in name_of(entry) or _DRIVE.match(entry.filename) for entry in listing)


# --- the readings, strictest first ---------------------------------------------------


def _same(wished: str, listed: str) -> bool:
    return wished == listed


def _same_in_any_case(wished: str, listed: str) -> bool:
    return wished.casefold() == listed.casefold()


def _same_file(wished: str, listed: str) -> bool:
    """Compare absolute paths; only Windows, known by its drive letters, ignores their case."""
    return wished == listed or (
        _DRIVE.match(listed) is not None and _same_in_any_case(wished, listed)
    )


def _same_hash(wished: str, listed: str) -> bool:
    """Compare the digits both have.

    Eight digits are an older kind of hash, computed otherwise, that no server lists.
    """
    length = min(len(wished), len(listed))
    return length >= 10 and wished[:length].lower() == listed[:length].lower()


@dataclass(frozen=True)
class _Reading:
    """One way to compare: the forms of the wish against the form of an entry."""

    by: MatchedBy
    wished: Callable[[_Wish], Sequence[str | None]]
    """The forms to look for, in order; none if this reading does not apply to the wish."""
    listed: Callable[[Listed], str]
    comparisons: Sequence[Callable[[str, str], bool]] = (_same, _same_in_any_case)
    """Strictest first; a later one counts only where no earlier one fits anything."""

    def fitting(self, wish: _Wish, listing: Sequence[L]) -> list[L]:
        """Return the entries this reading takes `wish` for."""
        for same in self.comparisons:
            for form in filter(None, self.wished(wish)):
                found = [entry for entry in listing if same(form, self.listed(entry))]
                if found:
                    return found
        return []

    def label(self, wish: _Wish) -> MatchedBy:
        """Return the name of this reading as shown to clients.

        A file found although its folder was not is called a match by base name.
        """
        return "basename" if self.by == "stem" and "/" in wish.below_models else self.by


def _paths(wish: _Wish) -> Sequence[str]:
    """Return the path as written, then below the checkpoint folder.

    The first keeps a server's own sub-folder called `models` reachable.
    """
    return (wish.path, wish.below_models)


def _listed_path(entry: Listed) -> str:
    return _slashed(name_of(entry))


def _listed_hash(entry: Listed) -> str:
    return entry.sha256 or entry.hash or ""


_READINGS = (
    _Reading("title", lambda wish: [wish.text], lambda entry: entry.title, [_same]),
    _Reading("name", lambda wish: [wish.text], name_of, [_same]),
    _Reading(
        "filename",
        lambda wish: [wish.path] if _ABSOLUTE.match(wish.path) else (),
        lambda entry: _slashed(entry.filename),
        [_same_file],
    ),
    _Reading("path", _paths, _listed_path),
    _Reading(
        "path_without_extension",
        lambda wish: (_slashed(wish.text), *_paths(wish)),
        lambda entry: _without_extension(_listed_path(entry)),
    ),
    _Reading("hash", lambda wish: [wish.hash], _listed_hash, [_same_hash]),
    _Reading(
        "basename", lambda wish: [wish.basename], lambda entry: _basename(_listed_path(entry))
    ),
    _Reading(
        "stem",
        lambda wish: [wish.basename],
        lambda entry: _without_extension(_basename(_listed_path(entry))),
    ),
    _Reading("model_name", lambda wish: [wish.path], lambda entry: entry.model_name),
)


def _contradicts(wished: str | None, entry: Listed) -> bool:
    """Say whether the server knows a hash of this file that is not the wished one."""
    comparable = wished is not None and len(wished) >= 10 and len(_listed_hash(entry)) >= 10
    return comparable and not _same_hash(wished or "", _listed_hash(entry))


# --- sentences -----------------------------------------------------------------------


def _look_alikes(wish: _Wish, listing: Sequence[Listed]) -> list[str]:
    """Return names that look like the wish: an offer to a person, never a choice."""
    names = {
        _without_extension(_basename(_listed_path(entry))).casefold(): name_of(entry)
        for entry in listing[:_MAX_COMPARED]
    }
    close = difflib.get_close_matches(
        _without_extension(wish.basename).casefold()[:_MAX_SHOWN], names, n=_MAX_SUGGESTIONS
    )
    return [names[stem] for stem in close]


def _shown(text: str) -> str:
    return f'"{text}"' if len(text) <= _MAX_SHOWN else f'"{text[:_MAX_SHOWN]}…"'


def _enumerated(names: Sequence[str]) -> str:
    shown = [_shown(name) for name in names[:_MAX_CANDIDATES]]
    if len(names) > _MAX_CANDIDATES:
        return f"{', '.join(shown)} or one of {len(names) - _MAX_CANDIDATES} more"
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
