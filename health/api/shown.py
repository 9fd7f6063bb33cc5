"""How the API shows checks, and how it names the fields of a refused body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Schema

from health.models import Check, Dependency
from health.selectors.checks import check_get
from health.selectors.edges import Need, needs_of
from health.services.dependencies import edge_shown
from resilience_site.core.problems import FieldError, Invalid, NotFound
from resilience_site.core.versions import set_version

_OF_CHECK = (
    "id", "name", "kind", "target", "interval_seconds", "timeout_seconds", "failures_to_down",
    "successes_to_up", "degraded_above_ms", "settle_seconds", "critical", "enabled", "description",
    "runbook_url", "managed_by", "version", "created_at", "updated_at",
)  # fmt: skip
_OF_STATUS = (
    "state", "own_state", "culprit_id", "since", "flapping", "failures", "successes", "last_run_at",
    "last_status", "last_success_at", "next_due_at",
)  # fmt: skip


def checks_shown(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """The fields of `CheckOut` of rows of `check_rows`; one query more."""
    needs = needs_of([check.id for check in checks])
    return [_shown(check, needs.get(check.id, [])) for check in checks]


def _shown(check: Check, needs: Sequence[Need]) -> dict[str, Any]:
    status = check.status
    kinds = {each.hard for each in needs}
    return {
        **{name: getattr(check, name) for name in _OF_CHECK},
        **{name: getattr(status, name) for name in _OF_STATUS},
        "service": check.service_id,
        "culprit": status.culprit.name if status.culprit else None,
        "latency_ms": status.last_latency_ms,
        "output": status.last_output,
        "observed": status.last_observed,
        "depends_on": [each.parent for each in needs],
        "hard": kinds.pop() if len(kinds) == 1 else None,
    }


def check_answer(response: HttpResponse, check_id: UUID, **more: Any) -> dict[str, Any]:
    """One check with its version as the ETag. Raises `NotFound`."""
    check = check_found(check_id)
    set_version(response, check.version)
    return {**checks_shown([check])[0], **more}


def check_found(check_id: UUID) -> Check:
    """The check of a path. Raises `NotFound`."""
    try:
        return check_get(check_id)
    except Check.DoesNotExist:
        raise NotFound("There is no such check.") from None


def edge_out(edge: Dependency) -> dict[str, Any]:
    """The fields of `DependencyOut`."""
    fields = ("id", "calls", "last_seen", "created_at", "decided_at", "decided_by", "reason")
    return {**{name: getattr(edge, name) for name in fields}, **edge_shown(edge)}


def sent(request: HttpRequest, body: Schema, passed_over: Iterable[str] = ()) -> dict[str, Any]:
    """The fields that a body holds. Raises `Invalid` for one that there is not; those of
    `passed_over` are left out."""
    known, ignored = set(type(body).model_fields), set(passed_over)
    given = orjson.loads(request.body)
    if not isinstance(given, dict):
        # Of a schema that needs nothing, any other value would pass for one with no field.
        raise Invalid.field("body", "The body must be an object.")
    strange = sorted(set(given) - known - ignored)
    if strange:
        raise Invalid.field(f"body.{strange[0]}", f"There is no field {strange[0]!r}.")
    return {name: getattr(body, name) for name in body.model_fields_set}


@contextmanager
def of_body() -> Iterator[None]:
    """Name the fields of a refusal as those of the body that was sent."""
    try:
        yield
    except Invalid as problem:
        problem.errors = tuple(
            FieldError(f"body.{each.field}", each.message) for each in problem.errors
        )
        raise
