"""Alerts: what is wrong, since when, and who was told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Query, Router

from alerting.models import Alert
from alerting.schemas.alerts import AlertDetailOut, AlertOut, AlertQuery
from alerting.selectors.alerts import (
    AlertFilter,
    GroupTold,
    alert_find,
    alert_list,
    deliveries_of,
    groups_of,
)
from alerting.selectors.heard import Became
from alerting.selectors.runbooks import runbook_whole
from alerting.selectors.told import Telling, telling, tellings
from resilience_site.core.choices import Scope
from resilience_site.core.links import absolute
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import TimeRange, parse_range

router = Router(tags=["alerts"])

_SAME = (
    "id", "severity", "state", "labels", "service", "source", "started_at", "fired_at", "ended_at",
    "incident_id", "suppressed_by", "fingerprint",
)  # fmt: skip
_AHEAD = timedelta(minutes=10)


@router.get("/alerts", auth=ApiAuth(Scope.READ), response=PageOut[AlertOut])
def alerts(request: ApiRequest, query: Query[AlertQuery]) -> Page:
    """Alerts, the newest first; all that are kept, unless narrowed."""
    wanted = AlertFilter(
        state=query.state,
        service=query.service,
        severity=query.severity,
        rule=query.rule,
        q=query.q,
        suppressed=query.suppressed,
        incident=query.incident,
    )
    page = alert_list(wanted=wanted, within=_within(query), limit=query.limit, cursor=query.cursor)
    told = tellings(page.items)
    return Page([alert_shown(each, told[each.pk]) for each in page.items], page.next_cursor)


@router.get("/alerts/{uuid:alert_id}", auth=ApiAuth(Scope.READ), response=AlertDetailOut)
def alert(request: ApiRequest, alert_id: UUID) -> dict[str, Any]:
    """One alert: what its rule saw, the groups in which it is told, and what was sent."""
    found = alert_find(alert_id)
    if found is None:
        raise NotFound(f"There is no alert {alert_id}.")
    groups = groups_of(found)
    deliveries = deliveries_of(found, groups)
    return {
        **alert_shown(found, telling(found)),
        "details": found.annotations.get("details", ""),
        "runbook_url": runbook_whole(found.annotations.get("runbook_url", "")),
        "facts": found.facts,
        "groups": [_group(each) for each in groups],
        "deliveries": [
            {
                "id": each.id,
                "channel": each.channel_name,
                "state": each.state,
                "created_at": each.created_at,
                "ended_at": each.ended_at,
            }
            for each in deliveries
        ],
    }


def alert_shown(alert: Alert, told: Telling) -> dict[str, Any]:
    """The fields of `AlertOut`."""
    return {
        "told": told.told,
        "why_not_told": told.why_not,
        **{name: getattr(alert, name) for name in _SAME},
        "rule": alert.rule_name,
        "summary": alert.annotations.get("summary", ""),
        "url": absolute(f"/alerts/{alert.id}"),
    }


def _group(each: GroupTold) -> dict[str, Any]:
    return {
        "route": each.group.route_name,
        "labels": each.group.labels,
        "due_at": each.group.due_at,
        "last_flush_at": each.group.last_flush_at,
        "told": [
            {
                "channel": heard.channel,
                "at": heard.fires.made_at,
                **_became(heard.fires),
                "over": _became(heard.over) if heard.over else None,
            }
            for heard in each.told
            if heard.fires is not None
        ],
    }


def _became(message: Became) -> dict[str, Any]:
    return {
        "delivery": message.delivery,
        "state": message.state,
        "delivered_at": message.at if message.state == "delivered" else None,
        "error": message.error,
        "stood_in": message.stood_in or None,
    }


def _within(query: AlertQuery) -> TimeRange | None:
    if not query.since and not query.until:
        return None
    now = datetime.now(UTC)
    return parse_range(
        query.since, query.until or (now + _AHEAD).isoformat(), now=now, default=timedelta(days=30)
    )
