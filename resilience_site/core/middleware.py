"""What every request passes: problems told as such, and no address that the store cannot take.

Under `/api/v1/` whatever goes wrong is `application/problem+json`: unknown paths, wrong methods,
refused hosts, oversized bodies and crashes are answered by Django around the API's own handlers,
in HTML.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import SuspiciousOperation
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


@sync_and_async_middleware
def address_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Refuse NUL in an address with 400: PostgreSQL takes it in no text, so it can match nothing."""
    if iscoroutinefunction(get_response):

        async def awaiting(request: HttpRequest) -> HttpResponseBase:
            _check_address(request)
            response: HttpResponseBase = await get_response(request)
            return response

        return awaiting

    def calling(request: HttpRequest) -> HttpResponseBase:
        _check_address(request)
        response: HttpResponseBase = get_response(request)
        return response

    return calling


def _check_address(request: HttpRequest) -> None:
    query = request.META.get("QUERY_STRING", "")
    if "\0" in request.path or "%00" in query or "\0" in query:
        raise SuspiciousOperation("The address holds a NUL character.")
