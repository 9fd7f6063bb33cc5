"""What healing came to, in the story's metrics and among the trends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.selectors.report_healing import healing_kept, healing_runs
from healing.models import HealingRun, HealingStep
from healing.services.retention import RUNS_KEPT
from resilience_site.core.timerange import TimeRange
from resilience_site.probes.collectors import COLLECTORS
from resilience_site.probes.healing_collectors import HEALING_COLLECTORS
from resilience_site.probes.story_metrics import STORY_METRICS

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def ran(
    now: datetime, state: str, *, workflow: str = "warm_cache", ago: float = 10, **more: Any
) -> HealingRun:
    """A run of 30 seconds that ended so many minutes ago, of one step."""
    ended = now - ago * MINUTE
    step = more.pop("step", "succeeded")
    run = HealingRun.objects.create(
        workflow=workflow, version=1, definition={}, target_kind="service", target="planner",
        service=more.pop("service", "planner"), mode="auto", state=state,
        trigger_kind="check_failed", requested_by="healing", created_at=ended - MINUTE,
        started_at=more.pop("started_at", ended - MINUTE / 2), ended_at=ended, deadline=now, **more,
    )  # fmt: skip
    HealingStep.objects.create(
        run=run, n=1, name="a", action="warm_cache", resolved="warm_requests", state=step,
        attempt=1, started_at=ended - MINUTE, ended_at=ended,
    )  # fmt: skip
    return run


def samples(name: str, now: datetime) -> dict[tuple[str, ...], float]:
    return dict(COLLECTORS[name](now))


def test_every_metric_of_healing_has_its_collector() -> None:
    wanted = {metric.name for metric in STORY_METRICS if metric.owner == "healing"}
    assert wanted == set(HEALING_COLLECTORS)
    assert wanted <= set(COLLECTORS)


def test_metrics_are_of_what_acted_and_ended_in_the_last_day(now: datetime) -> None:
    ran(now, "succeeded")
    ran(now, "succeeded", failed_again_at=now)
    ran(now, "escalated", step="failed")
    ran(now, "escalated", step="compensated")
    ran(now, "cancelled", started_at=None, step="skipped", refused_by="cooldown")
    ran(now, "succeeded", dry_run=True, step="failed")
    ran(now, "succeeded", workflow="old", ago=25 * 60)
    ran(now, "succeeded", workflow="restart_service")
    assert samples("resilience_healing_run_success_ratio", now) == {
        ("restart_service",): 1.0, ("warm_cache",): 0.25,
    }  # fmt: skip
    assert samples("resilience_healing_action_success_ratio", now) == {("warm_requests",): 0.8}
    assert samples("resilience_recovery_duration_seconds", now) == {
        ("restart_service",): 30.0, ("warm_cache",): 30.0,
    }  # fmt: skip


def test_reports_count_runs_as_long_as_they_are_kept(now: datetime) -> None:
    long_ago = 60 * 24 * 60.0
    for ago in (10.0, long_ago):
        ran(now, "succeeded", ago=ago)
        ran(now, "succeeded", ago=ago, failed_again_at=now)
        ran(now, "escalated", ago=ago)
        ran(now, "cancelled", ago=ago)
        ran(now, "cancelled", ago=ago, started_at=None, refused_by="cooldown")
        ran(now, "succeeded", ago=ago, dry_run=True)
    for ago in (timedelta(), long_ago * MINUTE):
        found = healing_runs(TimeRange(now - ago - timedelta(hours=1), now - ago))
        assert (found.runs, found.succeeded, found.failed) == (4, 1, 2)
        assert found.ratio == pytest.approx(1 / 3)
    assert healing_runs(TimeRange(now - timedelta(days=30), now - timedelta(days=1))).runs == 0
    assert healing_kept() == {"Healing runs": RUNS_KEPT}


def test_success_of_healing_is_a_trend(now: datetime, viewer: Client) -> None:
    ran(now, "succeeded")
    ran(now, "escalated")
    ran(now, "failed", service="graph")
    question = {
        "metric": "healing_success", "step": 3600,
        "since": (now - timedelta(hours=2)).isoformat().replace("+00:00", "Z"),
        "until": (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    for service, expected, runs in (("", 1 / 3, 3), ("planner", 0.5, 2), ("graph", 0.0, 1)):
        found = viewer.get("/api/v1/trends", {**question, "service": service}).json()
        assert (found["title"], found["unit"]) == ("Success of self-healing", "1")
        points = [point for point in found["points"] if point["count"]]
        assert [(point["value"], point["count"]) for point in points] == [
            (pytest.approx(expected), runs)
        ]
