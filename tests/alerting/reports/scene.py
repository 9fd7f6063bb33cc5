"""A week of two services with something of everything, and a calmer week before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from alerting.choices import ChannelKind
from alerting.domain.alerts import AlertChange
from alerting.models import Channel, Incident
from alerting.services.alerts import alerts_apply
from analytics.models import ErrorPattern
from breakers.models import BreakerTransition
from health.models import CheckStatus
from tests.analytics.figures.history import write_calls, write_errors
from tests.analytics.slos.scenes import slo
from tests.health.status.scenes import check, hours, outage, service

SINCE = datetime(2026, 11, 16, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=7)
NOW = UNTIL + timedelta(hours=6)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def week() -> None:
    """planner fails for ten minutes, a breaker opens, an incident begins; agent is not checked, but
    has an objective by its calls; silent has one and nothing else."""
    slo("planner", source="checks", min_bad=90)
    slo("agent", min_bad=5)
    slo("silent")
    planner = service("planner", "", SINCE - 30 * DAY)
    service("agent", "", SINCE - 30 * DAY)
    checked = check(planner, SINCE - 30 * DAY)
    CheckStatus.objects.filter(check_row=checked).update(minutes_from=NOW, hours_from=NOW)
    for day in range(14):
        down = 600.0 if day == 3 else 3.0 if day == 10 else 0.0
        hours(planner, UNTIL - (day + 1) * DAY, up=3_600.0 - down, down=down)
    outage(checked, UNTIL - 4 * DAY, 8)
    outage(checked, UNTIL - 3 * DAY, 2)
    outage(checked, SINCE - 3 * DAY, 1)
    write_calls("agent", SINCE, SINCE + HOUR, lambda _: (10, 1, 5.0), every=10 * MINUTE)
    write_calls("agent", SINCE - DAY, SINCE - DAY + HOUR, lambda _: (10, 0, 5.0), every=30 * MINUTE)
    write_errors("agent", pattern("agent"), [(SINCE + HOUR, 40), (SINCE - HOUR, 5)])
    opened(SINCE + HOUR, "closed")
    opened(SINCE + HOUR + MINUTE, "half_open")
    opened(SINCE - HOUR, "closed")
    alert("burn", "page", UNTIL - 4 * DAY, 30 * MINUTE)
    alert("burn", "page", SINCE - DAY, 5 * MINUTE)
    alert("new-pattern", "info", UNTIL - DAY, None)
    began = UNTIL - 4 * DAY
    Incident.objects.create(
        title="planner fails", state="resolved", severity="page", started_at=began,
        acknowledged_at=began + 4 * MINUTE, ended_at=began + 40 * MINUTE, changed_at=UNTIL,
        cause={"text": "pg does not answer"},
    )  # fmt: skip


def pattern(of: str) -> UUID:
    made = ErrorPattern.objects.create(
        id=uuid4(), service=of, type="httpx.HTTPStatusError", template="429 at <*>",
        rule="type and frames", version=1, state="ongoing", count=45,
        first_seen=SINCE + HOUR, last_seen=UNTIL, last_error_id=uuid4(),
    )  # fmt: skip
    return made.id


def opened(at: datetime, from_state: str) -> None:
    BreakerTransition.objects.create(
        id=uuid4(), at=at, service="planner", name="microsoft_graph", from_state=from_state,
        to_state="open", reason="", received_at=at,
    )  # fmt: skip


def alert(rule: str, severity: str, fired: datetime, lasted: timedelta | None) -> None:
    labels = {"alertname": rule, "severity": severity}
    fire = AlertChange("fire", fired, labels, rule, severity, fired)
    ends = fired + lasted if lasted else fired
    over = AlertChange("resolve", ends, labels, rule, severity, fired)
    alerts_apply([fire, over] if lasted else [fire], now=ends)


def mail_channel(name: str, *, reports: bool = True, enabled: bool = True) -> Channel:
    return Channel.objects.create(
        kind=ChannelKind.EMAIL, name=name, target={"to": [f"{name}@example.com"]},
        send_reports=reports, enabled=enabled, created_at=SINCE, changed_at=SINCE,
    )  # fmt: skip
