"""Middleware for Django, under WSGI and ASGI alike.

    MIDDLEWARE = ["breakers.runtime.middleware.django.ResilienceMiddleware", ...]

A request has the time that its caller gives, at most settings.RESILIENCE_MAX_TIMEOUT seconds. Code
that is not asynchronous cannot be interrupted: there the deadline only bounds waits and retries.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from breakers.runtime.correlation import (
    CORRELATION_HEADER,
    correlation,
    correlation_id,
    tier_of,
    timeout_of,
)
from breakers.runtime.deadlines import deadline
from breakers.runtime.errors import ResilienceError
from breakers.runtime.middleware.problems import notice_headers, problem_of
from breakers.runtime.process import default
from breakers.runtime.tiers import tier


class ResilienceMiddleware:
    """Correlation id, deadline and tier in; correlation id, notices and rejections out."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._asynchronous = inspect.iscoroutinefunction(get_response) or bool(
            getattr(get_response, "_is_coroutine_marker", False)
            or getattr(get_response, "_is_coroutine", False)
        )
        if self._asynchronous:
            importlib.import_module("asgiref.sync").markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._asynchronous:
            return self._call_async(request)
        with self._context(request) as held, deadline(self._timeout(request)):
            return self._marked(self._get_response(request), held)

    async def _call_async(self, request: Any) -> Any:
        with self._context(request) as held:
            try:
                async with deadline(self._timeout(request)):
                    response = await self._get_response(request)
            except ResilienceError as error:
                response = _response(error)
            return self._marked(response, held)

    def process_exception(self, request: Any, exception: Exception) -> Any:
        """The answer where a view was rejected; Django asks this before it makes its own."""
        return _response(exception) if isinstance(exception, ResilienceError) else None

    @contextmanager
    def _context(self, request: Any) -> Iterator[str]:
        headers = _lower(request)
        with correlation(headers.get(CORRELATION_HEADER.lower())) as held, tier(tier_of(headers)):
            request.correlation_id = held
            yield held

    def _timeout(self, request: Any) -> float:
        settings = importlib.import_module("django.conf").settings
        longest = getattr(settings, "RESILIENCE_MAX_TIMEOUT", None)
        timeout = timeout_of(_lower(request), longest)
        return float("inf") if timeout is None else timeout

    def _marked(self, response: Any, held: str) -> Any:
        response[CORRELATION_HEADER] = held
        for name, value in notice_headers(default().degradation).items():
            response[name] = value
        return response


def _lower(request: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _response(error: ResilienceError) -> Any:
    problem = problem_of(error, correlation_id())
    return importlib.import_module("django.http").HttpResponse(
        problem.body, status=problem.status, headers=problem.headers
    )
