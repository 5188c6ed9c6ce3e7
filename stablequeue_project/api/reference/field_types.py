"""The JSON Schema of our own serializer fields, for drf-spectacular. Importing it is enough."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema

from jobs.parameters import MAX_SEED, SHA256


class SeedType(OpenApiSerializerFieldExtension):
    """A number, or text for one that is to be drawn."""

    target_class = "jobs.parameters.Seed"

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Literal["request", "response"]
    ) -> dict[str, Any]:
        """Return its schema."""
        return {
            "oneOf": [
                {"type": "integer", "minimum": -1, "maximum": MAX_SEED},
                {"type": "string", "pattern": r"^(-1|[0-9]{1,18})?$"},
            ],
            "description": "Empty or -1 for a random one.",
        }


class PictureType(OpenApiSerializerFieldExtension):
    """A picture that a client sends."""

    target_class = "jobs.parameters.PictureField"

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Literal["request", "response"]
    ) -> dict[str, Any]:
        """Return its schema."""
        reference = {
            "type": "object",
            "required": ["sha256"],
            "properties": {"sha256": {"type": "string", "pattern": f"^{SHA256.pattern}$"}},
        }
        return {
            "oneOf": [{"type": "string", "description": "In base64."}, reference],
            "description": "A picture, or the SHA-256 of one that was sent before.",
        }
