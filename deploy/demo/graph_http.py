"""Microsoft Graph's conventions over HTTP: entities, pages, and the bodies that report errors."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from deploy.demo.graph_tasks import Json, Page

PAGE_SIZE = 100


class GraphError(Exception):
    """Ends a request with an error of Graph's own form."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


class NoAnswer(Response):
    """For a request whose connection is gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return


def graph_error(
    failure: GraphError, *, request_id: str, client_request_id: str, at: datetime
) -> JSONResponse:
    body = {
        "error": {
            "code": failure.code,
            "message": failure.message,
            "innerError": {
                "date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                "request-id": request_id,
                "client-request-id": client_request_id,
            },
        }
    }
    return JSONResponse(body, failure.status, headers=failure.headers)


def token_error(
    status: int, error: str, number: int, text: str, *, trace: str, correlation: str, at: datetime
) -> JSONResponse:
    """An error of the token endpoint; `number` is the one behind AADSTS."""
    stamp = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    body: dict[str, Any] = {
        "error": error,
        "error_description": (
            f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {stamp}"
        ),
        "error_codes": [number],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
    }
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


async def json_body(request: Request) -> Json:
    try:
        body: Any = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error
    if not isinstance(body, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return body


def paging(request: Request) -> tuple[int, int]:
    top, skip = request.query_params.get("$top"), request.query_params.get("$skiptoken")
    limit, start = PAGE_SIZE, 0
    if top is not None:
        if not (top.isascii() and top.isdigit() and 1 <= int(top[:6]) <= 999 and len(top) < 4):
            raise GraphError(400, "BadRequest", f"Invalid value '{top}' for $top.")
        limit = int(top)
    if skip is not None:
        try:
            start = int(base64.urlsafe_b64decode(skip))
        except (binascii.Error, ValueError) as error:
            raise GraphError(400, "BadRequest", "Invalid $skiptoken.") from error
    return start, limit


def listed(request: Request, page: Page) -> Response:
    body: Json = {
        "@odata.context": f"{request.base_url}v1.0/$metadata#Collection(microsoft.graph.plannerTask)",
        "@odata.count": len(page.tasks),
    }
    if page.next_from is not None:
        token = base64.urlsafe_b64encode(str(page.next_from).encode()).decode()
        top = request.query_params.get("$top")
        query = (f"$top={top}&" if top else "") + f"$skiptoken={quote(token)}"
        body["@odata.nextLink"] = f"{request.url.replace(query='')}?{query}"
    body["value"] = page.tasks
    return JSONResponse(body)


def entity(request: Request, context: str, entity: Json, status: int = 200) -> Response:
    described = {"@odata.context": f"{request.base_url}v1.0/$metadata#{context}", **entity}
    return JSONResponse(described, status)
