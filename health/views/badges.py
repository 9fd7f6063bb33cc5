"""Badges of services and checks, for readmes and dashboards elsewhere.

Everybody may see those of services with a public name, and learns no other name from them; all
others need a key or a session.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from health.domain.badge import Badge, badge_svg
from health.models import Check, Service
from health.selectors.badges import (
    STATE,
    Reading,
    check_reading,
    service_find,
    service_reading,
)
from health.selectors.catalogue import service_get
from health.selectors.checks import check_get
from resilience_site.core.badges import badge_for
from resilience_site.core.choices import Scope
from resilience_site.core.formatting import duration
from resilience_site.core.permissions import ApiAuth
from resilience_site.core.problems import NotFound, Problem, problem_response

FRESH_SECONDS: Final = 30
SHARED_SECONDS: Final = 5
_KEPT: Final = 1_000
_MET: Final = {True: "ok", False: "bad", None: "idle"}
_AUTH: Final = ApiAuth(Scope.READ)


@require_safe
def service_badge(request: HttpRequest, service: str) -> HttpResponse:
    """The badge of a service, by its name or its public one."""
    now = datetime.now(UTC)
    try:
        found = service_find(service)
        known = _let_in(request, found)
        if found is None:
            raise NotFound("There is no such service.")
        metric = _metric(request)
        if known:
            reading = service_reading(found, metric, now=now)
        else:
            reading = _of_service(found.name, metric, _slot(now))
    except Problem as problem:
        return problem_response(problem, request.path)
    return _answer(request, _name(found, known), reading, public=not known)


@require_safe
def check_badge(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """The badge of a check; strangers see it under the public name of its service."""
    now = datetime.now(UTC)
    try:
        check = _check(check_id)
        known = _let_in(request, check.service if check else None)
        if check is None:
            raise NotFound("There is no such check.")
        metric = _metric(request)
        if known:
            reading = check_reading(check, metric, now=now)
        else:
            reading = _of_check(check.id, metric, _slot(now))
    except Problem as problem:
        return problem_response(problem, request.path)
    label = check.name if known else check.service.public_name
    return _answer(request, label, reading, public=not known)


def _slot(now: datetime) -> int:
    return int(now.timestamp() // SHARED_SECONDS)


# Strangers may ask as often as they like: the store is asked once a slot.
@lru_cache(maxsize=_KEPT)
def _of_service(name: str, metric: str, slot: int) -> Reading:
    return service_reading(service_get(name), metric, now=datetime.now(UTC))


@lru_cache(maxsize=_KEPT)
def _of_check(check_id: UUID, metric: str, slot: int) -> Reading:
    return check_reading(check_get(check_id), metric, now=datetime.now(UTC))


def forget() -> None:
    """Ask the store anew for the next badge."""
    _of_service.cache_clear()
    _of_check.cache_clear()


def _let_in(request: HttpRequest, service: Service | None) -> bool:
    """Whether whoever asks may read all names. Raises `Unauthorized` and `Forbidden` for those who
    may not and ask for what is not public, or not there: they do not learn which."""
    try:
        _AUTH(request)
    except Problem:
        if service is None or not service.public_name:
            raise
        return False
    return True


def _check(check_id: UUID) -> Check | None:
    try:
        return check_get(check_id)
    except Check.DoesNotExist:
        return None


def _metric(request: HttpRequest) -> str:
    return request.GET.get("metric", "") or STATE


def _name(service: Service, known: bool) -> str:
    return service.name if known and not service.public_name else service.public_name


def _answer(request: HttpRequest, label: str, reading: Reading, *, public: bool) -> HttpResponse:
    svg = badge_svg(_drawn(label, reading)).encode()
    response = HttpResponse(svg, content_type="image/svg+xml")
    response.headers["ETag"] = f'"{hashlib.sha256(svg).hexdigest()[:24]}"'
    scope = "public" if public else "private"
    response.headers["Cache-Control"] = f"{scope}, max-age={FRESH_SECONDS}"
    patch_vary_headers(response, ["Authorization", "Cookie"])
    known = get_conditional_response(request, response.headers["ETag"], response=response)
    return known or response


def _drawn(label: str, reading: Reading) -> Badge:
    titled = f"{label} {reading.note}" if reading.note else label
    if reading.kind == STATE:
        shown = badge_for("health", reading.value)
        return Badge(titled, shown.word, shown.tone)
    if reading.kind == "availability":
        return Badge(titled, str(reading.value), _MET[reading.met])
    latency = reading.value
    if not isinstance(latency, float):
        return Badge(titled, "n/a", "idle")
    return Badge(titled, duration(latency / 1000), "info")
