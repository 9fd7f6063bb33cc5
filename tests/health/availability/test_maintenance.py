"""Planning maintenance windows, and what follows for states and sums."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest

from health.models import Check, CheckStatus, Maintenance, StateChange
from health.selectors.maintenance import covered_now, maintenance_all, next_of, windows_between
from health.services.hours import hours_sum
from health.services.maintenance import (
    maintenance_create,
    maintenance_delete,
    maintenance_end,
    maintenance_update,
)
from health.services.minutes import minutes_sum
from resilience_site.core import journal
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid, NotFound
from tests.health.availability.fleet import (
    ACTOR,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    change,
    make_check,
    minutes_of,
)

pytestmark = pytest.mark.usefixtures("store")

SINGLE: dict[str, Any] = {
    "name": "upgrade", "kind": "single", "reason": "a new version",
    "starts_at": NOON - 10 * MINUTE, "ends_at": NOON + HOUR,
}  # fmt: skip
WEEKLY: dict[str, Any] = {
    "name": "backup", "kind": "weekly", "reason": "backups are slow", "weekdays": [0, 1, 2, 3, 4, 5, 6],
    "start_time": time(2, 30), "duration_seconds": 3_600, "timezone": "Europe/Berlin",
}  # fmt: skip
CRON: dict[str, Any] = {
    "name": "reindex", "kind": "cron", "reason": "reindexing", "cron": "0 */6 * * *",
    "duration_seconds": 1_800,
}  # fmt: skip


def plan(now: datetime = NOON, **fields: Any) -> Maintenance:
    return maintenance_create(actor=ACTOR, now=now, **fields)


def state(check: Check) -> str:
    return CheckStatus.objects.get(check_row=check).state


def test_a_window_over_now_puts_what_it_covers_into_maintenance_at_once() -> None:
    covered, other = make_check("pg"), make_check("web", service="front")
    window = plan(**SINGLE, checks=["pg"])
    assert (state(covered), state(other)) == ("maintenance", "unknown")
    assert covered_now(NOON)(covered.id, "planner")
    assert not covered_now(NOON)(other.id, "front")
    assert StateChange.objects.get().check_row_id == covered.id
    maintenance_end(maintenance_id=window.id, actor=ACTOR, now=NOON + MINUTE)
    assert state(covered) == "unknown"
    assert not covered_now(NOON + MINUTE)(covered.id, "planner")


def test_a_window_covers_services_with_all_their_checks_or_everything() -> None:
    check, other = make_check("pg"), make_check("web", service="front")
    plan(**SINGLE, services=["front"])
    (span,) = windows_between(NOON, NOON + SECOND)
    assert span.covers(other.id, "front")
    assert not span.covers(check.id, "planner")
    plan(**SINGLE)
    assert covered_now(NOON)(uuid4(), "a service that comes later")


def test_a_window_whose_checks_are_gone_covers_nothing() -> None:
    check, other = make_check("pg"), make_check("api")
    window = plan(**SINGLE, checks=["pg"])
    check.delete()
    assert not covered_now(NOON)(other.id, "planner")
    maintenance_update(maintenance_id=window.id, changes={"name": "x"}, actor=ACTOR, now=NOON)
    assert not covered_now(NOON)(other.id, "planner")


def test_what_is_planned_is_audited_and_told() -> None:
    cursor = journal.latest_cursor()
    window = plan(**SINGLE, public_text="We upgrade.")
    maintenance_update(maintenance_id=window.id, changes={"name": "Upgrade"}, actor=ACTOR, now=NOON)
    maintenance_end(maintenance_id=window.id, reason="done early", actor=ACTOR, now=NOON)
    maintenance_delete(maintenance_id=window.id, reason="never was", actor=ACTOR, now=NOON)
    told = journal.read(cursor, ["maintenance"])
    assert [entry.kind for entry in told] == [
        "maintenance.created", "maintenance.updated", "maintenance.ended", "maintenance.deleted",
    ]  # fmt: skip
    assert {entry.key for entry in told} == {str(window.id)}
    rows = AuditEntry.objects.filter(object_id=str(window.id)).order_by("id")
    assert [(row.action, row.reason) for row in rows] == [
        ("maintenance.create", "a new version"),
        ("maintenance.update", "a new version"),
        ("maintenance.end", "done early"),
        ("maintenance.delete", "never was"),
    ]
    assert rows[1].before["name"] == "upgrade"
    assert rows[1].after["name"] == "Upgrade"


@pytest.mark.parametrize(
    ("base", "changes", "field"),
    [
        (SINGLE, {"kind": "monthly"}, "kind"),
        (SINGLE, {"name": " "}, "name"),
        (SINGLE, {"reason": ""}, "reason"),
        (SINGLE, {"ends_at": NOON - HOUR}, "ends_at"),
        (SINGLE, {"ends_at": None}, "ends_at"),
        (SINGLE, {"starts_at": None}, "starts_at"),
        (SINGLE, {"starts_at": NOON.replace(tzinfo=None)}, "starts_at"),
        (SINGLE, {"starts_at": "2026-06-10"}, "starts_at"),
        (SINGLE, {"starts_at": NOON - 91 * DAY}, "starts_at"),
        (SINGLE, {"ends_at": NOON + 91 * DAY}, "ends_at"),
        (SINGLE, {"cron": "* * * * *"}, "cron"),
        (SINGLE, {"weekdays": [1]}, "weekdays"),
        (SINGLE, {"timezone": "Mars/Olympus"}, "timezone"),
        (SINGLE, {"timezone": "../../etc/passwd"}, "timezone"),
        (SINGLE, {"services": ["nope"]}, "services"),
        (SINGLE, {"checks": ["nope"]}, "checks"),
        (SINGLE, {"checks": "pg"}, "checks"),
        (WEEKLY, {"weekdays": []}, "weekdays"),
        (WEEKLY, {"weekdays": [7]}, "weekdays"),
        (WEEKLY, {"weekdays": [True]}, "weekdays"),
        (WEEKLY, {"start_time": None}, "start_time"),
        (WEEKLY, {"start_time": "02:30"}, "start_time"),
        (WEEKLY, {"duration_seconds": 30}, "duration_seconds"),
        (WEEKLY, {"duration_seconds": 86_400}, "duration_seconds"),
        (WEEKLY, {"weekdays": [6, 0], "duration_seconds": 90_000}, "duration_seconds"),
        (WEEKLY, {"weekdays": [2], "duration_seconds": 7 * 86_400}, "duration_seconds"),
        (WEEKLY, {"cron": "0 0 * * *"}, "cron"),
        (WEEKLY, {"ends_at": NOON + HOUR}, "ends_at"),
        (CRON, {"cron": "0 0 31 2 *"}, "cron"),
        (CRON, {"cron": "*/5 * * * *"}, "cron"),
        (CRON, {"cron": "0 * * * * *"}, "cron"),
        (CRON, {"cron": None}, "cron"),
        (CRON, {"duration_seconds": float("nan")}, "duration_seconds"),
        (CRON, {"start_time": time(1)}, "start_time"),
    ],
)  # fmt: skip
def test_an_impossible_window_is_refused_by_its_field(
    base: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    make_check("pg")
    with pytest.raises(Invalid) as refused:
        plan(**base | changes)
    assert [error.field for error in refused.value.errors] == [field]
    assert not Maintenance.objects.exists()
    assert AuditEntry.objects.get().action == "maintenance.create.refused"


def test_a_single_week_day_may_last_until_just_before_the_next() -> None:
    plan(**WEEKLY | {"weekdays": [2], "duration_seconds": 7 * 86_400 - 1})


def test_a_recurring_window_counts_from_when_it_was_planned() -> None:
    plan(**WEEKLY)
    assert windows_between(NOON - 7 * DAY, NOON) == []
    found = windows_between(NOON, NOON + 2 * DAY)
    assert [each.starts_at for each in found] == [
        NOON.replace(hour=0, minute=30) + n * DAY for n in (1, 2)
    ]
    (window,) = maintenance_all()
    coming = next_of(window, NOON)
    assert coming is not None
    assert coming.starts_at == NOON.replace(hour=0, minute=30) + DAY


def sums(check: Check) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in minutes_of(check).values():
        for column, seconds in row.items():
            found[column] = found.get(column, 0) + seconds
    return found


def test_a_window_planned_afterwards_counts_and_taken_back_does_not() -> None:
    check, other = (
        make_check("pg", since=NOON - HOUR),
        make_check("web", service="front", since=NOON - HOUR),
    )
    for each in (check, other):
        change(each, "down", NOON - HOUR)
    minutes_sum(now=NOON)
    window = plan(
        **SINGLE | {"starts_at": NOON - 30 * MINUTE - 30 * SECOND, "ends_at": NOON - 20 * MINUTE},
        services=["planner"],
    )
    minutes_sum(now=NOON)
    assert sums(check) == {"down": 3_600 - 630, "maintenance_down": 630}
    assert sums(other) == {"down": 3_600}
    maintenance_update(
        maintenance_id=window.id, changes={"ends_at": NOON - 25 * MINUTE, "services": ["front"]},
        actor=ACTOR, now=NOON,
    )  # fmt: skip
    minutes_sum(now=NOON)
    assert sums(check) == {"down": 3_600}
    assert sums(other) == {"down": 3_600 - 330, "maintenance_down": 330}
    maintenance_delete(maintenance_id=window.id, reason="a mistake", actor=ACTOR, now=NOON)
    minutes_sum(now=NOON)
    assert sums(other) == {"down": 3_600}


def test_moving_a_recurring_window_leaves_its_past_as_it_was() -> None:
    check = make_check("pg", since=NOON - 3 * DAY)
    change(check, "up", NOON - 3 * DAY)
    window = plan(NOON - 3 * DAY, **WEEKLY)
    minutes_sum(now=NOON)
    hours_sum(now=NOON)
    before = windows_between(NOON - 3 * DAY, NOON)
    assert len(before) == 3
    maintenance_update(
        maintenance_id=window.id,
        changes={"start_time": time(22, 0)},
        if_match=1,
        actor=ACTOR,
        now=NOON,
    )
    after = windows_between(NOON - 3 * DAY, NOON)
    assert [each.span for each in after] == [each.span for each in before]
    (coming,) = windows_between(NOON, NOON + DAY)
    assert (coming.maintenance_id, coming.starts_at) == (window.id, NOON.replace(hour=20))
    assert minutes_sum(now=NOON) == 0
    # Unless the change is about the past.
    maintenance_update(
        maintenance_id=window.id, changes={"starts_at": NOON - 3 * DAY}, actor=ACTOR, now=NOON
    )
    assert len(windows_between(NOON - 3 * DAY, NOON)) == 6


def test_texts_can_be_changed_however_old_a_window_is() -> None:
    window = plan(NOON - 200 * DAY, **WEEKLY)
    maintenance_update(
        maintenance_id=window.id, changes={"public_text": "Backups"}, actor=ACTOR, now=NOON
    )
    window.refresh_from_db()
    assert (window.public_text, window.version, window.starts_at) == (
        "Backups",
        2,
        NOON - 200 * DAY,
    )
    assert Maintenance.objects.count() == 1


def test_what_somebody_else_changed_is_not_overwritten() -> None:
    window = plan(**SINGLE)
    maintenance_update(
        maintenance_id=window.id, changes={"name": "x"}, if_match=1, actor=ACTOR, now=NOON
    )
    with pytest.raises(Conflict) as refused:
        maintenance_update(
            maintenance_id=window.id, changes={"name": "y"}, if_match=1, actor=ACTOR, now=NOON
        )
    assert refused.value.current["name"] == "x"
    assert refused.value.proposed == {"name": "y"}


def test_what_is_over_or_not_there_cannot_be_changed() -> None:
    with pytest.raises(NotFound):
        maintenance_end(maintenance_id=uuid4(), actor=ACTOR, now=NOON)
    window = plan(**SINGLE)
    for changes, field in (({"kind": "weekly"}, "kind"), ({"colour": "red"}, "colour")):
        with pytest.raises(Invalid) as refused:
            maintenance_update(maintenance_id=window.id, changes=changes, actor=ACTOR, now=NOON)
        assert refused.value.errors[0].field == field
    with pytest.raises(Invalid, match="over already"):
        maintenance_end(maintenance_id=window.id, actor=ACTOR, now=NOON + timedelta(days=1))
    maintenance_end(maintenance_id=window.id, actor=ACTOR, now=NOON)
    for act in (
        lambda: maintenance_end(maintenance_id=window.id, actor=ACTOR, now=NOON),
        lambda: maintenance_update(
            maintenance_id=window.id, changes={"name": "x"}, actor=ACTOR, now=NOON
        ),
    ):
        with pytest.raises(Invalid, match="was ended"):
            act()


def test_reading_windows_takes_one_query(django_assert_num_queries: Any) -> None:
    make_check("pg")
    plan(**SINGLE, checks=["pg"])
    plan(**WEEKLY, services=["planner"])
    plan(**CRON)
    with django_assert_num_queries(1):
        assert len(windows_between(NOON, NOON + DAY)) == 1 + 1 + 4
