"""Answers a repeated POST with what it was answered the first time.

A client that never saw the answer to its POST repeats it with the same Idempotency-Key
header, and nothing is made twice. A view's `post` opts in by `@idempotent()`.

The answer is stored in the transaction in which the view makes what it makes: either
both are there or none, wherever a process dies. Two requests with the same key at a time
are told apart by an advisory lock that is held until that transaction ends, since no
row can be seen before. An answer that is an error is not stored: nothing was made.

It lives in this app because jobs, servers and API keys all need it, and this is the only
one that all of them may import. Like an event, a stored answer is the trace of a change,
written in its transaction, without a foreign key to what it is about.

```
IdempotencyError
├─ IdempotencyInProgress   the first request with the key has not been answered yet
├─ IdempotencyMismatch     the key was used with another body
└─ IdempotencySecretShown  the first answer held a secret, which is shown only once
```
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from events.models import Answer

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"
"""Set to `true` on an answer that is a repetition."""

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_SWEPT_AT_ONCE = 1000

Post = Callable[..., Response]
"""A view's `post` method: it takes the view, the request, and what its address names."""


class IdempotencyError(Exception):
    """Base of the refusals. `str(error)` is a sentence for a person."""

    code: str


class IdempotencyInProgress(IdempotencyError):
    code = "IDEMPOTENCY_IN_PROGRESS"

    def __init__(self) -> None:
        super().__init__(
            f"The first request with this {HEADER} is still being worked on. Repeat in a moment."
        )


class IdempotencyMismatch(IdempotencyError):
    code = "IDEMPOTENCY_MISMATCH"

    def __init__(self) -> None:
        super().__init__(f"This {HEADER} was used with another body. Use a new one.")


class IdempotencySecretShown(IdempotencyError):
    code = "IDEMPOTENCY_SECRET_SHOWN"

    def __init__(self, created_id: str) -> None:
        super().__init__(
            f"This request was answered before: it made {created_id}. Its secret was shown then "
            "and is not stored. If nobody has it, delete what was made and make a new one."
        )
        self.details = {"created_id": created_id}


def idempotent(*, created_id: Callable[[Any], str] | None = None) -> Callable[[Post], Post]:
    """Let the `post` of a view answer a repeated request as it answered the first.

    Where the answer holds a secret, `created_id` reads from its data what was made; the
    repeat is then refused with that id. Raises ValidationError for a key that is none,
    and the errors above.
    """

    def decorate(post: Post) -> Post:
        @functools.wraps(post)
        def answer(view: Any, request: Request, **named: Any) -> Response:
            if HEADER not in request.headers:
                return post(view, request, **named)
            return _answer_once(_asked(request), lambda: post(view, request, **named), created_id)

        return answer

    return decorate


@dataclass(frozen=True)
class _Asked:
    """What makes two requests the same."""

    scope: str
    route: str
    key: str
    fingerprint: str

    @property
    def identity(self) -> dict[str, str]:
        return {"scope": self.scope, "route": self.route, "key": self.key}

    @property
    def lock(self) -> int:
        """The number of the advisory lock, signed and of 64 bits as Postgres wants it."""
        named = json.dumps([self.scope, self.route, self.key]).encode()
        return int.from_bytes(hashlib.sha256(named).digest()[:8], signed=True)


def _asked(request: Request) -> _Asked:
    key = request.headers[HEADER]
    if not _KEY.fullmatch(key):
        raise ValidationError({HEADER: ["Use 1 to 255 printable ASCII characters."]})
    # Equal values are equal bodies, however they are spaced and ordered.
    body = json.dumps(request.data, sort_keys=True)
    return _Asked(
        scope="page" if request.auth is None else str(request.auth.pk),
        route=request.path_info,
        key=key,
        # Keyed, as a body may hold a password.
        fingerprint=salted_hmac(HEADER, body, algorithm="sha256").hexdigest(),
    )


def _answer_once(
    asked: _Asked, post: Callable[[], Response], created_id: Callable[[Any], str] | None
) -> Response:
    with transaction.atomic():
        _lock(asked)
        if stored := Answer.objects.fresh().filter(**asked.identity).first():
            return _repetition(stored, asked)
        Answer.objects.filter(**asked.identity).delete()
        response = post()
        # After the event log's lock, but waiting for nobody: the key is ours alone.
        Answer.objects.create(
            **asked.identity,
            fingerprint=asked.fingerprint,
            status=response.status_code,
            **({"created_id": created_id(response.data)} if created_id else _body(response)),
        )
    forget_expired()
    return response


def _lock(asked: _Asked) -> None:
    """Keep the key until the transaction ends. Raises IdempotencyInProgress if another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [asked.lock])
        if cursor.fetchone() != (True,):
            raise IdempotencyInProgress


def _repetition(stored: Answer, asked: _Asked) -> Response:
    if stored.fingerprint != asked.fingerprint:
        raise IdempotencyMismatch
    if stored.created_id:
        raise IdempotencySecretShown(stored.created_id)
    return Response(json.loads(stored.body), status=stored.status, headers={REPLAY_HEADER: "true"})


def _body(response: Response) -> dict[str, str]:
    return {"body": JSONRenderer().render(response.data).decode()}


def forget_expired() -> int:
    """Forget some of the expired answers. Skips those that another request is forgetting."""
    expired = Answer.objects.expired().select_for_update(skip_locked=True)[:_SWEPT_AT_ONCE]
    count, _ = Answer.objects.filter(pk__in=expired.values("pk")).delete()
    return count
