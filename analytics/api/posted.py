"""`POST errors`: errors of clients that speak no OTLP, one or many, as plain JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from django.http import HttpRequest
from ninja import Field, Schema, Status
from pydantic import ConfigDict, ValidationError

from analytics.api.errors import router
from analytics.domain.bodies import GzipBody, PlainBody, TooLarge, Undecodable
from analytics.domain.posted_errors import PostedError
from analytics.services.ingest_posted import store_posted_errors
from resilience_site.config import config
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import FieldError, Invalid, Malformed, Problem

MAX_ERRORS = 1_000
_CHUNK = 1 << 20
_HEX_32, _HEX_16 = r"^([0-9a-fA-F]{32})?$", r"^([0-9a-fA-F]{16})?$"


class PostedIn(Schema):
    """One error. Only `service` and one of `type` and `message` are needed."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field("", max_length=200, description="The client's own id, for sending it again")
    service: str = Field(min_length=1, max_length=200)
    type: str = Field("", max_length=500)
    message: str = Field("", max_length=8_192)
    stacktrace: str = Field("", max_length=65_536)
    occurred_at: datetime | None = None
    severity: int = Field(0, ge=0, le=24)
    environment: str = Field("", max_length=200)
    operation: str = Field("", max_length=500)
    trace_id: str = Field("", pattern=_HEX_32)
    span_id: str = Field("", pattern=_HEX_16)
    correlation_id: str = Field("", max_length=200)
    attributes: dict[str, Any] = Field(default_factory=dict)


class RejectedOut(Schema):
    index: int
    reason: str


class AcceptedOut(Schema):
    """`ids` are in the order of the request, null for what was rejected."""

    accepted: int
    duplicates: int
    rejected: list[RejectedOut]
    ids: list[Any]


class ContentTooLarge(Problem):
    status = 413


@router.post("/errors", auth=ApiAuth(Scope.INGEST), response={202: AcceptedOut})
def errors_post(request: ApiRequest) -> Status[dict[str, Any]]:
    """Take one error, or a list of at most 1,000, each stored once; bad ones are rejected one by
    one. Sent again with the same `id` (or the same content and time), an error is not doubled."""
    document = _document(request)
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
    result = store_posted_errors(list(good.values()), received_at=datetime.now(UTC))
    ids: list[Any] = [None] * len(items)
    for index, error_id in zip(good, result.ids, strict=True):
        ids[index] = error_id
        if error_id is None:
            rejected[index] = "; ".join(r.reason for r in result.rejections)
    answer = {
        "accepted": result.stored + result.duplicates,
        "duplicates": result.duplicates,
        "rejected": [{"index": i, "reason": rejected[i]} for i in sorted(rejected)],
        "ids": ids,
    }
    return Status(202, answer)


def _document(request: HttpRequest) -> Any:
    gzip = request.headers.get("Content-Encoding", "").strip().lower() == "gzip"
    limit = config.resilience_max_body_mib << 20
    body = GzipBody(limit) if gzip else PlainBody(limit)
    try:
        while chunk := request.read(_CHUNK):
            body.feed(chunk)
        return orjson.loads(body.finish())
    except TooLarge:
        mib = limit >> 20
        raise ContentTooLarge(f"The body is larger than {mib} MiB; send fewer errors.") from None
    except Undecodable as error:
        raise Malformed(f"The body cannot be read: {error}.") from None
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None


def _posted(item: Any) -> PostedError:
    given = PostedIn.model_validate(
        # null means the same as leaving a field out.
        {k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item
    )
    occurred_ns = 0
    if given.occurred_at is not None:
        at = given.occurred_at
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        occurred_ns = int(aware.timestamp() * 1_000_000) * 1_000
    return PostedError(
        given.id,
        given.service,
        given.environment,
        given.operation,
        given.type or "Error",
        given.message,
        given.stacktrace,
        given.severity,
        max(occurred_ns, 1) if given.occurred_at else 0,
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
