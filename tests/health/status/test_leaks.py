"""Nothing internal stands on the public page, whatever it is called."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakers.models import Notice
from health.models import Check, CheckStatus, Maintenance, Outage, PublicIncident, Service
from health.services.incidents import incident_open, incident_resolve, incident_update
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind
from resilience_site.pages import status
from tests.health.status import scenes
from tests.health.status.scenes import DAY

pytestmark = pytest.mark.usefixtures("empty_site")
PATHS = ["/status", "/status.json", "/status/feed.rss"]

# Marked, so that finding one in a page is no chance; around the mark anything may stand.
_words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_names = st.tuples(_words, _words).map(lambda ends: f"{ends[0]}Qx9zInternal{ends[1]}")


def busy(now: datetime, name: str) -> None:
    """All that the page can tell, with `name` in each place that is not meant for the public."""
    by = Actor(ActorKind.USER, f"{name}-person")
    hour = timedelta(hours=1)
    planner = scenes.service(f"{name}-planner", "Planner", now, "critical")
    hidden = scenes.service(f"{name}-hidden", "", now)
    Service.objects.update(description=name, environment="Qx9zInternal")
    probe = scenes.check(planner, now, "down", name=f"{name}-probe")
    other = scenes.check(hidden, now, "down", name=f"{name}-other")
    Check.objects.update(description=name, target={"host": name})
    CheckStatus.objects.update(last_output=name, culprit=other)
    for minutes in (3, None):
        scenes.outage(probe, now - (DAY if minutes else hour), minutes, culprit=f"{name}-other")
        scenes.outage(other, now - 2 * DAY if minutes else now, minutes)
    Outage.objects.update(output=name)
    scenes.hours(planner, now - DAY, up=1_800, down=1_800)
    scenes.hours(hidden, now - DAY, down=3_600)
    for starts in (-2 * DAY, -hour, DAY):
        made = scenes.window(
            now, "Works.", planner, hidden, starts=starts, lasts=2 * hour, name=f"{name}-window"
        )
        made.checks.set([probe, other])
    Maintenance.objects.update(reason=name, actor=name)
    for resolved in (False, True):
        made = incident_open(
            title="It is slow", impact="degraded", services=[planner.name, hidden.name],
            text="We look.", actor=by, now=now - 2 * hour,
        )  # fmt: skip
        incident_update(
            incident_id=made.id, stage="identified", text="Found.", actor=by, now=now - hour
        )
        if resolved:
            incident_resolve(incident_id=made.id, actor=by, now=now)
    for service, ended in ((planner, None), (hidden, None), (hidden, now)):
        Notice.objects.create(
            service=service.name, level="reduced", text="Old plans.", started_at=now - hour,
            ended_at=ended,
        )  # fmt: skip


def empty() -> None:
    for model in (Outage, PublicIncident, Maintenance, Notice, Check, Service):
        model._default_manager.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE health_servicehour")
    status.forget()


def bodies() -> dict[str, str]:
    found = {}
    for path in PATHS:
        answer = Client().get(path)
        assert answer.status_code == 200, path
        found[path] = html.unescape(answer.text)
    return found


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=_names)
def test_no_internal_name_reason_output_or_person_is_told(name: str) -> None:
    empty()
    busy(datetime.now(UTC), name)
    for path, body in bodies().items():
        assert "Planner" in body, path
        for secret in ("Qx9zInternal", "db-7.internal", "connection refused", "-person"):
            assert secret not in body, (path, secret)


def keys(value: Any) -> set[str]:
    """The names of all members of a document."""
    if isinstance(value, dict):
        return {*value, *(name for each in value.values() for name in keys(each))}
    return {name for each in value for name in keys(each)} if isinstance(value, list) else set()


def test_the_json_tells_these_members_and_no_others(now: datetime) -> None:
    busy(now, "secret")
    assert keys(orjson.loads(bodies()["/status.json"])) == {
        "status", "sentence", "updated_at", "services", "incidents", "past_incidents",
        "maintenance", "outages", "notices", "past_notices",
        "name", "availability", "days", "ratio", "window_days", "measured_seconds",
        "unavailable_seconds", "date",
        "id", "title", "impact", "stage", "started_at", "resolved_at", "updates", "at", "text",
        "under_way", "upcoming", "past", "all_services", "starts_at", "ends_at",
        "ended_at", "level",
    }  # fmt: skip


def test_the_number_of_queries_does_not_grow_with_what_there_is(now: datetime) -> None:
    def count() -> int:
        status.forget()
        with CaptureQueriesContext(connection) as queries:
            assert Client().get("/status").status_code == 200
        return len(queries)

    busy(now, "first")
    before = count()
    busy(now, "second")
    busy(now, "third")
    assert count() == before <= 20
