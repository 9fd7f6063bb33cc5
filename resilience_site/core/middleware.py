"""Whatever goes wrong under `/api/v1/` is told as `application/problem+json`.

Unknown paths, wrong methods, refused hosts, oversized bodies and crashes are answered by Django
around the API's own handlers, in HTML.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from resilience_site.core.problems import MEDIA_TYPE, problem_document

ROOT = "/api/v1"
_DETAILS = {
    400: "The request cannot be read.",
    403: "This is not allowed.",
    404: "There is nothing at this path.",
    405: "This path does not take this method.",
    413: "The body is too large.",
    500: "The site failed to answer; its log says why.",
}


@sync_and_async_middleware
def problem_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    if iscoroutinefunction(get_response):

        async def awaiting(request: HttpRequest) -> HttpResponseBase:
            response: Awaitable[HttpResponseBase] = get_response(request)
            return _as_problem(request, await response)

        return awaiting

    def calling(request: HttpRequest) -> HttpResponseBase:
        return _as_problem(request, get_response(request))

    return calling


def _as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    path = request.path
    if response.status_code < 400 or not (path == ROOT or path.startswith(f"{ROOT}/")):
        return response
    if "json" in response.headers.get("Content-Type", "") or "HX-Redirect" in response.headers:
        return response
    status = response.status_code
    detail = _DETAILS.get(status, HTTPStatus(status).phrase)
    problem = HttpResponse(
        orjson.dumps(problem_document(status, detail, path)), status=status, content_type=MEDIA_TYPE
    )
    if "Allow" in response.headers:
        problem.headers["Allow"] = response.headers["Allow"]
    return problem
