"""The operations on API keys."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apikeys.serializers import ApiKeyChange, ApiKeyCreation, ApiKeyOutput
from stablequeue_project.api.reference.operation import Chapter, Operation
from stablequeue_project.api.reference.shared import IDEMPOTENCY_KEY


class SetupState(serializers.Serializer[Any]):
    """Whether there is a key."""

    is_first_setup = serializers.BooleanField()
    existing_keys_count = serializers.IntegerField()


class CreatedKey(ApiKeyOutput):
    """A key with its secret, which is shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta(ApiKeyOutput.Meta):
        fields = [*ApiKeyOutput.Meta.fields, "secret"]


class NewKeyAnswer(serializers.Serializer[Any]):
    """What was done, and the key."""

    success = serializers.BooleanField()
    message = serializers.CharField()
    api_key = CreatedKey()


class ShownKeys(serializers.Serializer[Any]):
    """All keys."""

    success = serializers.BooleanField()
    api_keys = ApiKeyOutput(many=True)


class ShownKey(serializers.Serializer[Any]):
    """One key."""

    success = serializers.BooleanField()
    api_key = ApiKeyOutput()


class ChangedKey(ShownKey):
    """What was done, and the key."""

    message = serializers.CharField()


class DeletedKey(serializers.Serializer[Any]):
    """What was done."""

    success = serializers.BooleanField()
    message = serializers.CharField()


_ID = {"api_key_id": "/api_key/id"}

KEYS = Chapter(
    "API keys",
    "Applications show a key and its secret. Keys are made on the API Keys page, or here: these "
    "addresses answer our own pages and local tools without a key.",
    {
        "GET /api/v1/api-keys/setup": Operation(
            id="read_setup",
            summary="Ask whether a first key is needed",
            answer=SetupState,
            example="setup-state",
        ),
        "POST /api/v1/api-keys/setup": Operation(
            id="create_first_key",
            summary="Make the first key",
            body=ApiKeyCreation,
            status=201,
            answer=NewKeyAnswer,
            errors=("API_KEY_SETUP_DONE", "IDEMPOTENCY_SECRET_SHOWN"),
            example="setup",
            made=_ID,
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v1/api-keys": Operation(
            id="list_keys",
            summary="List the keys",
            description="Without their secrets, which are not kept. `last_used_at` and "
            "`usage_count` are right within five seconds.",
            answer=ShownKeys,
            example="key-list",
        ),
        "POST /api/v1/api-keys": Operation(
            id="create_key",
            summary="Make a key",
            description="The secret is in this answer and nowhere else.",
            body=ApiKeyCreation,
            status=201,
            answer=NewKeyAnswer,
            errors=("IDEMPOTENCY_SECRET_SHOWN",),
            example="key-create",
            made=_ID,
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v1/api-keys/{api_key_id}": Operation(
            id="read_key",
            summary="Read a key",
            answer=ShownKey,
            errors=("API_KEY_NOT_FOUND",),
        ),
        "PUT /api/v1/api-keys/{api_key_id}": Operation(
            id="change_key",
            summary="Change a key",
            description="Only what is given changes. A key that is not active opens nothing.",
            body=ApiKeyChange,
            answer=ChangedKey,
            errors=("API_KEY_NOT_FOUND",),
            example="key-update",
        ),
        "DELETE /api/v1/api-keys/{api_key_id}": Operation(
            id="delete_key",
            summary="Delete a key",
            answer=DeletedKey,
            errors=("API_KEY_NOT_FOUND",),
            example="key-delete",
        ),
    },
)
