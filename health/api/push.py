"""Where heartbeats come in. The token in the address is the key; nothing else is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from health.choices import ResultStatus
from health.schemas import HeartbeatOut
from health.services.heartbeats import heartbeat_receive
from resilience_site.core.problems import Problem, problem_response

router = Router(tags=["health checks"])

MOST_BODY: Final = 1_024  # bytes; what follows is not looked at
_FORM: Final = "application/x-www-form-urlencoded"


class HeartbeatQuery(Schema):
    """What came to pass; both may stand in the body, too, as JSON or as a form."""

    status: str | None = None
    output: str | None = None


@router.api_operation(
    ["GET", "POST"],
    "/health/push/{token}",
    auth=None,
    response=HeartbeatOut,
    url_name="health_push",
)
def push(
    request: HttpRequest, token: str, query: Query[HeartbeatQuery]
) -> dict[str, Any] | HttpResponse:
    """Report that something is alive (`status` up, the default), limps (degraded) or is down.

    A body that is neither JSON nor a form is the output; of any body the first 1,024 bytes count.
    """
    now = datetime.now(UTC)
    said = {**_said(request), **query.model_dump(exclude_none=True)}
    status = said.get("status") or ResultStatus.UP.value
    try:
        heartbeat_receive(token=token, status=status, output=said.get("output", ""), now=now)
    except Problem as problem:
        # The address is a secret: it stands in no answer and in no log.
        response = problem_response(problem, request.path.replace(token, "…"))
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response
    return {"status": status, "received_at": now}


def _said(request: HttpRequest) -> dict[str, str]:
    """The `status` and `output` of a body, as far as there are."""
    if request.method != "POST":
        return {}
    text = request.read(MOST_BODY).decode(errors="replace").strip()
    said: dict[str, Any] = {}
    try:
        found = orjson.loads(text) if text.startswith("{") else None
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        said = found
    elif request.content_type == _FORM:
        said = {name: values[-1] for name, values in parse_qs(text).items()}
    known: dict[str, str] = {name: str(said[name]) for name in ("status", "output") if name in said}
    return known or ({"output": text} if text else {})
