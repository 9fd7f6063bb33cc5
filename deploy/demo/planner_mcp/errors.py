"""What goes wrong between the planner and Microsoft Graph.

Exception
 └ GraphError                  has `status`, `code`, `request_id`
    ├ GraphThrottledError      429; has `retry_after` in seconds
    ├ GraphUnavailableError    5xx
    ├ GraphAuthenticationError 401, or no token to be had
    ├ GraphConflictError       409, 412: the task was changed meanwhile
    ├ GraphNotFoundError       404
    ├ GraphTimeoutError        no answer in time
    └ GraphConnectionError     no connection, or it was lost
"""

from __future__ import annotations

from typing import Any

import httpx


class GraphError(Exception):
    """Microsoft Graph did not do what it was asked."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class GraphThrottledError(GraphError):
    """Too many requests."""


class GraphUnavailableError(GraphError):
    """The service is down or overloaded."""


class GraphAuthenticationError(GraphError):
    """The token is refused, or none could be had."""


class GraphConflictError(GraphError):
    """The task was changed by someone else meanwhile."""


class GraphNotFoundError(GraphError):
    """There is no such plan or task."""


class GraphTimeoutError(GraphError):
    """Graph did not answer in time."""


class GraphConnectionError(GraphError):
    """The connection to Graph failed."""


# What is over sooner or later, and worth another call then.
PASSING = (GraphUnavailableError, GraphTimeoutError, GraphConnectionError, GraphAuthenticationError)

_BY_STATUS: dict[int, type[GraphError]] = {
    401: GraphAuthenticationError,
    404: GraphNotFoundError,
    409: GraphConflictError,
    412: GraphConflictError,
    429: GraphThrottledError,
}


def graph_error(error: httpx.HTTPError, *, doing: str) -> GraphError:
    """The planner's own exception for one of the HTTP client's; `doing` says what was tried."""
    if isinstance(error, httpx.HTTPStatusError):
        return _from_response(error.response, doing)
    if isinstance(error, httpx.TimeoutException):
        return GraphTimeoutError(f"Microsoft Graph did not answer in time while {doing}")
    reason = type(error).__name__
    return GraphConnectionError(
        f"The connection to Microsoft Graph failed ({reason}) while {doing}"
    )


def token_error(error: httpx.HTTPError) -> GraphAuthenticationError:
    """Why no token could be had."""
    if isinstance(error, httpx.HTTPStatusError):
        described = str(_json(error.response).get("error_description", ""))
        # AADSTS descriptions end with ids and a time of their own.
        reason = described.split(" Trace ID:")[0] or f"HTTP {error.response.status_code}"
        return GraphAuthenticationError(
            f"No token for Microsoft Graph: {reason}", status=error.response.status_code
        )
    return GraphAuthenticationError(f"No token for Microsoft Graph: {type(error).__name__}")


def _from_response(response: httpx.Response, doing: str) -> GraphError:
    body = _json(response).get("error")
    described = body if isinstance(body, dict) else {}
    status = response.status_code
    kind = _BY_STATUS.get(status) or (GraphUnavailableError if status >= 500 else GraphError)
    retry_after = response.headers.get("retry-after", "")
    message = described.get("message") or response.reason_phrase
    return kind(
        f"Microsoft Graph answered {status} while {doing}: {message}",
        status=status,
        code=str(described.get("code", "")),
        request_id=response.headers.get("request-id", ""),
        retry_after=float(retry_after) if retry_after.isdigit() else None,
    )


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
