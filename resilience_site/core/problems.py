"""Errors that callers of the API are told about, as RFC 9457 `application/problem+json`.

Problem
├── Malformed 400      the request cannot be read (a tampered cursor, broken JSON)
├── Unauthorized 401   no key or session, or an unusable one
├── Forbidden 403      known, but not allowed
├── NotFound 404
├── Conflict 409       the named version is stale; carries both sides
├── Invalid 422        readable, but a field says something impossible
└── Unavailable 503    a dependency is down; try again later
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from django.http import HttpResponse

MEDIA_TYPE = "application/problem+json"


class FieldError(NamedTuple):
    """One wrong field: its path (`query.limit`, `body.matchers.service`) and what is wrong."""

    field: str
    message: str


class Problem(Exception):
    """Base of all; `detail` is one sentence for the caller."""

    status = 500
    audited = False
    """Whether the audit trail tells of it already."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers: dict[str, str] = {}

    def members(self) -> dict[str, Any]:
        """What the document says beyond type, title, status, detail and instance."""
        return {}


class Malformed(Problem):
    status = 400


class Unauthorized(Problem):
    status = 401

    def __init__(
        self, detail: str = "Send a key as `Authorization: Bearer KEY`, or log in."
    ) -> None:
        super().__init__(detail)
        self.headers["WWW-Authenticate"] = "Bearer"


class Forbidden(Problem):
    status = 403


class NotFound(Problem):
    """`allowed` lists what there is in place of it, where that is a short list."""

    status = 404

    def __init__(self, detail: str = "", *, allowed: Sequence[str] | None = None) -> None:
        super().__init__(detail)
        self.allowed = None if allowed is None else list(allowed)

    def members(self) -> dict[str, Any]:
        return {} if self.allowed is None else {"allowed": self.allowed}


class Conflict(Problem):
    """`current` is what stands, `proposed` what the caller wanted, for a screen to show both."""

    status = 409

    def __init__(
        self, detail: str, *, current: Mapping[str, Any], proposed: Mapping[str, Any]
    ) -> None:
        super().__init__(detail)
        self.current = current
        self.proposed = proposed

    def members(self) -> dict[str, Any]:
        return {"current": self.current, "proposed": self.proposed}


class Invalid(Problem):
    """`Invalid.field("query.limit", "…")` for one wrong field."""

    status = 422

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)

    @classmethod
    def field(cls, field: str, message: str) -> Invalid:
        return cls(message, [FieldError(field, message)])

    def members(self) -> dict[str, Any]:
        return {"errors": [error._asdict() for error in self.errors]}


class Unavailable(Problem):
    status = 503

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(retry_after)


def problem_document(status: int, detail: str, instance: str, **members: Any) -> dict[str, Any]:
    """The body of a problem; `type` is `about:blank`, so the title is that of the status."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        **members,
    }


def problem_response(problem: Problem, instance: str) -> HttpResponse:
    """`problem` as an answer to the request for path `instance`."""
    document = problem_document(problem.status, problem.detail, instance, **problem.members())
    return HttpResponse(
        orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z),
        status=problem.status,
        content_type=MEDIA_TYPE,
        headers=problem.headers,
    )
