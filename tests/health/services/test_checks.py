"""Checks are made, changed and deleted; what cannot be is refused with the field and the reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from health.choices import HealthState
from health.domain.schedule import first_due
from health.models import Check, CheckStatus, Dependency, Outage, Service
from health.services.checks import (
    check_create,
    check_delete,
    check_options,
    check_update,
)
from resilience_site.core import journal
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid, NotFound, Problem
from tests.health.scenes import ACTOR, NOW, SECRET, URL, field_of, make, refused, update

pytestmark = pytest.mark.django_db


def test_a_new_check_waits_for_its_own_place_in_the_interval() -> None:
    check = make("pg")
    status = CheckStatus.objects.get(check_row=check)
    assert status.next_due_at == first_due(check.id, 30.0, NOW)
    assert NOW <= status.next_due_at < NOW + timedelta(seconds=30)
    assert (status.state, status.own_state) == ("unknown", "unknown")
    assert status.minutes_from == NOW.replace(second=0)
    assert (check.interval_seconds, check.timeout_seconds) == (30.0, 10.0)


def test_a_new_check_is_told_to_pages_and_to_the_audit_trail() -> None:
    since = journal.latest_cursor()
    check = make("pg", target={"url": "http://u:hunter22@nowhere.invalid/", "key": "hunter23"})
    entries = [(e.topic, e.kind, e.key) for e in journal.read(since)]
    assert ("services", "service.new", "planner") in entries
    assert ("health", "check_created", str(check.id)) in entries
    entry = AuditEntry.objects.get(action="check.create")
    assert entry.object_id == str(check.id)
    assert entry.after is not None
    assert entry.after["target"] == {"url": "http://u:***@nowhere.invalid/", "key": "***"}
    assert "hunter2" not in str(entry.after)


def test_the_service_of_a_check_comes_into_the_catalogue_once() -> None:
    make("a", service="billing")
    make("b", service="billing")
    assert Service.objects.filter(name="billing").count() == 1


def test_a_short_interval_shortens_the_timeout_that_nobody_chose() -> None:
    assert make("pg", interval_seconds=5).timeout_seconds == 5.0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("interval_seconds", 0.5, "from 1 to 86400"),
        ("interval_seconds", 86_401, "from 1 to 86400"),
        ("interval_seconds", float("nan"), "a number"),
        ("interval_seconds", float("inf"), "a number"),
        ("interval_seconds", True, "a number"),
        ("interval_seconds", "30", "a number"),
        ("timeout_seconds", 0, "from 0.1 to 300"),
        ("timeout_seconds", 30.5, "must not exceed the interval"),
        ("failures_to_down", 0, "from 1 to 20"),
        ("failures_to_down", 1.5, "whole number"),
        ("successes_to_up", 21, "from 1 to 20"),
        ("degraded_above_ms", -1, "milliseconds"),
        ("settle_seconds", -1, "from 0 to 3600"),
        ("critical", "yes", "true or false"),
        ("enabled", None, "true or false"),
        ("hard", 1, "true or false"),
        ("service", "", "not empty"),
        ("service", "a\nb", "control character"),
        ("description", 5, "a text"),
        ("runbook_url", "javascript:alert(1)", "http"),
        ("kind", "telepathy", "known are"),
        ("target", [], "an object"),
        ("depends_on", ["nothing"], "no check or service 'nothing'"),
    ],
)
def test_an_impossible_field_is_refused(field: str, value: Any, words: str) -> None:
    problem = refused(**{field: value})
    assert field_of(problem) == field
    assert words in problem.detail


@pytest.mark.parametrize(
    "name", ["", " pg", "pg ", "a/b", "a\x00b", "a\u2028b", "a\ud800", "x" * 201, 7]
)
def test_an_impossible_name_is_refused(name: Any) -> None:
    with pytest.raises(Invalid) as caught:
        make(name)
    assert field_of(caught.value) == "name"


def test_a_name_is_given_once() -> None:
    make("pg")
    with pytest.raises(Invalid, match="already"):
        make("pg")


def test_a_refusal_is_in_the_audit_trail() -> None:
    refused(interval_seconds=0)
    assert AuditEntry.objects.get(action="check.create.refused").object_id == "pg"


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({}, "target.url"),
        ({"url": URL, "colour": "red"}, "target.colour"),
        ({"url": URL, "count": "many"}, "target.count"),
        ({"url": "nonsense"}, "target.url"),
        ({"url": URL, "key": "***"}, "target.key"),
        ({"url": "http://u:***@nowhere.invalid/"}, "target.url"),
        ({"url": URL, "key": "${DATABASE_URL}"}, "target.key"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(target: dict[str, Any], field: str) -> None:
    assert field_of(refused(target=target)) == field


def test_an_option_of_an_absurd_size_is_refused() -> None:
    assert "bytes" in refused(target={"url": URL, "key": "k" * 40_000}).detail


# --- Changes


def test_an_update_counts_versions_and_tells_what_changed() -> None:
    check = make("pg")
    since = journal.latest_cursor()
    changed = update(check, failures_to_down=5, description="The main store")
    assert (changed.version, changed.failures_to_down) == (2, 5)
    entry = AuditEntry.objects.get(action="check.update")
    assert entry.before == {"failures_to_down": 3, "description": ""}
    assert entry.after == {"failures_to_down": 5, "description": "The main store"}
    assert [e.kind for e in journal.read(since)] == ["check_updated"]


def test_an_update_that_changes_nothing_leaves_no_trace() -> None:
    check = make("pg", target=SECRET)
    same = update(check, failures_to_down=3, target=check.target)
    assert same.version == 1
    assert not AuditEntry.objects.filter(action="check.update").exists()


def test_a_stale_update_is_told_both_sides() -> None:
    check = make("pg")
    update(check, failures_to_down=5)
    with pytest.raises(Conflict) as caught:
        check_update(
            check_id=check.id,
            changes={"failures_to_down": 9, "target": {"url": URL, "key": "new-secret"}},
            if_match=1,
            actor=ACTOR,
            now=NOW,
        )
    assert caught.value.current["failures_to_down"] == 5
    assert caught.value.current["version"] == 2
    assert caught.value.proposed == {"failures_to_down": 9, "target": {"url": URL, "key": "***"}}
    check_update(
        check_id=check.id, changes={"failures_to_down": 9}, if_match=2, actor=ACTOR, now=NOW
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "http"}, "kind"),
        ({"version": 9}, "version"),
        ({"timeout_seconds": 60}, "timeout_seconds"),
        ({"interval_seconds": 5}, "timeout_seconds"),
        ({"name": "other"}, "name"),
    ],
)
def test_an_impossible_change_is_refused(changes: dict[str, Any], field: str) -> None:
    check = make("pg")
    make("other")
    with pytest.raises(Invalid) as caught:
        update(check, **changes)
    assert field_of(caught.value) == field


def test_a_check_that_is_gone_cannot_be_changed() -> None:
    for act in (
        lambda: check_update(check_id=uuid4(), changes={}, actor=ACTOR, now=NOW),
        lambda: check_delete(check_id=uuid4(), actor=ACTOR, now=NOW),
    ):
        with pytest.raises(NotFound):
            act()


def test_a_check_is_switched_off_and_on_without_memory_of_before() -> None:
    check = make("pg")
    rows = CheckStatus.objects.filter(check_row=check)
    rows.update(own_state="down", failures=9, history="ddd", lease_until=NOW, fence=4)
    update(check, enabled=False)
    status = rows.get()
    assert (status.next_due_at, status.lease_until, status.fence) == (None, None, 5)
    update(check, enabled=True)
    status = rows.get()
    assert status.next_due_at == NOW
    assert (status.own_state, status.failures, status.history) == ("unknown", 0, "")


def test_a_new_target_is_probed_at_once_and_results_of_the_old_one_are_not_taken() -> None:
    check = make("pg")
    rows = CheckStatus.objects.filter(check_row=check)
    rows.update(fence=4, lease_until=NOW)
    update(check, target={"url": "http://elsewhere.invalid/"})
    status = rows.get()
    assert (status.next_due_at, status.fence, status.lease_until) == (NOW, 5, None)


def test_a_new_interval_moves_the_next_run() -> None:
    check = make("pg")
    update(check, interval_seconds=600)
    assert check.status.next_due_at == first_due(check.id, 30.0, NOW)
    assert CheckStatus.objects.get(check_row=check).next_due_at == first_due(check.id, 600, NOW)


# --- Deletion


def test_a_check_that_others_need_is_deleted_by_force_only() -> None:
    pg = make("pg")
    make("api", depends_on=["pg"])
    with pytest.raises(Invalid, match="api depend on pg"):
        check_delete(check_id=pg.id, actor=ACTOR, now=NOW)
    check_delete(check_id=pg.id, force=True, actor=ACTOR, now=NOW)
    assert list(Check.objects.values_list("name", flat=True)) == ["api"]
    assert not Dependency.objects.exists()
    assert AuditEntry.objects.filter(action="check.delete").count() == 1


def test_a_failure_that_was_announced_ends_for_all_with_its_check() -> None:
    check = make("pg")
    CheckStatus.objects.filter(check_row=check).update(
        own_state=HealthState.DOWN, state=HealthState.DOWN, failures=3, streak_since=NOW
    )
    Outage.objects.create(
        check_row=check, started_at=NOW, confirmed_at=NOW, announce_at=NOW, announced_at=NOW
    )
    since = journal.latest_cursor()
    check_delete(check_id=check.id, actor=ACTOR, now=NOW)
    kinds = [e.kind for e in journal.read(since)]
    assert kinds.count("failure_ended") == 1
    assert kinds[-1] == "check_deleted"


# --- Composites


def test_a_composite_needs_its_members_and_they_stay() -> None:
    assert (
        "combines 'a', but there is no such check"
        in refused(target={"url": URL, "parts": ["a"]}).detail
    )
    a = make("a")
    make("both", target={"url": URL, "parts": ["a"]})
    with pytest.raises(Invalid, match="both combine the state of a"):
        check_delete(check_id=a.id, actor=ACTOR, now=NOW)
    with pytest.raises(Invalid, match="both combine the state of a"):
        update(a, name="b")


def test_a_composite_cannot_come_to_read_itself() -> None:
    a = make("a")
    make("both", target={"url": URL, "parts": ["a"]})
    with pytest.raises(Invalid, match="check a needs check both, check both needs check a"):
        update(a, target={"url": URL, "parts": ["both"]})
    with pytest.raises(Invalid, match="cycle"):
        update(a, target={"url": URL, "parts": ["a"]})


# --- Pushes


def push(name: str = "cron", **target: Any) -> Check:
    return check_create(
        name=name, kind="push", service="planner", target=target, actor=ACTOR, now=NOW
    )


def test_a_push_check_gets_a_token_which_only_its_digest_finds() -> None:
    check = push()
    token = check_options(check).token
    assert len(token) >= 20
    assert check.target["token"] == "***"
    assert check.push_digest is not None
    assert token not in check.push_digest
    assert push("other").push_digest != check.push_digest


def test_a_token_belongs_to_one_check() -> None:
    push(token="t" * 30)
    with pytest.raises(Problem, match="Another check"):
        push("other", token="t" * 30)
