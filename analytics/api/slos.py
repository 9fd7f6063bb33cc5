"""Service level objectives: what is promised, and what is left of the budgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router, Status

from analytics.models import Slo
from analytics.schemas.slos import SloChange, SloIn, SloMadeOut, SloOut, SloQuery, SloReasonQuery
from analytics.selectors.slo_counts import slow_from
from analytics.selectors.slo_notes import unknown_service
from analytics.selectors.slos import BurnRow, SloFigures, slo_figures, slo_get, slo_list
from analytics.services.slos import slo_change, slo_create, slo_delete
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["slos"])
_READ, _OPERATE = ApiAuth(Scope.READ), ApiAuth(Scope.OPERATE)
_ONE = "/slos/{uuid:slo_id}"
# What an answer holds beside what can be changed: sent back, it is passed over.
_TOLD = set(SloMadeOut.model_fields) - set(SloChange.model_fields)


@router.get("/slos", auth=_READ, response=PageOut[SloOut])
def slos(request: ApiRequest, query: Query[SloQuery]) -> Page:
    """All objectives by service, each with its budget and its burn rates."""
    rows = slo_list()
    if query.service:
        rows = rows.filter(service=query.service)
    if query.kind:
        rows = rows.filter(kind=query.kind)
    page = keyset_page(
        rows, by=("service", "id"), types=(str, UUID), cursor=query.cursor, limit=query.limit
    )
    return Page(_out(page.items), page.next_cursor)


@router.post("/slos", auth=_OPERATE, response={201: SloMadeOut})
def slo_post(request: ApiRequest, response: HttpResponse, body: SloIn) -> Status[dict[str, Any]]:
    """Set an objective for a service; one that nothing is known of yet is said in `notes`."""
    sent(request, body)
    given = {name: getattr(body, name) for name in SloIn.model_fields}
    unknown = unknown_service(body.service) if isinstance(body.service, str) else ""
    with of_body():
        row = slo_create(**given, actor=request.auth, now=datetime.now(UTC))
    return Status(201, {**_answer(response, row), "notes": [unknown] if unknown else []})


@router.get(_ONE, auth=_READ, response=SloOut)
def slo_one(request: ApiRequest, response: HttpResponse, slo_id: UUID) -> dict[str, Any]:
    """One objective; its ETag is the version that a write may name in `If-Match`."""
    with _found(slo_id):
        return _answer(response, slo_get(slo_id))


@router.api_operation(["PUT", "PATCH"], _ONE, auth=_OPERATE, response=SloOut)
def slo_put(
    request: ApiRequest, response: HttpResponse, slo_id: UUID, body: SloChange
) -> dict[str, Any]:
    """Change the fields that are sent."""
    changes = sent(request, body, _TOLD)
    with of_body():
        row = slo_change(
            slo_id=slo_id, reason=changes.pop("reason", ""), changes=changes,
            if_match=if_match(request), actor=request.auth, now=datetime.now(UTC),
        )  # fmt: skip
    return _answer(response, row)


@router.delete(_ONE, auth=_OPERATE, response={204: None})
def slo_remove(request: ApiRequest, slo_id: UUID, query: Query[SloReasonQuery]) -> Status[None]:
    """Delete an objective; one that the site set of its own accord is not set again."""
    slo_delete(
        slo_id=slo_id, reason=query.reason, if_match=if_match(request), actor=request.auth,
        now=datetime.now(UTC),
    )  # fmt: skip
    return Status(204, None)


@contextmanager
def _found(slo_id: UUID) -> Iterator[None]:
    try:
        yield
    except Slo.DoesNotExist:
        raise NotFound(f"There is no objective {slo_id}.") from None


def _answer(response: HttpResponse, row: Slo) -> dict[str, Any]:
    set_version(response, row.version)
    return _out([row])[0]


_FIELDS = (
    "id", "service", "kind", "source", "objective", "window_days", "threshold_ms", "min_bad",
    "enabled", "origin", "version", "created_at", "created_by", "changed_at", "changed_by",
)  # fmt: skip


def _out(rows: Iterable[Slo]) -> list[dict[str, Any]]:
    return [_shown(each) for each in slo_figures(rows, datetime.now(UTC))]


def _shown(found: SloFigures) -> dict[str, Any]:
    slo, budget = found.slo, found.budget
    return {
        **{name: getattr(slo, name) for name in _FIELDS},
        "counted_slow_from_ms": slow_from(slo),
        "at": found.at,
        "since": found.since,
        "state": found.state,
        "unit": slo.terms.unit,
        "bad": budget.bad,
        "total": budget.total,
        "allowed": budget.allowed,
        "budget_left": budget.left,
        "burn_rates": [
            {
                "window_seconds": each.seconds,
                "bad": each.bad,
                "total": each.total,
                "rate": each.burn,
            }
            for each in found.burns
        ],
        "rows": [_row(row) for row in found.rows],
        "exhausted_at": found.ending.at,
        "forecast": found.ending.words,
    }


def _row(row: BurnRow) -> dict[str, Any]:
    same = ("severity", "threshold", "needed", "over", "guard", "holds", "words")
    return {
        **{name: getattr(row, name) for name in same},
        "long_seconds": row.long.seconds,
        "short_seconds": row.short.seconds,
    }
