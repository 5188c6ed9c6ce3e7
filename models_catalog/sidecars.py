"""What stands in the files that other programs, and people, keep beside a model file.

Each form is read defensively: a field of another type than expected is as good as absent.
Where several files tell the same fact, the one that stands first in FORMS wins.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from models_catalog import bounded_json
from models_catalog.base_models import BaseModel, best, of_sd_version

MAX_BYTES = 8 * 1024 * 1024
MAX_SKELETON = 1024 * 1024
MAX_TEXT = 10_000
MAX_WORDS = 200
MAX_WORD = 500
MAX_ID = 2**53 - 1

CIVITAI = "civitai_api"
"""The source of what stands there as Civitai's API has told it."""
NOT_AT_CIVITAI = "Model not found"
"""What some tools write for an id when Civitai did not know the file."""

_TAG = re.compile(r"<[^<>]{0,2000}>")
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h\d)\b[^<>]{0,200}>", re.IGNORECASE)
_EXTRA_NETWORK = re.compile(r"<[^<>]{0,200}>")


@dataclass(frozen=True)
class Facts:
    """What the sidecars tell. What none tells is None, or empty."""

    model_id: int | None = None
    version_id: int | None = None
    civitai_name: str = ""
    version_name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    trigger_words: tuple[str, ...] = ()
    downloads: int | None = None
    favorited: int | None = None
    rating: float | None = None
    sha256: str = ""
    notes: str = ""
    base_model: BaseModel | None = None
    source: str = ""
    """Which form of sidecar told most of it."""


def read(contents: Mapping[str, bytes]) -> Facts:
    """Read the sidecars of one file, by the part of their names that follows its stem."""
    told = []
    for form, reader, name in FORMS:
        if form not in contents:
            continue
        facts = reader(contents[form])
        if facts != Facts():
            told.append(replace(facts, source=name))
    return _merged(told)


def _merged(told: Sequence[Facts]) -> Facts:
    values: dict[str, Any] = {}
    for field in fields(Facts):
        empty = field.default
        known = (getattr(facts, field.name) for facts in told)
        values[field.name] = next((value for value in known if value != empty), empty)
    values["base_model"] = best(facts.base_model for facts in told)
    return Facts(**values)


# --- the forms -----------------------------------------------------------------------


def of_version(version: Mapping[str, Any]) -> Facts:
    """Read Civitai's own words on a version, in the shape of any year."""
    model, stats = _object(version.get("model")), _object(version.get("stats"))
    return Facts(
        model_id=_id(version.get("modelId")) or _id(model.get("id")),
        version_id=_id(version.get("id")),
        civitai_name=text_of(model.get("name")),
        version_name=text_of(version.get("name")),
        description=_plain(model.get("description")) or _plain(version.get("description")),
        tags=_words(model.get("tags")),
        trigger_words=_words(version.get("trainedWords")),
        **_statistics(stats),
        sha256=_sha256(_primary(version)),
        base_model=_base(version.get("baseModel"), "civitai"),
    )


def of_model(model: Mapping[str, Any], version_id: int | None = None) -> Facts:
    """Read Civitai's own words on a model. Its versions are told apart by `version_id`."""
    versions = [_object(version) for version in _list(model.get("modelVersions"))]
    those = [one for one in versions if version_id is not None and _id(one.get("id")) == version_id]
    # Without an id, one that stands alone can only be meant.
    chosen = those or (versions if len(versions) == 1 else [])
    facts = of_version(chosen[0]) if chosen else Facts()
    return replace(
        facts,
        model_id=_id(model.get("id")),
        civitai_name=text_of(model.get("name")),
        description=_plain(model.get("description")) or facts.description,
        tags=_words(model.get("tags")),
        **_statistics(_object(model.get("stats"))),
    )


def _civitai_info(content: bytes) -> Facts:
    return of_version(_json(content))


def _api_info(content: bytes) -> Facts:
    return of_model(_json(content))


def _user_metadata(content: bytes) -> Facts:
    """`<stem>.json`: the user's own words, and what several tools put beside them."""
    told = _json(content)
    model = _object(told.get("model"))
    words = _words(told.get("trainedWords")) or _activation(told.get("activation text"))
    base = (
        _base(told.get("baseModel"), "sidecar")
        or _base(model.get("baseModel"), "sidecar")
        or of_sd_version(told.get("sd version"))
        or of_sd_version(told.get("sd_version_str"))
    )
    return Facts(
        model_id=_id(told.get("modelId")) or _id(model.get("id")),
        version_id=_id(told.get("modelVersionId")),
        civitai_name=text_of(model.get("name")),
        description=_plain(told.get("description")),
        tags=_words(told.get("tags")),
        trigger_words=words,
        sha256=_hex64(told.get("sha256")),
        notes=text_of(told.get("notes")),
        base_model=base,
    )


def _civitai_json(content: bytes) -> Facts:
    """Of the first StableQueue: a form after a download, and another after a look-up."""
    told = _json(content)
    facts = _user_metadata(content)
    return replace(facts, civitai_name=facts.civitai_name or text_of(told.get("name")))


def _lora_manager(content: bytes) -> Facts:
    told = _json(content)
    version = _object(told.get("civitai"))
    facts = of_version(version)
    return replace(
        facts,
        civitai_name=facts.civitai_name or text_of(told.get("model_name")),
        description=facts.description or _plain(told.get("modelDescription")),
        tags=facts.tags or _words(told.get("tags")),
        sha256=_hex64(told.get("sha256")) or facts.sha256,
        notes=text_of(told.get("notes")),
        base_model=facts.base_model or _base(told.get("base_model"), "sidecar"),
    )


def _swarm(content: bytes) -> Facts:
    told = _json(content)
    words = told.get("trigger_phrase") or told.get("modelspec.trigger_phrase")
    return Facts(
        civitai_name=text_of(told.get("title") or told.get("modelspec.title")),
        description=_plain(told.get("description") or told.get("modelspec.description")),
        trigger_words=_activation(words),
        tags=_words(told.get("tags")),
    )


def _stability_matrix(content: bytes) -> Facts:
    told = _json(content)
    return Facts(
        model_id=_id(told.get("ModelId")),
        version_id=_id(told.get("VersionId")),
        civitai_name=text_of(told.get("ModelName")),
        version_name=text_of(told.get("VersionName")),
        description=_plain(told.get("ModelDescription")),
        tags=_words(told.get("Tags")),
        trigger_words=_words(told.get("TrainedWords")),
        sha256=_hex64(_object(told.get("Hashes")).get("SHA256")),
        base_model=_base(told.get("BaseModel"), "sidecar"),
    )


def _description(content: bytes) -> Facts:
    return Facts(description=text_of(content.decode(errors="replace")))


FORMS: tuple[tuple[str, Callable[[bytes], Facts], str], ...] = (
    (".civitai.info", _civitai_info, CIVITAI),
    (".metadata.json", _lora_manager, "lora_manager"),
    (".json", _user_metadata, "json"),
    (".api_info.json", _api_info, CIVITAI),
    (".civitai.json", _civitai_json, "civitai_json"),
    (".cm-info.json", _stability_matrix, "cm_info"),
    (".swarm.json", _swarm, "swarm"),
    (".description.txt", _description, "text"),
    (".txt", _description, "text"),
)
"""What follows the stem in a sidecar's name, how it is read, and what its source is called."""


# --- values that may be anything -----------------------------------------------------


def _json(content: bytes) -> dict[str, Any]:
    try:
        return _object(bounded_json.load(content, most=MAX_SKELETON))
    except bounded_json.JsonRefused:
        return {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _id(value: Any) -> int | None:
    """An id, as a number or as its digits."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,15}", value.strip()):
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value <= MAX_ID else None


def text_of(value: Any) -> str:
    """A text that Postgres takes, of bounded length."""
    if not isinstance(value, str):
        return ""
    return value[:MAX_TEXT].replace("\0", "").encode(errors="replace").decode().strip()


def _plain(value: Any) -> str:
    """A text without the HTML that Civitai's descriptions have."""
    text = text_of(value)
    if "<" not in text:
        return text
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", text))).strip()


def _words(value: Any) -> tuple[str, ...]:
    """A list of words. Tags have been objects with a name, too."""
    listed = (item.get("name") if isinstance(item, dict) else item for item in _list(value))
    return _bounded(text_of(item) for item in listed)


def words_of(value: Any) -> list[str]:
    """The words of a text that has commas between them."""
    return list(_activation(value))


def _activation(value: Any) -> tuple[str, ...]:
    """The words of an activation text, without the networks that it calls."""
    text = _EXTRA_NETWORK.sub("", text_of(value))
    groups = text.split("||") if "||" in text else text.split(",")
    return _bounded(groups)


def _bounded(words: Iterable[str]) -> tuple[str, ...]:
    stripped = (word.strip(" ,")[:MAX_WORD] for word in words)
    return tuple(dict.fromkeys(word for word in stripped if word))[:MAX_WORDS]


def _base(value: Any, source: Any) -> BaseModel | None:
    name = text_of(value)[:100]
    return BaseModel(name, source) if name and name != NOT_AT_CIVITAI else None


def _hex64(value: Any) -> str:
    text = text_of(value).lower()
    return text if re.fullmatch("[0-9a-f]{64}", text) else ""


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Not a number is unequal to itself.
    return value if is_number and value == value and 0 <= value <= MAX_ID else None


def _statistics(stats: Mapping[str, Any]) -> dict[str, Any]:
    """Downloads, likes and rating, under the keys of any year."""
    downloads, favorited = _number(stats.get("downloadCount")), _number(stats.get("favoriteCount"))
    liked = favorited or _number(stats.get("thumbsUpCount"))
    rating = _number(stats.get("rating")) if _number(stats.get("ratingCount")) else None
    return {
        "downloads": None if downloads is None else int(downloads),
        "favorited": None if liked is None else int(liked),
        "rating": None if rating is None else float(rating),
    }


def _primary(version: Mapping[str, Any]) -> dict[str, Any]:
    """The file that is the model; others may be a text encoder or a VAE."""
    files = [_object(file) for file in _list(version.get("files"))]
    models = ("Model", "Pruned Model", "Diffusion Model", "UNet")
    chosen = [file for file in files if file.get("primary") is True]
    chosen += [file for file in files if file.get("type") in models]
    return chosen[0] if chosen else {}


def _sha256(file: Mapping[str, Any]) -> str:
    return _hex64(_object(file.get("hashes")).get("SHA256"))
