"""A storm makes hundreds of incidents: their accounts cost little, and take turns."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test import Client

from alerting.models import Alert, AlertGroup, Delivery, Incident, IncidentEntry
from alerting.selectors import incident_following, incident_lines
from alerting.selectors.incidents import (
    BY_URGENCY,
    active_incidents,
    incident_list,
    with_urgency,
)
from alerting.services import incident_follow, incident_timeline
from alerting.services.alone import alone
from alerting.services.incident_timeline import AT_ONCE, timelines_follow
from alerting.views import incidents as incident_views
from health.models import Maintenance, Service
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import check, fire, follow, incident_of, opened, tell
from tests.patience import PATIENCE

INCIDENTS = 200
ALERTS = 4_000
CHANNELS = 3
# Each of them has sent two messages to each channel.
GROUPS = 2
DELIVERIES = 2 * GROUPS * CHANNELS
# Some of each batch, and a few of the turn.
MOST_QUERIES = 25 * INCIDENTS // AT_ONCE + 25


def storm(incidents: int = INCIDENTS, alerts: int = ALERTS) -> None:
    """So many incidents, of a service each, whose alerts are in a few groups: all of them in each."""
    with connection.cursor() as cursor:
        values = {
            "at": scene.NOW, "incidents": incidents, "alerts": alerts, "groups": GROUPS,
            "channels": CHANNELS,
        }  # fmt: skip
        cursor.execute(
            """
            WITH incident AS (
                INSERT INTO alerting_incident (id, title, state, severity, started_at,
                    acknowledged_by, assigned_to, culprit, services, cause, impact,
                    public_follows, resolved_by, cursor, changed_at, version)
                SELECT gen_random_uuid(), 's' || n || ' fails', 'open', 'page', %(at)s, '', '', '',
                    jsonb_build_array('s' || n), '{}', '{}', false, '', 0, %(at)s, 1
                FROM generate_series(0, %(incidents)s - 1) n
                RETURNING id, services ->> 0 AS service
            ), channel AS (
                INSERT INTO alerting_channel (id, kind, name, target, sealed, send_resolved,
                    send_reports, enabled, failures, paused_why, created_at, changed_at,
                    changed_by, version)
                SELECT gen_random_uuid(), 'webhook', 'ops' || n, '{}', '', true, false, true, 0,
                    '', %(at)s, %(at)s, '', 1
                FROM generate_series(1, %(channels)s) n RETURNING id, name
            ), alert AS (
                INSERT INTO alerting_alert (id, rule_name, source, fingerprint, labels,
                    annotations, facts, severity, state, service, started_at, fired_at,
                    changed_at, suppressed_by, incident_id)
                SELECT gen_random_uuid(), 'down', 'rule', lpad(n::text, 64, '0'), '{}', '{}',
                    '{}', 'page', 'firing', service, %(at)s, %(at)s, %(at)s, '[]', incident.id
                FROM generate_series(1, %(alerts)s) n
                JOIN incident ON service = 's' || n %% %(incidents)s RETURNING id
            ), place AS (
                INSERT INTO alerting_alertgroup (key, labels, route_name, created_at)
                SELECT n::text, '{}', 'all', %(at)s FROM generate_series(1, %(groups)s) n
                RETURNING id
            ), member AS (
                INSERT INTO alerting_alertgroup_alerts (alertgroup_id, alert_id)
                SELECT place.id, alert.id FROM place, alert
            )
            INSERT INTO alerting_delivery (id, channel_id, channel_name, purpose, group_id,
                message, state, attempts, next_at, fence, created_at, ended_at, last_error)
            SELECT gen_random_uuid(), channel.id, channel.name, 'alerts', place.id,
                jsonb_build_object('title', 'much fires', 'text', repeat(md5(n::text), 500)),
                'delivered', 1, %(at)s, 1, %(at)s, %(at)s, ''
            FROM place, channel, generate_series(1, 2) n
            """,
            values,
        )
        # As the planner sees them who has seen the storm.
        cursor.execute(
            "ANALYZE alerting_incident, alerting_alert, alerting_alertgroup_alerts, "
            "alerting_delivery, alerting_incidententry"
        )


@contextmanager
def counted() -> Iterator[list[str]]:
    """The queries of a block."""
    found: list[str] = []

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        found.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        yield found


@pytest.fixture(autouse=True)
def restarted() -> None:
    """As in another process, which knows nothing of the turns before."""
    forget()


def forget() -> None:
    incident_timeline._Memory.at = None


@contextmanager
def followed_elsewhere() -> Iterator[None]:
    """As while another worker goes on with timelines."""
    begun, over = threading.Event(), threading.Event()

    def follows() -> None:
        try:
            with alone(incident_timeline._LOCK):
                begun.set()
                over.wait(PATIENCE)
        finally:
            connection.close()

    thread = threading.Thread(target=follows)
    thread.start()
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        thread.join()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def rows_read(sql: str, values: dict[str, Any] | tuple[Any, ...]) -> Counter[str]:
    """How many rows a statement takes out of each table."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
        (answer,) = cursor.fetchone()
    plan = (orjson.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    found: Counter[str] = Counter()
    for each in nodes(plan):
        if "Relation Name" in each:
            found[each["Relation Name"]] += round(each["Actual Rows"] * each["Actual Loops"])
    return found


def behind() -> set[str]:
    """The incidents whose timelines have nothing yet."""
    return set(Incident.objects.filter(entries=None).values_list("title", flat=True))


def test_a_storm_costs_queries_by_batches_of_incidents_and_a_quiet_turn_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storm()
    tell(*(opened(f"s{n}") for n in range(INCIDENTS)))
    with counted() as queries:
        assert timelines_follow(now=scene.at(1)) == INCIDENTS * (DELIVERIES + 1)
    assert len(queries) < MOST_QUERIES
    # What the turn told of itself is in the journal, and of no timeline.
    with counted() as queries:
        assert timelines_follow(now=scene.at(1)) == 0
    assert len(queries) < MOST_QUERIES
    assert not [sql for sql in queries if "alertgroup_alerts" in sql or "incidententry" in sql]
    with counted() as queries:
        assert timelines_follow(now=scene.at(1)) == 0
    assert len(queries) < 10
    forget()
    assert timelines_follow(now=scene.at(1)) == 0
    told = IncidentEntry.objects.filter(kind="delivery").values_list("text", flat=True)
    assert set(told) == {f"ops{n} was told: much fires" for n in range(1, CHANNELS + 1)}


def test_who_was_told_of_many_alerts_is_read_once_and_not_once_for_each_alert() -> None:
    storm()
    some = list(Incident.objects.order_by("id").values_list("id", flat=True)[:AT_ONCE])
    values = {"incidents": some, "limit": incident_timeline.MOST_OF_A_KIND}
    assert len(incident_lines.deliveries_untold(some, DELIVERIES + 1)) == AT_ONCE * DELIVERIES
    read = rows_read(incident_lines._DELIVERIES, values)
    assert 0 < read["alerting_alertgroup_alerts"] <= GROUPS * ALERTS
    assert 0 < read["alerting_delivery"] <= AT_ONCE * DELIVERIES


def test_a_message_that_ends_later_is_told_in_the_timelines_of_its_group_alone() -> None:
    storm(4, 40)
    lonely = fire("alone")
    follow()
    timelines_follow(now=scene.at(1))
    late = Delivery.objects.order_by("id")[0]
    late.pk, late.channel_name, late.ended_at = uuid4(), "late", scene.at(2)
    late.save(force_insert=True)
    assert timelines_follow(now=scene.at(2)) == 4
    told = IncidentEntry.objects.filter(text__startswith="late was told")
    assert told.values("incident").distinct().count() == 4
    assert not told.filter(incident=incident_of(lonely)).exists()
    # An alert of the group that joins another incident brings it who was told of it.
    Alert.objects.filter(id=lonely.id).update(incident=None)
    AlertGroup.objects.get(pk=late.group_id).alerts.add(lonely)
    follow(3)
    timelines_follow(now=scene.at(3))
    assert told.filter(incident=incident_of(lonely)).count() == 1


def test_a_turn_ends_after_a_while_and_the_next_goes_on_with_those_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incident_timeline, "TURN_SECONDS", 0)
    monkeypatch.setattr(incident_timeline, "AT_ONCE", 3)
    storm(7, 7)
    left = []
    for n in range(3):
        # What goes on meanwhile of those that had their turn does not put it before the others.
        tell(*(opened(f"s{service}", instance=f"a-{n}") for service in range(7)))
        timelines_follow(now=scene.at(1))
        left.append(len(behind()))
    assert left == [4, 1, 0]


def test_a_turn_that_joins_alerts_ends_after_a_while_and_the_next_takes_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incident_follow, "TURN_SECONDS", 0)
    for module in (incident_follow, incident_following):
        monkeypatch.setattr(module, "BATCH", 3)
    for n in range(7):
        fire("down", service=f"s{n}")
    assert [follow().joined for _ in range(4)] == [3, 3, 1, 0]
    assert Incident.objects.count() == 7


@pytest.mark.parametrize("severity", ["page", "info"])
def test_alerts_that_stay_of_no_incident_keep_no_later_ones_from_theirs(
    monkeypatch: pytest.MonkeyPatch, severity: str
) -> None:
    """Those in a maintenance, and those that open none, are the oldest in each turn."""
    for module in (incident_follow, incident_following):
        monkeypatch.setattr(module, "BATCH", 3)
    check("planner", "planner")
    window = Maintenance.objects.create(
        name="new pool", kind="single", starts_at=scene.at(-10), ends_at=scene.at(5), reason="pool",
        actor="ada", created_at=scene.at(-10),
    )  # fmt: skip
    window.services.set(Service.objects.filter(name="planner"))
    page = fire("down", service="billing", minute=-6)
    assert follow(-6).opened == 1
    # More than one batch of one time, in the middle of which the first one ends.
    stay = [fire(minute=-5, severity=severity) for _ in range(7)]
    later = fire("slow", service="billing", minute=-1, severity=severity)
    with counted() as queries:
        assert follow().joined == 1
    assert incident_of(later) == incident_of(page)
    assert Alert.objects.filter(incident=None).count() == len(stay)
    # None of them is looked at twice in a turn.
    assert sum("pg_try_advisory" in each for each in queries) == 3


def test_alerts_join_hundreds_of_incidents_at_once() -> None:
    for n in range(7):
        fire("down", service=f"s{n}")
    follow()
    for n in range(7):
        fire("slow", service=f"s{n}")
    with counted() as queries:
        assert follow().joined == 7
    assert sum(each.startswith("UPDATE alerting_alert ") for each in queries) == 1
    assert not any(each.startswith('UPDATE "alerting_alert"') for each in queries)
    assert sum("COUNT(" in each and "alerting_incidententry" in each for each in queries) == 1
    for incident in Incident.objects.all():
        alerts = Alert.objects.filter(incident=incident)
        assert {each.service for each in alerts} == set(incident.services)
        assert incident.entries.filter(kind="alert").count() == len(alerts) == 2


def test_one_at_a_time_goes_on_with_timelines() -> None:
    storm(2, 2)
    with followed_elsewhere():
        assert timelines_follow(now=scene.at(1)) == 0
        assert timelines_follow(now=scene.at(1)) == 0
    assert len(behind()) == 2
    assert timelines_follow(now=scene.at(1)) == 2 * DELIVERIES
    # A turn that has ended is in nobody's way.
    with followed_elsewhere():
        assert timelines_follow(now=scene.at(2)) == 0


def test_timelines_that_fail_keep_no_others_from_going_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incident_timeline, "AT_ONCE", 1)
    storm(3, 3)
    read = incident_timeline.journal_of

    def fails(services: set[str], **more: Any) -> Any:
        if "s0" in services:
            raise ValueError("a journal that cannot be read")
        return read(services, **more)

    with monkeypatch.context() as patch:
        patch.setattr(incident_timeline, "journal_of", fails)
        with pytest.raises(ExceptionGroup):
            timelines_follow(now=scene.at(1))
    assert behind() == {"s0 fails"}
    timelines_follow(now=scene.at(1))
    assert behind() == set()


def test_the_page_of_a_storm_says_how_many_alerts_there_are_and_leads_to_them_all(
    viewer: Client,
) -> None:
    storm(1, 250)
    incident = Incident.objects.get()
    early = list(Alert.objects.order_by("id").values_list("id", flat=True)[:240])
    Alert.objects.filter(id__in=early).update(started_at=scene.at(-1), severity="ticket")
    page = viewer.get(f"/incidents/{incident.id}").content.decode()
    assert page.count("250 of 250 alerts fire") == 2
    assert "shown fire" not in page
    assert "194 more alerts" in page
    assert "The 200 most urgent stand here." in page
    link = f'href="/alerts?incident={incident.id}"'
    assert f"{link}>All 250 alerts of it</a>" in page
    # The most urgent are the first, however late they began.
    panel = page[page.index('id="alerts"') : page.index('id="more-alerts"')]
    assert panel.count(">Page<") == incident_views.UNFOLDED
    # All of them are listed, those that are over as well, and no others.
    fire("alone")
    Alert.objects.filter(id__in=early).update(state="resolved", ended_at=scene.NOW)
    seen: set[str] = set()
    address = f"/alerts?incident={incident.id}"
    while address:
        html = viewer.get(address).content.decode()
        seen |= set(re.findall(r'id="a-([0-9a-f-]{36})"', html))
        follows = re.search(r'rel="next" href="([^"]*)"', html)
        address = f"/alerts{unescape(follows[1])}" if follows else ""
    assert seen == {str(each) for each in incident.alerts.values_list("id", flat=True)}
    assert len(seen) == 250
    assert f'href="/incidents/{incident.id}"' in html
    firing = viewer.get(f"/alerts?incident={incident.id}&state=firing").content.decode()
    assert "10 alerts shown" in firing
    assert viewer.get("/alerts?incident=none").status_code == 400
    assert "10 of 250 alerts fire" in viewer.get(f"/incidents/{incident.id}").content.decode()


def test_a_page_of_the_list_counts_the_alerts_of_its_own_incidents_alone() -> None:
    storm(40, 400)
    Incident.objects.filter(services__contains=["s1"]).update(severity="ticket")
    rows = with_urgency(incident_list(state="active")).order_by(*BY_URGENCY)[:5]
    sql, values = rows.query.sql_with_params()
    read = rows_read(sql, values)
    # Each of the five is counted twice: all of its alerts, and those that fire.
    assert read["alerting_alert"] == 5 * 2 * 10
    found = list(rows)
    assert [(each.alert_count, each.firing_count) for each in found] == [(10, 10)] * 5


def test_which_incident_leads_is_asked_of_the_alerts_of_open_ones_alone() -> None:
    storm(40, 400)
    Incident.objects.exclude(services__contains=["s1"]).update(state="resolved", ended_at=scene.NOW)
    sql, values = active_incidents()[:100].query.sql_with_params()
    assert rows_read(sql, values)["alerting_alert"] == 1
