"""Alerts of one cause become one incident, which ends with the last of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection, transaction

from alerting.choices import EntryKind
from alerting.domain.matchers import Matcher, Op, all_match, matchers_json, matchers_stored
from alerting.models import Alert, AlertGroup, Incident, IncidentEntry, Route, Silence
from alerting.selectors.incident_following import Reached, alerts_to_join, incidents_to_join
from alerting.services.incident_entries import entry
from alerting.services.incident_follow import Followed
from health.models import Maintenance, Service
from resilience_site.core import journal
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import chains, check, fire, follow, incident_of, over


def told(cursor: int) -> list[tuple[str, str]]:
    return [(each.kind, each.state) for each in journal.read(cursor, ["incidents"])]


def silence_of(op: Op, value: str, *, ends: float = 60) -> Silence:
    """One of alerts of an incident, whoever made it."""
    return Silence.objects.create(
        matchers=matchers_json([Matcher("incident", op, value), Matcher("team", "!=", "none")]),
        starts_at=scene.at(-10), ends_at=scene.at(ends), reason="known", actor="anna",
        created_at=scene.at(-10),
    )  # fmt: skip


def test_alerts_whose_chains_began_in_one_service_are_one_incident() -> None:
    chains(4, "graph", "planner", root="graph")
    chains(4, "graph", "agent", root="graph")
    first = fire(service="planner", minute=-2, severity="ticket", summary="planner fails")
    second = fire("error-rate", service="agent", minute=-1, summary="agent fails")
    cursor = journal.latest_cursor()
    follow()
    incident = incident_of(first)
    assert incident_of(second) == incident
    assert (incident.severity, incident.title) == ("page", "agent fails")
    assert set(incident.services) == {"graph", "planner", "agent"}
    assert incident.started_at == first.started_at
    assert told(cursor) == [("incident.began", "open")]


def test_a_trace_of_the_alert_says_where_it_began() -> None:
    (trace,) = chains(1, "graph", "planner", root="graph")
    first = fire(service="planner", facts={"trace_id": trace})
    second = fire(service="graph", minute=-40, rule="slow")
    follow()
    assert incident_of(first) != incident_of(second)
    assert "root:graph" in incident_of(first).keys.values_list("key", flat=True)


def test_alerts_that_one_failing_check_explains_are_one_incident() -> None:
    database = check("pg", "database", "down")
    check("planner", "planner", "unreachable", culprit=database)
    check("agent", "agent", "unreachable", culprit=database)
    alerts = [fire("slo-burn", name) for name in ("planner", "agent", "database")]
    follow()
    assert len({incident_of(each).id for each in alerts}) == 1
    assert f"check:{database.id}" in incident_of(alerts[0]).keys.values_list("key", flat=True)


def test_the_same_breaker_is_the_same_cause_however_late() -> None:
    first = fire(breaker="graph", minute=-90)
    follow(-89)
    other = fire(breaker="redis", minute=-40)
    follow(-39)
    second = fire("breaker-flaps", breaker="graph")
    follow()
    assert incident_of(first) == incident_of(second)
    assert incident_of(other) != incident_of(first)


def test_what_only_shows_in_the_same_service_must_begin_about_then() -> None:
    ticket = fire("certificate-ends", minute=-600, severity="ticket")
    outage = fire("slo-burn", minute=-1)
    soon = fire("error-rate", minute=0)
    follow()
    assert incident_of(ticket) != incident_of(outage)
    assert incident_of(outage) == incident_of(soon)


def test_other_causes_are_other_incidents() -> None:
    first, second = fire(service="planner"), fire(service="billing")
    follow()
    assert incident_of(first) != incident_of(second)


def test_an_alert_for_the_record_joins_but_opens_nothing() -> None:
    info = fire("release-seen", severity="info")
    follow()
    info.refresh_from_db()
    assert info.incident is None
    page = fire(minute=1)
    follow(1)
    assert incident_of(info) == incident_of(page)
    over(page, 3)
    follow(3)
    assert incident_of(info).state == "resolved"


def test_an_incident_ends_with_the_last_of_its_alerts() -> None:
    first, second = fire(minute=-9), fire("error-rate", minute=-8)
    follow(-7)
    over(first, -5)
    follow(-4)
    assert incident_of(first).state == "open"
    over(second, -2)
    cursor = journal.latest_cursor()
    follow(-1)
    incident = incident_of(first)
    assert (incident.state, incident.ended_at) == ("resolved", scene.at(-2))
    assert told(cursor) == [("incident.ended", "resolved")]
    lines = scene.texts(incident.entries.all())
    assert lines[-1] == "All alerts are over; the incident ended after 7 min."
    assert sum(line.startswith("Over after") for line in lines) == 2
    follow()
    assert incident.entries.count() == len(lines)


def test_an_alert_soon_after_the_end_opens_the_incident_again() -> None:
    first = fire(minute=-20, breaker="graph")
    follow(-20)
    over(first, -15)
    follow(-15)
    again = fire(minute=-10, breaker="graph", summary="open again")
    follow(-10)
    incident = incident_of(again)
    assert incident == incident_of(first)
    assert (incident.state, incident.ended_at) == ("open", None)
    over(again, -9)
    follow(-9)
    late = fire(minute=8, breaker="graph")
    follow(8)
    assert incident_of(late) != incident_of(first)


def test_an_alert_that_was_over_before_anybody_followed_is_part_of_an_incident() -> None:
    alert = fire(minute=-30)
    over(alert, -25)
    follow()
    incident = incident_of(alert)
    assert (incident.state, incident.ended_at) == ("resolved", scene.at(-25))
    assert incident.entries.filter(kind="alert").count() == 2


def test_incidents_that_turn_out_to_have_one_cause_are_joined() -> None:
    first = fire(service="planner", minute=-5, breaker="graph")
    second = fire(service="agent", minute=-4, severity="ticket")
    follow(-4)
    older, younger = incident_of(first), incident_of(second)
    assert older != younger
    Incident.objects.filter(id=younger.id).update(
        state="acknowledged", acknowledged_at=scene.at(-3), acknowledged_by="ada"
    )
    chains(4, "graph", "agent", root="graph", minute=-4)
    chains(4, "graph", "planner", root="graph", minute=-4)
    third, fourth = fire("slow", "planner", minute=-2), fire("slow", "agent", minute=-2)
    done = follow(-2)
    assert done.merged == 1
    assert len({incident_of(each).id for each in (first, second, third, fourth)}) == 1
    older.refresh_from_db()
    younger.refresh_from_db()
    assert younger.merged_into == older
    assert (older.state, older.acknowledged_by) == ("acknowledged", "ada")
    assert any("Joined with the incident" in each for each in scene.texts(older.entries.all()))


@pytest.mark.parametrize(
    ("silenced", "other", "leads"),
    [("ticket", "ticket", True), ("page", "ticket", True), ("ticket", "page", False)],
)
def test_a_silence_of_an_incident_leads_to_what_takes_this_in_unless_that_is_more_severe(
    silenced: str, other: str, leads: bool
) -> None:
    first = fire(service="planner", minute=-5, severity=other)
    second = fire(service="agent", minute=-4, severity=silenced)
    follow(-4)
    older, younger = incident_of(first), incident_of(second)
    running = [
        silence_of("=", str(younger.id)),
        silence_of("=~", f"{uuid4()}|{younger.id}"),
    ]
    past = silence_of("=", str(younger.id), ends=-3)
    chains(4, "graph", "agent", root="graph", minute=-4)
    chains(4, "graph", "planner", root="graph", minute=-4)
    for service in ("planner", "agent"):
        fire("slow", service, minute=-2, severity="ticket")
    assert follow(-2).merged == 1
    assert incident_of(second) == older
    for silence in running:
        silence.refresh_from_db()
        matchers = matchers_stored(silence.matchers)
        assert all_match(matchers, {"incident": str(older.id)}) == leads
        assert not all_match(matchers, {"incident": str(older.id), "team": "none"})
    past.refresh_from_db()
    assert past.matchers[0]["value"] == str(younger.id)


def test_following_twice_changes_nothing() -> None:
    alert = fire()
    follow()
    incident, lines = incident_of(alert), IncidentEntry.objects.count()
    cursor = journal.latest_cursor()
    assert follow() == type(follow())()
    assert IncidentEntry.objects.count() == lines
    incident.refresh_from_db()
    assert (incident.version, told(cursor)) == (incident_of(alert).version, [])


def test_thousands_of_alerts_of_one_cause_are_one_incident(
    django_assert_max_num_queries,  # type: ignore[no-untyped-def]
) -> None:
    one = fire()
    fields = [f for f in Alert._meta.concrete_fields if f.name not in ("id", "fingerprint")]
    copied = {field.attname: getattr(one, field.attname) for field in fields}
    Alert.objects.bulk_create(
        [Alert(**{**copied, "fingerprint": f"{n:064}"}) for n in range(1_100)]
    )
    with django_assert_max_num_queries(90):
        follow()
    assert Incident.objects.count() == 1
    assert Alert.objects.filter(incident=Incident.objects.get()).count() == 1_101
    assert IncidentEntry.objects.filter(kind="alert").count() == 400


def test_what_somebody_works_on_opens_nothing_until_the_work_is_over() -> None:
    check("planner", "planner")
    window = Maintenance.objects.create(
        name="new pool", kind="single", starts_at=scene.at(-10), ends_at=scene.at(5), reason="pool",
        actor="ada", created_at=scene.at(-10),
    )  # fmt: skip
    window.services.set(Service.objects.filter(name="planner"))
    alert, other = fire(service="planner"), fire(service="billing")
    assert follow().opened == 1
    assert incident_of(other).services == ["billing"]
    alert.refresh_from_db()
    assert alert.incident is None
    follow(6)
    assert incident_of(alert) != incident_of(other)


def test_the_troubles_of_this_site_at_one_time_are_one_incident() -> None:
    """A worker that died lets checks be overdue and traces wait."""
    alerts = [
        fire("site_trouble", "", minute=n - 5, facts={"topic": "site"}, part=part)
        for n, part in enumerate(["worker", "checks", "ingest"])
    ]
    of_another = fire("disk", "", minute=-3, part="worker-disk")
    follow()
    (site,) = {incident_of(each) for each in alerts}
    assert site.services == []
    assert incident_of(of_another) != site


def test_a_ticket_that_stands_does_not_keep_an_outage_open() -> None:
    """A new kind of error is a ticket for an hour; the outage was over long before."""
    page = fire(minute=-30, breaker="graph")
    ticket = fire("pattern_new", minute=-29, severity="ticket", breaker="graph")
    follow(-29)
    over(page, -20)
    assert follow(-19).ended == 1
    incident = incident_of(ticket)
    assert (incident.state, incident.ended_at) == ("resolved", scene.at(-20))
    late = fire("pattern_new", minute=-18, severity="ticket", breaker="graph")
    done = follow(-18)
    assert (done.joined, done.reopened, done.ended) == (1, 0, 0)
    assert incident_of(late) == incident
    again = fire(minute=-17, breaker="graph")
    assert follow(-17).reopened == 1
    assert (incident_of(again), incident_of(again).ended_at) == (incident, None)


def test_a_page_that_joins_as_the_ticket_ends_keeps_the_incident_open() -> None:
    ticket = fire("check_failed", minute=-10, severity="ticket", breaker="graph")
    follow(-10)
    over(ticket, -5)
    page = fire(minute=-5, breaker="graph")
    done = follow(-5)
    assert (done.joined, done.ended) == (1, 0)
    assert incident_of(page) == incident_of(ticket)
    assert (incident_of(page).state, incident_of(page).severity) == ("open", "page")
    over(page, -1)
    assert follow(-1).ended == 1
    assert incident_of(page).ended_at == scene.at(-1)


@pytest.mark.django_db(transaction=True)
def test_two_followers_make_one_incident() -> None:
    """The second one leaves the work to the first."""
    fire(breaker="graph")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: closing_follow(), range(2)))
    assert sorted(each.opened for each in done) == [0, 1]
    assert Incident.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_refers_to_alerts_and_incidents_need_not_wait_for_whoever_follows() -> None:
    """Rows that point at them are checked at commit, when others may be waited for already."""
    incident = Incident.objects.create(
        title="x", severity="page", started_at=scene.NOW, changed_at=scene.NOW
    )
    route = Route.objects.create(name="all", position=1, matchers=[])
    alert = fire()
    with transaction.atomic():
        assert alerts_to_join(scene.NOW, Reached()) == [alert]
        assert list(incidents_to_join(scene.NOW)) == [incident]
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(refer_to, incident, alert, route).result() == 1


def refer_to(incident: Incident, alert: Alert, route: Route) -> int:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '5s'")
            group = AlertGroup.objects.create(
                route=route, key="k", labels={}, route_name="all", created_at=scene.NOW
            )
            group.alerts.add(alert)
            entry(incident.id, EntryKind.STATE, scene.NOW, "x", ref="x").save()
        return group.alerts.count()
    finally:
        connection.close()


def closing_follow() -> Followed:
    try:
        return follow()
    finally:
        connection.close()


def test_looking_where_nothing_happens_costs_little(
    django_assert_max_num_queries,  # type: ignore[no-untyped-def]
) -> None:
    fire()
    follow()
    with django_assert_max_num_queries(14):
        follow()
    Incident.objects.update(state="resolved", ended_at=scene.at(-600))
    Alert.objects.update(state="resolved", ended_at=scene.at(-600))
    with django_assert_max_num_queries(12):
        follow()


def test_a_service_that_the_catalogue_does_not_know_is_one_all_the_same() -> None:
    alerts = [fire("HighLatency"), fire("Errors")]
    Alert.objects.update(service="")
    follow()
    assert incident_of(alerts[0]) == incident_of(alerts[1])
    assert incident_of(alerts[0]).services == ["planner"]
