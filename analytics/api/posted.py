"""`POST errors`: errors of clients that speak no OTLP, one or many, as plain JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ninja import Field, Schema, Status
from pydantic import ConfigDict, ValidationError, field_validator, model_validator

from analytics.api.documents import posted_document
from analytics.api.errors import router
from analytics.choices import Signal
from analytics.domain.posted_errors import (
    MAX_DEPTH,
    PostedError,
    is_too_deep,
    request_correlation_id,
)
from analytics.domain.telemetry import Rejection
from analytics.services.ingest_counters import record_refusal
from analytics.services.ingest_posted import store_posted_errors
from analytics.services.keys_heard import key_note
from resilience_site.core.bodies import read_by_itself
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_check
from resilience_site.core.permissions import ApiAuth, ApiRequest, bearer_token
from resilience_site.core.problems import FieldError, Invalid, Problem

MAX_ERRORS = 1_000
_MAX_MESSAGE = 8_192
_LATEST_NS = 2**63 - 1
_WRONG_FIELDS = "a field is missing or wrong"
_HEX_32, _HEX_16 = r"^([0-9a-fA-F]{32})?$", r"^([0-9a-fA-F]{16})?$"


class PostedIn(Schema):
    """One error. Only `service` and one of `type` and `message` are needed; a message is cut after
    8,192 characters, and every other text that is too long is refused."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field("", max_length=200, description="The client's own id, for sending it again")
    service: str = Field(min_length=1, max_length=200)
    type: str = Field("", max_length=500)
    message: str = ""
    stacktrace: str = ""
    occurred_at: datetime | None = None
    severity: int = Field(0, ge=0, le=24)
    environment: str = Field("", max_length=200)
    operation: str = Field("", max_length=500)
    trace_id: str = Field("", pattern=_HEX_32)
    span_id: str = Field("", pattern=_HEX_16)
    correlation_id: str = Field("", max_length=200)
    attributes: dict[str, Any] = Field(default_factory=dict)

    @field_validator("service")
    @classmethod
    def _is_named(cls, service: str) -> str:
        if not service.replace("\0", "").strip():
            raise ValueError("a service has a name")
        return service

    @field_validator("attributes")
    @classmethod
    def _is_flat_enough(cls, attributes: dict[str, Any]) -> dict[str, Any]:
        if is_too_deep(attributes):
            raise ValueError(f"attributes may lie at most {MAX_DEPTH} levels deep")
        return attributes

    @model_validator(mode="after")
    def _says_something(self) -> PostedIn:
        if not self.type.strip() and not self.message.strip():
            raise ValueError("an error has a type or a message")
        return self


class RejectedOut(Schema):
    index: int
    reason: str


class AcceptedOut(Schema):
    """`ids` are in the order of the request, null for what was rejected."""

    accepted: int
    duplicates: int
    rejected: list[RejectedOut]
    ids: list[Any]


_ONE_ERROR = PostedIn.model_json_schema()
_MANY_ERRORS = {"type": "array", "items": _ONE_ERROR, "maxItems": MAX_ERRORS}


@router.post(
    "/errors",
    auth=ApiAuth(Scope.INGEST),
    response={202: AcceptedOut},
    openapi_extra=read_by_itself({"anyOf": [_ONE_ERROR, _MANY_ERRORS]}),
)
def errors_post(request: ApiRequest) -> Status[dict[str, Any]]:
    """Take one error, or a list of at most 1,000, each stored once; bad ones are rejected one by
    one. Sent again with the same `id` (or the same content and time), an error is not doubled.
    An `X-Correlation-ID` header, or one in `Baggage`, is that of errors that have none."""
    try:
        return Status(202, _take(request))
    except Problem as problem:
        record_refusal(str(Signal.ERRORS), _REFUSALS.get(problem.status, "refused"))
        raise


_REFUSALS = {
    400: "undecodable",
    413: "too large",
    415: "content encoding",
    422: _WRONG_FIELDS,
}


def _note_key(request: ApiRequest) -> None:
    token = bearer_token(request.headers.get("Authorization", ""))
    key = key_check(token) if token else None
    if key is not None:
        key_note(key.id)


def _take(request: ApiRequest) -> dict[str, Any]:
    document = posted_document(request, "errors")
    many = isinstance(document, list)
    items = document if isinstance(document, list) else [document]
    if len(items) > MAX_ERRORS:
        raise Invalid.field("body", f"at most {MAX_ERRORS} errors go into one request")
    good: dict[int, PostedError] = {}
    rejected: dict[int, str] = {}
    for index, item in enumerate(items):
        try:
            good[index] = _posted(item)
        except ValidationError as error:
            if not many:
                raise _invalid(error) from None
            rejected[index] = _invalid(error).detail
    result = store_posted_errors(
        list(good.values()),
        received_at=datetime.now(UTC),
        correlation=request_correlation_id(request.headers),
        rejections=[Rejection(len(rejected), _WRONG_FIELDS)] if rejected else [],
    )
    _note_key(request)
    ids: list[Any] = [None] * len(items)
    for position, (index, error_id) in enumerate(zip(good, result.ids, strict=True)):
        ids[index] = error_id
        if position in result.reasons:
            rejected[index] = result.reasons[position]
    return {
        "accepted": result.stored + result.duplicates,
        "duplicates": result.duplicates,
        "rejected": [{"index": i, "reason": rejected[i]} for i in sorted(rejected)],
        "ids": ids,
    }


def _posted(item: Any) -> PostedError:
    given = PostedIn.model_validate(
        # null means the same as leaving a field out.
        {k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item
    )
    occurred_ns = 0
    if given.occurred_at is not None:
        at = given.occurred_at
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        # Zero stands for no time at all; times before it are refused for their age like this one.
        occurred_ns = min(max(int(aware.timestamp() * 1_000_000) * 1_000, 1), _LATEST_NS)
    return PostedError(
        given.id,
        given.service,
        given.environment,
        given.operation,
        given.type or "Error",
        given.message[:_MAX_MESSAGE],
        given.stacktrace,
        given.severity,
        occurred_ns,
        given.trace_id.lower(),
        given.span_id.lower(),
        given.correlation_id,
        given.attributes,
    )


def _invalid(error: ValidationError) -> Invalid:
    found = [
        FieldError(".".join(("body", *map(str, each["loc"]))), each["msg"])
        for each in error.errors()
    ]
    return Invalid("; ".join(f"{each.field}: {each.message}" for each in found), found)
