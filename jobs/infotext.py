"""The A1111 infotext: what WebUIs write into a picture to tell how it was drawn. Pure.

    a prompt of one or more lines
    Negative prompt: one or more lines
    Steps: 20, Sampler: Euler a, Seed: 5, Size: 512x512, Hires prompt: "sea, sky"

WebUIs, sites and extensions all write it a little differently, so this reads more forms than
it writes: all on one line, settings broken over lines, JSON and Python literals as values.
The work grows with the length of the text and no faster, whatever the text holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_LENGTH = 262_144
"""In characters. The longest honest ones are workflows pasted as a setting, some 100,000."""

NEGATIVE = "Negative prompt:"

_COMMAS = ",\uff0c"
"""The full-width one separates too, where a key follows it."""

_MIN_PAIRS = 3
"""Fewer pairs are prompt to every reader of infotexts: `a cat, score: 9, time: 12:30`."""

_ANCHORS = {
    "Steps": re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?"),
    "Sampler": re.compile(r".+", re.DOTALL),
    "CFG scale": re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,20})?"),
    "Seed": re.compile(r"-?[0-9]{1,30}"),
    "Size": re.compile(r"[0-9]{1,9}x[0-9]{1,9}"),
    "Model hash": re.compile(r"[0-9a-fA-F]{8,64}"),
    "Denoising strength": re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,20})?"),
    "Clip skip": re.compile(r"[0-9]{1,3}"),
}
"""Settings that, with such a value, no prompt holds by chance. One of them must be there."""

_BEGINNERS = (
    *_ANCHORS,
    "Schedule type",
    "CFG Scale",
    "Distilled CFG Scale",
    "Image CFG scale",
    "Face restoration",
    "Model",
    "VAE",
    "Version",
)
"""Keys that a settings line may begin with; an anchor only with such a value."""

_KEY_TEXT = r"\w[\w \-/.()+]{0,99}"
_KEY = re.compile(rf"({_KEY_TEXT}):[ \t]*")
_BEGINNER = "(?:" + "|".join(map(re.escape, _BEGINNERS)) + ")"
_BEGINNING_LINE = re.compile(rf"^[ \t]*{_BEGINNER}:", re.MULTILINE)
_INLINE_STEPS = re.compile(
    rf"\bSteps:\s*[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?\s*[{_COMMAS}]\s*{_BEGINNER}:"
)
_NEGATIVE_LINE = re.compile(rf"^[ \t]*{NEGATIVE}", re.MULTILINE)

_SEPARATORS = re.compile(rf"[\s{_COMMAS}]*")
_END_OF_RAW = re.compile(rf"[,\n]|\uff0c(?=\s{{0,9}}{_KEY_TEXT}:)|\Z")
_END_OF_VALUE = re.compile(rf"[ \t]*(?:[{_COMMAS}\n]|\Z)")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])*+"', re.DOTALL)
_BRACKET = re.compile(r"""\\.|"(?:\\.|[^\\"])*+"|'(?:\\.|[^\\'])*+'|[][{}]""", re.DOTALL)
_MAX_MISLEADING = 8


class InfotextError(ValueError):
    """The text is too long to be an infotext."""

    code = "INFOTEXT_INVALID"


@dataclass(frozen=True)
class Infotext:
    """An infotext taken apart. Nothing in it is converted or checked against a meaning."""

    prompt: str = ""
    negative_prompt: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    """In the order of the text, quotes taken off. Of a key that occurs twice the last counts."""

    @property
    def is_usable(self) -> bool:
        """Whether it says anything at all."""
        return bool(self.prompt or self.negative_prompt or self.settings)


def parse(text: str) -> Infotext:
    """Take any text apart; one without settings is all prompt. Raises InfotextError."""
    if len(text) > MAX_LENGTH:
        raise InfotextError(
            f"An infotext has at most {MAX_LENGTH} characters, this text has {len(text)}."
        )
    text = _storable(text).replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff").strip()
    run = _Finder(text).settings()
    if run is None:
        return Infotext(*_split_prompts(text))
    head = text[: run.start].rstrip(" \t")
    if not head.endswith("\n"):
        head = head.rstrip(" \t" + _COMMAS)
    return Infotext(*_split_prompts(head), dict(run.pairs))


def render(infotext: Infotext) -> str:
    """Write `infotext` so that `parse` gives an equal one, as do other readers of the format.

    The format itself can't hold, so these come back changed:
    white space around a prompt and around a key; NUL, CR, lone surrogates and a leading
    byte order mark; a prompt line that begins with "Negative prompt:"; settings without any
    of the well-known ones (steps, seed, …), which read as prompt; keys with other characters
    than those of words and ` -/.()+`; prompts without settings whose end looks like settings;
    and a prompt whose end is a line of settings with "Steps:" in front and a comma behind,
    when the true settings tell no steps.
    """
    lines = [infotext.prompt] if infotext.prompt else []
    if infotext.negative_prompt or NEGATIVE in infotext.prompt:
        lines.append(f"{NEGATIVE} {infotext.negative_prompt}")
    if infotext.settings:
        lines.append(", ".join(_written_pairs(infotext.settings)))
    return "\n".join(lines)


def _storable(text: str) -> str:
    """Without NUL, which no database takes, and with every surrogate paired or replaced."""
    text = text.replace("\0", "")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _split_prompts(head: str) -> tuple[str, str]:
    """The prompt and the negative prompt. What begins a line with the marker comes first;
    without such a line, one-line texts are cut at the last marker."""
    if at_line := _NEGATIVE_LINE.search(head):
        return head[: at_line.start()].strip(), head[at_line.end() :].strip()
    prompt, marker, negative = head.rpartition(NEGATIVE)
    if not marker:
        return head.strip(), ""
    return prompt.rstrip().rstrip(_COMMAS).strip(), negative.strip()


def _is_anchor(key: str, value: str) -> bool:
    return key in _ANCHORS and _ANCHORS[key].fullmatch(value) is not None


def _may_begin(key: str, value: str) -> bool:
    return key in _BEGINNERS and (key not in _ANCHORS or _is_anchor(key, value))


# --- writing -------------------------------------------------------------------------


def _written_pairs(settings: Mapping[str, str]) -> list[str]:
    """As readers need them: a well-known key in front, and no fewer than they ask for."""
    ordered = list(settings.items())
    if not _may_begin(*ordered[0]):
        ordered.sort(key=lambda pair: not _may_begin(*pair))
    pairs = [f"{key}: {_written(value)}" for key, value in ordered]
    return pairs if len(pairs) >= _MIN_PAIRS else pairs * _MIN_PAIRS


def _written(value: str) -> str:
    """The value as it is, or as a JSON string where it would end too early or read otherwise."""
    is_plain = (
        value.isprintable()
        and value == value.strip() != ""
        and value[0] not in '"[{'
        and not any(separator in value for separator in _COMMAS + ":")
    )
    return value if is_plain else json.dumps(value, ensure_ascii=False)


# --- finding the settings ------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """A stretch of the text that reads as settings."""

    start: int
    stop: int
    """Where it ceases to; the end of the text if it is settings to the end."""
    pairs: list[tuple[str, str]]
    written_out: int
    """How many of the pairs have a colon."""

    def is_settings(self, end: int) -> bool:
        return (
            self.stop == end
            and self.written_out >= _MIN_PAIRS
            and _may_begin(*self.pairs[0])
            and any(_is_anchor(*pair) for pair in self.pairs)
        )


class _Finder:
    """Looks for the settings at the end of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._values = _Values(text)

    def settings(self) -> _Run | None:
        return self._on_the_last_line() or self._on_several_lines() or self._inline()

    def _on_the_last_line(self) -> _Run | None:
        run = self._settings_from(self._text.rfind("\n") + 1)
        if run is None or "Steps" in dict(run.pairs):
            return run
        return self._settings_from(self._first_of_broken_lines(run.start)) or run

    def _first_of_broken_lines(self, last: int) -> int:
        """Where settings begin that were broken after commas and end with the line at `last`."""
        start = last
        while start > 0:
            above = self._text.rfind("\n", 0, start - 1) + 1
            line = self._text[above:start].strip()
            if not line.endswith(","):
                break
            if line.startswith("Steps:"):
                return above
            start = above
        return last

    def _on_several_lines(self) -> _Run | None:
        """Settings one to a line, or with a line break inside a bracket."""
        position = 0
        while line := _BEGINNING_LINE.search(self._text, position):
            run = self._read(line.start())
            if run.stop == len(self._text):
                return run if run.is_settings(run.stop) else None
            position = max(run.stop, line.end())
        return None

    def _inline(self) -> _Run | None:
        """Settings that follow the prompts on the same line."""
        for begin in (max(self._text.rfind(NEGATIVE), 0), 0):
            if steps := _INLINE_STEPS.search(self._text, begin):
                return self._settings_from(steps.start())
        return None

    def _settings_from(self, start: int) -> _Run | None:
        run = self._read(start)
        return run if run.is_settings(len(self._text)) else None

    def _read(self, start: int) -> _Run:
        """Read pairs from `start` on, up to a line that continues no settings.

        A key seen before begins other settings, if it begins a line: so a prompt may end in
        a line that looks like settings.
        """
        pairs: list[tuple[str, str]] = []
        seen: set[str] = set()
        position, written_out = start, 0
        while True:
            line_end = position
            position = _end(_SEPARATORS, self._text, position)
            begins_line = position == start or "\n" in self._text[line_end:position]
            if position == len(self._text):
                break
            key = _KEY.match(self._text, position)
            name = key[1].rstrip() if key else ""
            if key and f"{name}:" != NEGATIVE and not (begins_line and name in seen):
                value, position = self._values.at(key.end())
                seen.add(name)
                written_out += 1
            elif key or begins_line:
                break
            else:
                name, position = self._values.raw(position)
                value = name
            if re.fullmatch(_KEY_TEXT, name):
                pairs.append((name, value))
        return _Run(start, position, pairs, written_out)


class _Values:
    """Reads the values of one text: a JSON string, a bracketed literal, or text to the comma."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._misleading = 0

    def at(self, start: int) -> tuple[str, int]:
        """The value at `start` and where it ends."""
        end = self._end_of_string(start) or self._end_of_literal(start)
        if end is None:
            return self.raw(start)
        value = self._text[start:end]
        return _unquoted(value) if value[0] == '"' else value, end

    def raw(self, start: int) -> tuple[str, int]:
        """The text up to the next separator and where it ends."""
        found = _END_OF_RAW.search(self._text, start)
        end = found.start() if found else len(self._text)
        return self._text[start:end].strip(), end

    def _end_of_string(self, start: int) -> int | None:
        quoted = _QUOTED.match(self._text, start)
        return quoted.end() if quoted and self._ends_value(quoted.end()) else None

    def _end_of_literal(self, start: int) -> int | None:
        """Where the bracket opened at `start` is closed.

        One that is never closed, or not at the value's end, costs a walk through the text for
        nothing, so after a few of them brackets are text like any other.
        """
        if self._text[start : start + 1] not in ("[", "{") or self._misleading >= _MAX_MISLEADING:
            return None
        end = next((end for depth, end in self._brackets(start) if depth == 0), None)
        if end is not None and self._ends_value(end):
            return end
        self._misleading += 1
        return None

    def _ends_value(self, position: int) -> bool:
        return _END_OF_VALUE.match(self._text, position) is not None

    def _brackets(self, start: int) -> Iterator[tuple[int, int]]:
        """The depth after each bracket outside of strings, and the position behind it."""
        depth = 0
        for token in _BRACKET.finditer(self._text, start):
            if token[0] in ("[", "{"):
                depth += 1
            elif token[0] in ("]", "}"):
                depth -= 1
            else:
                continue
            yield depth, token.end()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _unquoted(quoted: str) -> str:
    """What a JSON string says; one with escapes that JSON doesn't know is taken as it is."""
    try:
        return _storable(str(json.loads(quoted, strict=False)))
    except ValueError:
        return quoted[1:-1]
