"""Makes drf-spectacular say what the chapters say, instead of guessing from the views."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from stablequeue_project.api.envelope import JSON
from stablequeue_project.api.reference import field_types  # noqa: F401, registers itself
from stablequeue_project.api.reference.chapters import OPERATIONS, TITLES
from stablequeue_project.api.reference.examples import example
from stablequeue_project.api.reference.operation import Operation
from stablequeue_project.api.reference.shared import (
    EVERYWHERE,
    IDEMPOTENCY_KEY,
    ON_A_REPETITION,
    ON_EVERY_ANSWER,
    PATH_PARAMETERS,
    REQUEST_HEADERS,
    SECURITY,
    WITH_A_BODY,
    WITH_A_CHANGE,
    WITH_AN_IDEMPOTENCY_KEY,
    error_answers,
)

Direction = Literal["request", "response"]


class UndescribedOperation(LookupError):
    """A route of the API has no entry in the chapters."""


class DescribedSchema(AutoSchema):
    """The schema of one operation."""

    @property
    def described(self) -> Operation:
        """What the chapters say about it. Raises UndescribedOperation."""
        at = f"{self.method} {self.path}"
        if at not in OPERATIONS:
            raise UndescribedOperation(f"Describe {at} in stablequeue_project/api/reference.")
        return OPERATIONS[at]

    def get_operation_id(self) -> str:
        return self.described.id

    def get_summary(self) -> str:
        return self.described.summary

    def get_description(self) -> str:  # type: ignore[override]
        return self.described.description

    def get_tags(self) -> list[str]:
        return [TITLES[f"{self.method} {self.path}"]]

    def get_auth(self) -> list[dict[str, Any]]:
        access: str = self.view.access  # type: ignore[attr-defined]
        return list(SECURITY[access])

    def get_override_parameters(self) -> list[Any]:
        headers = [
            OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=description)
            for name, (schema, description) in REQUEST_HEADERS.items()
            if name in self.described.headers
        ]
        return [*headers, self.described.query] if self.described.query else headers

    def get_request_serializer(self) -> Any:
        return self.described.body

    def get_response_serializers(self) -> Any:
        return {self.described.status: OpenApiResponse(self.described.answer)}

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "in": "path",
                "name": name,
                "required": True,
                "schema": PATH_PARAMETERS[name][0],
                "description": PATH_PARAMETERS[name][1],
            }
            for name in variables
        ]

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)
        if any(getattr(validator, "inverse_match", False) for validator in field.validators):
            # It is taken for a pattern that has to match, where it must not.
            schema["not"] = {"pattern": schema.pop("pattern")}

    def _get_request_body(self, direction: Direction = "request") -> Any:
        body = super()._get_request_body(direction)
        if body and (shown := example(self.described).get("request")):
            body["content"][JSON]["example"] = shown
        return body

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        described = self.described
        answer = self._answer(super()._get_response_bodies(direction)[str(described.status)])
        answers = {str(described.status): answer}
        for status, when in described.more_answers.items():
            answers[str(status)] = {**answer, "description": when}
            if status == HTTPStatus.NO_CONTENT:
                del answers[str(status)]["content"]
        codes = EVERYWHERE + described.errors
        if self.method != "GET":
            codes += WITH_A_CHANGE
        if described.body:
            codes += WITH_A_BODY
        if IDEMPOTENCY_KEY in described.headers:
            codes += WITH_AN_IDEMPOTENCY_KEY
        return {**answers, **error_answers(codes)}

    def _answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        described = self.described
        answer["description"] = HTTPStatus(described.status).phrase
        is_repeatable = IDEMPOTENCY_KEY in described.headers
        answer["headers"] = ON_EVERY_ANSWER | (ON_A_REPETITION if is_repeatable else {})
        if described.media:
            is_text = all(kind.startswith("text/") for kind in described.media)
            shape = {"type": "string"} if is_text else {"type": "string", "format": "binary"}
            answer["content"] = {kind: {"schema": shape} for kind in described.media}
        if shown := example(described).get("response"):
            answer["content"][JSON]["example"] = shown
        if links := _links(described):
            answer["links"] = links
        return answer


def _links(described: Operation) -> dict[str, Any]:
    """Link to every operation whose address holds what this one's answer tells."""
    return {
        other.id: {
            "operationId": other.id,
            "parameters": {name: f"$response.body#{pointer}"},
        }
        for name, pointer in described.made.items()
        for at, other in OPERATIONS.items()
        if f"{{{name}}}" in at
    }
