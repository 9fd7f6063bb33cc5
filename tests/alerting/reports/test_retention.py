"""Silences and groups at rest go after their time, as alerts do; incidents stay."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from alerting.models import Alert, AlertGroup, Delivery, Incident, ResilienceReport, Silence
from alerting.services.alerts import alerts_prune
from alerting.services.retention import ACCOUNTS_KEPT, history_prune
from tests.alerting.reports import scene
from tests.alerting.reports.scene import NOW, UNTIL

pytestmark = pytest.mark.django_db

OLD = NOW + timedelta(days=93)


def test_what_ended_long_ago_goes_and_what_goes_on_stays() -> None:
    scene.alert("over", "page", UNTIL, timedelta(hours=1))
    scene.alert("on", "page", UNTIL, None)
    over, on = (Alert.objects.get(rule_name=name) for name in ("over", "on"))
    incident = Incident.objects.create(
        title="Both", severity="page", started_at=UNTIL, changed_at=UNTIL
    )
    Alert.objects.update(incident=incident)
    rest = AlertGroup.objects.create(key="a", created_at=UNTIL, last_flush_at=UNTIL)
    rest.alerts.add(over)
    busy = AlertGroup.objects.create(key="b", created_at=UNTIL, last_flush_at=UNTIL)
    busy.alerts.add(on)
    told = Delivery.objects.create(
        channel_name="ops",
        purpose="alerts",
        message={},
        next_at=UNTIL,
        created_at=UNTIL,
        group=rest,
    )
    Silence.objects.create(
        id=uuid4(), matchers=[], starts_at=UNTIL, ends_at=UNTIL, reason="r", actor="a",
        created_at=UNTIL,
    )  # fmt: skip
    assert set(history_prune(now=NOW).values()) == {0}
    assert alerts_prune(now=OLD) == 1
    assert history_prune(now=OLD) == {"silences": 1, "groups": 1, "incidents": 0, "reports": 0}
    assert list(Alert.objects.values_list("rule_name", flat=True)) == ["on"]
    assert list(AlertGroup.objects.values_list("key", flat=True)) == ["b"]
    told.refresh_from_db()
    assert told.group_id is None
    assert list(incident.alerts.all()) == [on]


def test_incidents_and_reports_go_after_more_than_a_year_and_open_ones_stay() -> None:
    for title, state, ended in (("over", "resolved", UNTIL), ("open", "open", None)):
        Incident.objects.create(
            title=title, state=state, severity="page", started_at=UNTIL, ended_at=ended,
            changed_at=UNTIL,
        ).entries.create(at=UNTIL, kind="note", text="n", ref=title)  # fmt: skip
    for day in range(2):
        made = UNTIL + timedelta(days=day)
        ResilienceReport.objects.create(
            since=made, until=made + timedelta(days=1), made_at=made, made_by="anna", figures={}
        )
    assert set(history_prune(now=UNTIL + ACCOUNTS_KEPT).values()) == {0}
    pruned = history_prune(now=UNTIL + ACCOUNTS_KEPT + timedelta(hours=1))
    assert (pruned["incidents"], pruned["reports"]) == (1, 1)
    (left,) = Incident.objects.all()
    assert left.title == "open"
    assert left.entries.count() == 1
    assert ResilienceReport.objects.get().made_at == UNTIL + timedelta(days=1)
