"""The OpenAPI document as a page for people: `docs/api.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from stablequeue_project.api.codes import CODES
from stablequeue_project.api.envelope import JSON
from stablequeue_project.api.reference.shared import EVERYWHERE, WITH_A_BODY, WITH_A_CHANGE

Part = Mapping[str, Any]

_SHARED = {*EVERYWHERE, *WITH_A_CHANGE, *WITH_A_BODY}

_ASKED_OF = {
    "ApiKey": "A key, or one of our pages.",
    "": "Our pages and local tools; a key is accepted too.",
}


def as_markdown(document: Part, introduction: str) -> str:
    """Write the whole page."""
    return "\n".join([introduction.rstrip(), "", *_chapters(document), *_errors(), ""])


def _chapters(document: Part) -> Iterator[str]:
    for tag in document["tags"]:
        yield from (f"## {tag['name']}", "", tag["description"], "")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(document, f"{method.upper()} {path}", operation)


def _operation(document: Part, at: str, operation: Part) -> Iterator[str]:
    yield from (f"### {operation['summary']}", "", f"`{at}`", "")
    if "description" in operation:
        yield from (operation["description"], "")
    yield from (f"*Who:* {_who(operation)}", "")
    if "parameters" in operation:
        yield from ("| parameter | in | type | |", "|---|---|---|---|")
        for parameter in operation["parameters"]:
            yield _row(parameter["name"], parameter["in"], parameter)
        yield ""
    if "requestBody" in operation:
        yield from _content(document, "Send", operation["requestBody"]["content"])
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            content = answer.get("content", {"nothing": {}})
            yield from _content(document, f"Answer {status}", content)
            if answer["description"] != HTTPStatus(int(status)).phrase:
                yield from (answer["description"], "")
    yield from _own_errors(operation)


def _who(operation: Part) -> str:
    return _ASKED_OF["" if {} in operation["security"] else "ApiKey"]


def _content(document: Part, title: str, content: Part) -> Iterator[str]:
    if JSON not in content:
        yield from (f"**{title}:** {', '.join(content)}", "")
        return
    yield from (f"**{title}:**", "")
    fields = list(_fields(document, content[JSON]["schema"], "", is_sent=title == "Send"))
    if fields:
        yield from ("| field | type | |", "|---|---|---|", *fields, "")
    if "example" in content[JSON]:
        text = json.dumps(content[JSON]["example"], indent=2, ensure_ascii=False)
        yield from ("```json", text, "```", "")


def _fields(document: Part, schema: Part, prefix: str, *, is_sent: bool) -> Iterator[str]:
    """Write a row for each field, and for the fields of objects in it."""
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        yield from _fields(document, schema["items"], f"{prefix}[]", is_sent=is_sent)
        return
    needed = schema.get("required", ()) if is_sent else ()
    for name, below in schema.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield _field_row(document, path, below, is_needed=name in needed)
        yield from _fields(document, below, path, is_sent=is_sent)


def _field_row(document: Part, path: str, schema: Part, *, is_needed: bool) -> str:
    found = {**_resolved(document, schema), **{k: v for k, v in schema.items() if k != "$ref"}}
    text = "" if "$ref" in schema else found.get("description", "")
    return f"| `{path}` | {_type(found)} | {_sentences(text, is_needed=is_needed)} |"


def _row(name: str, place: str, parameter: Part) -> str:
    schema = parameter["schema"]
    text = parameter.get("description", "")
    if "default" in schema:
        text = f"{text} Default: `{schema['default']}`.".lstrip()
    sentences = _sentences(text, is_needed=parameter.get("required", False))
    return f"| `{name}` | {place} | {_type(schema)} | {sentences} |"


def _sentences(text: str, *, is_needed: bool) -> str:
    return f"{text} Required.".lstrip() if is_needed else text


def _type(schema: Part) -> str:
    """Say of which type a value is, and its bounds."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if "oneOf" in schema:
        return " or ".join(_type(one) for one in schema["oneOf"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kinds = schema.get("type", "any")
    words = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "minimum" in schema and "maximum" in schema:
        return f"{words}, {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        return f"{words}, up to {schema['maxLength']} characters"
    return f"{words}, {schema['format']}" if "format" in schema else words


def _resolved(document: Part, schema: Part) -> Part:
    if "allOf" in schema:
        schema = {**schema, **schema["allOf"][0]}
    if "$ref" not in schema:
        return schema
    found: Part = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found


def _own_errors(operation: Part) -> Iterator[str]:
    codes = [
        code
        for answer in operation["responses"].values()
        if "$ref" in answer
        for code in answer["$ref"].rsplit("/", 1)[1].split(".")
        if code in CODES and code not in _SHARED
    ]
    if codes:
        links = ", ".join(f"[`{code}`](#{code.lower()})" for code in codes)
        yield from (f"*Errors of its own:* {links}", "")


def _errors() -> Iterator[str]:
    yield from ("## Error codes", "", "| code | status | |", "|---|---|---|")
    for name, code in CODES.items():
        yield f'| <a id="{name.lower()}"></a>`{name}` | {code.status} | {code.meaning} |'
