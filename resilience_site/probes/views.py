"""The probes' paths. They answer whoever asks, so each answer is worked out at most once a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

from resilience_site.config import config
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, require_scope
from resilience_site.core.problems import Problem
from resilience_site.probes import checks
from resilience_site.probes.checks import FAIL, PASS, WARN, Outcome
from resilience_site.probes.exposition import exposition, families
from resilience_site.probes.remember import Remembered, StillWaitingError

Scope_ = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]

ALIVE = b'{"status": "alive"}'
HEALTH_TYPE = "application/health+json"
RETRY_AFTER = "5"

_ready = Remembered(lambda: checks.readiness(), seconds=1)
_deep = Remembered(lambda: checks.deep(), seconds=5)
_numbers = Remembered(lambda: families(datetime.now(UTC)), seconds=2)


def forget() -> None:
    """Look at everything anew at the next request."""
    _ready.forget()
    _deep.forget()
    _numbers.forget()


def with_livez(application: Application) -> Application:
    """The ASGI application with `/livez` answered in front of it, by nothing but the event loop."""

    async def answer(scope: Scope_, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/livez":
            await application(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(ALIVE)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else ALIVE
        await send({"type": "http.response.body", "body": body})

    return answer


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process runs; nothing else is asked."""
    return _plain(HttpResponse(ALIVE, content_type="application/json"))


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served, else 503 with what fails and what still works."""
    try:
        outcomes = _ready.get()
    except StillWaitingError:
        outcomes = [Outcome("probe:time", FAIL, "the checks take longer than they may")]
    failing = [each for each in outcomes if each.status == FAIL]
    document = {
        "status": "not_ready" if failing else "ready",
        "failing": [{"name": each.component, "reason": each.output} for each in failing],
        "working": [each.component for each in outcomes if each.status != FAIL],
    }
    return _plain(JsonResponse(document, status=503 if failing else 200))


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Deep health; its details are for people and keys that may read."""
    try:
        outcomes = _deep.get()
    except StillWaitingError:
        outcomes = [Outcome("probe:time", FAIL, "the checks take longer than they may")]
    statuses = {each.status for each in outcomes}
    status = next(each for each in (FAIL, WARN, PASS) if each in statuses or each == PASS)
    document: dict[str, Any] = {"status": status, "serviceId": "resilience-site"}
    if _may_read(request):
        document["checks"] = {each.name: [_detail(each)] for each in outcomes}
    response = JsonResponse(document, status=503 if status == FAIL else 200)
    response.headers["Content-Type"] = HEALTH_TYPE
    return _plain(response)


@require_safe
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Prometheus text, open unless RESILIENCE_METRICS_PUBLIC is false."""
    return _metrics(request) if config.resilience_metrics_public else _guarded_metrics(request)


def _metrics(request: HttpRequest) -> HttpResponse:
    try:
        numbers = _numbers.get()
    except StillWaitingError:
        return _plain(HttpResponse("The numbers take longer than they may.", status=503))
    body, content_type = exposition(numbers, request.headers.get("Accept", ""))
    return _plain(HttpResponse(body, content_type=content_type))


_guarded_metrics = require_scope(Scope.READ)(_metrics)


def _detail(outcome: Outcome) -> dict[str, Any]:
    detail: dict[str, Any] = {"componentType": outcome.kind, "status": outcome.status}
    if outcome.value is not None:
        detail |= {"observedValue": outcome.value, "observedUnit": outcome.unit}
    if outcome.output:
        detail["output"] = outcome.output
    return detail


def _may_read(request: HttpRequest) -> bool:
    try:
        ApiAuth(Scope.READ)(request)
    except (Problem, DatabaseError, InterfaceError):
        # A session or key that cannot be looked up opens nothing.
        return False
    return True


def _plain(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "no-store"
    if response.status_code == 503:
        response.headers["Retry-After"] = RETRY_AFTER
    return response
