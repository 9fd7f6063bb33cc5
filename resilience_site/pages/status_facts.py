"""The facts of the public status page as plain values, for its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from breakers.selectors.notices import PublicNotice
from health.domain.public import DayTold
from health.selectors.public import IncidentTold, MaintenanceTold, OutageTold
from resilience_site.core.formatting import machine
from resilience_site.pages.public_status import Days, PublicPage


def facts(page: PublicPage, told: Days, days: Sequence[date]) -> dict[str, Any]:
    """Everything but the sentence; days without data are left out, and availability is null
    without any."""
    return {
        "services": [
            {
                "name": service.name,
                # Null: not measured, and nothing is announced of it.
                "status": service.state,
                **_availability(told.get(service.name, {}), days),
            }
            for service in page.services
        ],
        "incidents": [_incident(each) for each in page.open_incidents],
        "past_incidents": [_incident(each) for each in page.past_incidents],
        "maintenance": {
            "under_way": [_maintenance(each) for each in page.maintenance.under_way],
            "upcoming": [_maintenance(each) for each in page.maintenance.upcoming],
            "past": [_maintenance(each) for each in page.maintenance.past],
        },
        "outages": [_outage(each) for each in page.outages],
        "notices": [_notice(notice) for notice in page.notices.current],
        "past_notices": [_notice(notice) for notice in page.notices.past],
    }


def _availability(told: Mapping[date, DayTold], days: Sequence[date]) -> dict[str, Any]:
    known = {day: told[day] for day in days if day in told}
    total = DayTold(
        good=sum(each.good for each in known.values()), bad=sum(each.bad for each in known.values())
    )
    return {
        "availability": {
            "ratio": None if total.share is None else _floored(total.share),
            "window_days": len(days),
            "measured_seconds": round(total.measured),
            "unavailable_seconds": round(total.bad),
        },
        "days": [
            {
                "date": day.isoformat(),
                "status": each.level,
                "ratio": None if each.share is None else _floored(each.share),
                "unavailable_seconds": round(each.bad),
            }
            for day, each in known.items()
            if each.level is not None
        ],
    }


def _floored(share: float) -> float:
    """Six digits, never rounded up to 1."""
    return int(share * 1_000_000) / 1_000_000


def _incident(incident: IncidentTold) -> dict[str, Any]:
    return {
        "id": str(incident.id),
        "title": incident.title,
        "impact": incident.impact,
        "stage": incident.stage,
        "services": list(incident.services),
        "started_at": machine(incident.started_at),
        "resolved_at": _moment(incident.ended_at),
        "updates": [
            {
                "id": str(each.id),
                "at": machine(each.at),
                "stage": each.stage,
                "text": each.text,
            }
            for each in incident.updates
        ],
    }


def _maintenance(span: MaintenanceTold) -> dict[str, Any]:
    return {
        "id": span.key,
        "text": span.text,
        "services": list(span.services),
        "all_services": span.everything,
        "starts_at": machine(span.started_at),
        "ends_at": machine(span.ended_at),
    }


def _outage(outage: OutageTold) -> dict[str, Any]:
    return {
        "name": outage.name,
        "started_at": machine(outage.started_at),
        "ended_at": _moment(outage.ended_at),
    }


def _notice(notice: PublicNotice) -> dict[str, Any]:
    return {
        "id": str(notice.id),
        "name": notice.name,
        "level": notice.level,
        "text": notice.text,
        "started_at": machine(notice.started_at),
        "ended_at": _moment(notice.ended_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else machine(moment)
