"""The probes' paths. They answer whoever asks, so each answer is worked out at most once a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from resilience_site.config import config
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, require_scope
from resilience_site.core.problems import NotFound, Problem, problem_response
from resilience_site.probes import groups, health_collectors
from resilience_site.probes.checks import FAIL, Outcome
from resilience_site.probes.exposition import exposition, families
from resilience_site.probes.health_json import SERVICE_ID, health_document
from resilience_site.probes.remember import Remembered, StillWaitingError
from resilience_site.probes.troubles import PARTS

Scope_ = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]

ALIVE = b'{"status": "alive"}'
HEALTH_TYPE = "application/health+json"
RETRY_AFTER = "5"

_numbers = Remembered(lambda: families(datetime.now(UTC)), seconds=2)


def forget() -> None:
    """Look at everything anew at the next request."""
    groups.forget()
    health_collectors.forget()
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
    outcomes = groups.outcomes(["ready"])
    failing = [each for each in outcomes if each.status == FAIL]
    document = {
        "status": "not_ready" if failing else "ready",
        "failing": [{"name": each.component, "reason": each.output} for each in failing],
        "working": [each.component for each in outcomes if each.status != FAIL],
    }
    return _plain(JsonResponse(document, status=503 if failing else 200))


@require_safe
def healthz(request: HttpRequest, group: str = "") -> HttpResponse:
    """Health by groups of indicators (`?group=ready,services` or `/healthz/ready`), `deep` without
    any named: JSON, or a page for those who would rather have that. Its details, and how the fleet
    is, are for people and keys that may read."""
    wanted = _groups_of(request, group)
    unknown = [name for name in wanted if name not in groups.GROUPS]
    if unknown:
        return _plain(problem_response(_no_group(unknown[0]), request.path))
    may_read = _may_read(request)
    outcomes = groups.outcomes(wanted, everything=may_read)
    status = groups.worst(outcomes)
    http_status = 503 if status == FAIL else 200
    response: HttpResponse
    if request.get_preferred_type([HEALTH_TYPE, "application/json", "text/html"]) == "text/html":
        found = {
            "status": status,
            "outcomes": outcomes if may_read else [],
            "works": _works(outcomes),
        }
        response = HttpResponse(render_to_string("pages/site.html", found), status=http_status)
    else:
        document: dict[str, Any] = {"status": status, "serviceId": SERVICE_ID}
        if may_read:
            document = health_document(status, outcomes, wanted, request.build_absolute_uri)
        response = JsonResponse(document, status=http_status)
        response.headers["Content-Type"] = HEALTH_TYPE
    response.headers["Vary"] = "Accept, Authorization, Cookie"
    return _plain(response)


def _works(outcomes: Iterable[Outcome]) -> list[str]:
    """What still works while something is wrong, in sentences."""
    ill = [PARTS[each.name] for each in outcomes if each.status == FAIL and each.name in PARTS]
    return [part.what_works for part in ill]


def _groups_of(request: HttpRequest, group: str) -> list[str]:
    named = [group, *request.GET.getlist("group")]
    wanted = [name.strip() for text in named for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(wanted)) or [groups.DEFAULT]


def _no_group(name: str) -> NotFound:
    known = ", ".join(groups.GROUPS)
    return NotFound(
        f"There is no group {name[:40]!r}; known: {known}.", allowed=list(groups.GROUPS)
    )


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
