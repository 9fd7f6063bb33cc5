"""Silences: made with a reason and an end, previewed, ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ninja import Query, Router, Status

from alerting.api.shown import moment
from alerting.models import Silence
from alerting.schemas.routing import (
    PreviewOut,
    SilenceIn,
    SilenceOut,
    SilencePreviewIn,
    SilenceQuery,
)
from alerting.selectors.silences import (
    Hits,
    silence_find,
    silence_hits,
    silence_list,
    silence_state,
)
from alerting.services.silences import silence_create, silence_end, silence_matchers
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound

router = Router(tags=["silences"])

_ONE = "/alerts/silences/{uuid:silence_id}"
_SAME = (
    "id", "matchers", "starts_at", "ends_at", "reason", "actor", "created_at", "ended_by", "held",
    "last_held_at",
)  # fmt: skip


@router.get("/alerts/silences", auth=ApiAuth(Scope.READ), response=PageOut[SilenceOut])
def silences(request: ApiRequest, query: Query[SilenceQuery]) -> Page:
    """All silences, the newest first; they stay for the record."""
    now = datetime.now(UTC)
    page = keyset_page(
        silence_list(query.state, now),
        by=("-created_at", "-id"),
        types=(datetime, UUID),
        cursor=query.cursor,
        limit=query.limit,
    )
    return Page([_shown(each, now) for each in page.items], page.next_cursor)


@router.post("/alerts/silences", auth=ApiAuth(Scope.OPERATE), response={201: SilenceOut})
def silence_post(request: ApiRequest, body: SilenceIn) -> Status[dict[str, Any]]:
    """Silence the alerts that match, for a time. What they are stays on the screens."""
    given, now = sent(request, body), datetime.now(UTC)
    with of_body():
        silence = silence_create(
            matchers=given.get("matchers"),
            ends_in=given.get("ends_in"),
            ends_at=moment(given.get("ends_at")),
            starts_at=moment(given.get("starts_at")),
            reason=given.get("reason", ""),
            actor=request.auth,
            now=now,
        )
    return Status(201, _shown(silence, now))


@router.post("/alerts/silences/preview", auth=ApiAuth(Scope.READ), response=PreviewOut)
def silence_preview(request: ApiRequest, body: SilencePreviewIn) -> dict[str, Any]:
    """What a silence would hit now, and would have hit in the last 7 days; nothing is kept."""
    with of_body():
        matchers = silence_matchers(sent(request, body).get("matchers"))
    return _hits(silence_hits(matchers, datetime.now(UTC)))


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=SilenceOut)
def silence(request: ApiRequest, silence_id: UUID) -> dict[str, Any]:
    """One silence."""
    found = silence_find(silence_id)
    if found is None:
        raise NotFound(f"There is no silence {silence_id}.")
    return _shown(found, datetime.now(UTC))


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response=SilenceOut)
def silence_delete(request: ApiRequest, silence_id: UUID) -> dict[str, Any]:
    """End a silence now; what it still holds is told. It stays for the record."""
    now = datetime.now(UTC)
    return _shown(silence_end(silence_id=silence_id, actor=request.auth, now=now), now)


def _shown(silence: Silence, now: datetime) -> dict[str, Any]:
    return {
        **{name: getattr(silence, name) for name in _SAME},
        "state": silence_state(silence, now),
    }


def _hits(hits: Hits) -> dict[str, Any]:
    return {
        "now": hits.now,
        "open": hits.now_of,
        "week": hits.week,
        "by_rule": [{"rule": rule, "alerts": count} for rule, count in hits.by_rule],
        "cut": hits.cut,
        "alerts": [
            {
                "id": each.id,
                "rule": each.rule_name,
                "severity": each.severity,
                "service": each.service,
                "summary": each.annotations.get("summary", ""),
            }
            for each in hits.listed
        ],
    }
