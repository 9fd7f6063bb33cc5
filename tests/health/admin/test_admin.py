"""The stock admin of health: every model listed, decisions made by the services of the screens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from health.choices import DependencyStatus
from health.models import Check, CheckStatus, Dependency, Maintenance, PublicIncident, Service
from health.services.checks import check_options, check_update
from health.services.dependencies import dependency_declare
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.health.scenes import ACTOR, NOW, make

pytestmark = pytest.mark.django_db
MODELS = list(apps.get_app_config("health").get_models())


@pytest.fixture
def staff() -> Callable[[Role], Client]:
    """A client of a member of staff with all permissions of health, and a role."""

    def sign_in(role: Role) -> Client:
        user = get_user_model().objects.create_user(f"staff-{role}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="health"))
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def operator(staff: Callable[[Role], Client]) -> Client:
    return staff(Role.OPERATOR)


def path(model: str, page: str = "", key: object = "") -> str:
    name = f"admin:health_{model}_{page or 'changelist'}"
    return reverse(name, args=[key] if key else [])


def act(client: Client, model: str, action: str, *rows: Model) -> str:
    form = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(path(model), form, follow=True).content.decode()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_every_model_is_listed_and_searched(model: type[Model], operator: Client) -> None:
    make("pg", depends_on=[make("net").name])
    name = str(model._meta.model_name)
    assert operator.get(path(name)).status_code == 200
    assert operator.get(path(name), {"q": "pg"}).status_code == 200


# --- Checks

FORM: dict[str, Any] = {
    "name": "pg",
    "kind": "sample",
    "service": "planner",
    "target": '{"url": "http://nowhere.invalid/", "key": "key-secret"}',
    "interval_seconds": "",
    "timeout_seconds": "",
    "failures_to_down": "3",
    "successes_to_up": "2",
    "settle_seconds": "15",
    "degraded_above_ms": "",
    "critical": "on",
    "enabled": "on",
    "description": "",
    "runbook_url": "",
}


def test_a_check_is_made_and_its_secret_never_shown(operator: Client) -> None:
    answer = operator.post(path("check", "add"), FORM)
    assert answer.status_code == 302, answer.content.decode()
    check = Check.objects.get(name="pg")
    assert check.interval_seconds == 30.0
    assert CheckStatus.objects.filter(check_row=check).exists()
    assert AuditEntry.objects.get(action="check.create").actor == "staff-operator"
    page = operator.get(path("check", "change", check.id)).content.decode()
    assert "***" in page
    assert "key-secret" not in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("interval_seconds", "0", "from 1 to 86400"),
        ("target", '{"url": "http://169.254.169.254/"}', "metadata"),
        ("target", '{"link": "x"}', "unknown"),
        ("name", "a/b", "slash"),
        ("runbook_url", "ftp://x/", "http"),
    ],
)
def test_what_the_service_refuses_stands_beside_its_field(
    operator: Client, field: str, value: str, words: str
) -> None:
    answer = operator.post(path("check", "add"), {**FORM, field: value})
    assert answer.status_code == 200
    assert words in str(answer.context["adminform"].form.errors[field])
    assert not Check.objects.exists()


def test_a_check_is_changed_and_keeps_its_secret(operator: Client) -> None:
    operator.post(path("check", "add"), FORM)
    check = Check.objects.get()
    form = {
        **FORM,
        "target": '{"url": "http://nowhere.invalid/x", "key": "***"}',
        "interval_seconds": "60",
        "timeout_seconds": "10",
        "seen": "1",
    }
    assert operator.post(path("check", "change", check.id), form).status_code == 302
    check.refresh_from_db()
    assert (check.interval_seconds, check.version) == (60.0, 2)
    options = check_options(check)
    assert (options.url, options.key) == ("http://nowhere.invalid/x", "key-secret")
    stale = operator.post(path("check", "change", check.id), {**form, "interval_seconds": "90"})
    assert "has changed since you saw it" in stale.content.decode()


def test_checks_are_switched_and_run_in_the_list(operator: Client) -> None:
    check = make("pg")
    act(operator, "check", "disable", check)
    check.refresh_from_db()
    assert not check.enabled
    act(operator, "check", "enable", check)
    status = CheckStatus.objects.filter(check_row=check)
    status.update(next_due_at=NOW + timedelta(days=9_000))
    assert "1 of 1 are due now" in act(operator, "check", "run_now", check)
    assert status.get().next_due_at < NOW + timedelta(days=9_000)


def test_a_check_that_others_need_is_not_deleted(operator: Client) -> None:
    pg = make("pg")
    api = make("api", depends_on=["pg"])
    page = operator.post(path("check", "delete", pg.id), {"post": "yes"}, follow=True)
    assert "api depend on pg" in page.content.decode()
    form = {"action": "delete_selected", "_selected_action": [str(pg.id)], "post": "yes"}
    assert "api depend on pg" in operator.post(path("check"), form, follow=True).content.decode()
    assert Check.objects.count() == 2
    operator.post(path("check", "delete", api.id), {"post": "yes"})
    assert Check.objects.get() == pg
    assert AuditEntry.objects.filter(action="check.delete").count() == 1


def test_who_may_only_look_changes_nothing(staff: Callable[[Role], Client]) -> None:
    viewer, check = staff(Role.VIEWER), make("pg")
    assert viewer.get(path("check")).status_code == 200
    for page in (
        path("check", "add"),
        path("check", "delete", check.id),
        path("dependency", "add"),
        path("maintenance", "add"),
        path("publicincident", "add"),
    ):
        assert viewer.post(page, {**FORM, "post": "yes"}).status_code == 403
    act(viewer, "check", "disable", check)
    check.refresh_from_db()
    assert check.enabled


# --- Edges


def proposal() -> Dependency:
    make("web", service="shop")
    make("pg", service="store")
    return Dependency.objects.create(
        child_service=Service.objects.get(name="shop"),
        parent_service=Service.objects.get(name="store"),
        status=DependencyStatus.PROPOSED,
        created_at=NOW,
    )


def test_proposals_are_accepted_and_rejected_in_the_list(operator: Client) -> None:
    edge = proposal()
    act(operator, "dependency", "accept", edge)
    edge.refresh_from_db()
    assert (edge.status, edge.decided_by) == ("accepted", "staff-operator")
    act(operator, "dependency", "reject", edge)
    edge.refresh_from_db()
    assert edge.status == "rejected"
    assert AuditEntry.objects.filter(object_type="dependency").count() == 2


def test_a_proposal_that_closes_a_cycle_is_refused_in_words(operator: Client) -> None:
    edge = proposal()
    dependency_declare(child="service:store", parent="service:shop", actor=ACTOR, now=NOW)
    assert "This would make a cycle" in act(operator, "dependency", "accept", edge)


def test_an_edge_is_declared_and_deleted(operator: Client) -> None:
    make("web")
    make("pg")
    form = {"child": "check:web", "parent": "check:pg", "hard": "on", "reason": ""}
    assert operator.post(path("dependency", "add"), form).status_code == 302
    edge = Dependency.objects.get()
    wrong = operator.post(path("dependency", "add"), {**form, "parent": "check:nobody"})
    assert "There is no check" in wrong.content.decode()
    operator.post(path("dependency", "delete", edge.id), {"post": "yes"})
    assert not Dependency.objects.exists()


# --- What is announced


def test_a_window_is_planned_changed_and_ended(operator: Client) -> None:
    make("pg")
    form = {
        "name": "Night", "kind": "cron", "cron": "0 3 * * *", "duration_seconds": "3600",
        "timezone": "UTC", "reason": "Backups", "services": [Service.objects.get().pk],
        "public_text": "",
    }  # fmt: skip
    answer = operator.post(path("maintenance", "add"), form)
    assert answer.status_code == 302, answer.content.decode()
    window = Maintenance.objects.get()
    assert [each.name for each in window.services.all()] == ["planner"]
    changed = {**form, "reason": "Backups and more", "seen": "1"}
    assert operator.post(path("maintenance", "change", window.id), changed).status_code == 302
    window.refresh_from_db()
    assert window.reason == "Backups and more"
    act(operator, "maintenance", "end", window)
    window.refresh_from_db()
    assert window.ended_at is not None


def test_an_impossible_window_is_refused_beside_its_field(operator: Client) -> None:
    form = {"name": "Night", "kind": "cron", "cron": "at night", "duration_seconds": "60",
            "timezone": "UTC", "reason": "x"}  # fmt: skip
    answer = operator.post(path("maintenance", "add"), form)
    assert "cron" in answer.context["adminform"].form.errors


def test_an_incident_is_told_and_resolved(operator: Client) -> None:
    today = datetime.now(UTC).date()
    form = {
        "title": "Plans are slow",
        "impact": "degraded",
        "stage": "investigating",
        "text": "We look into it.",
        "started_at_0": str(today),
        "started_at_1": "00:00:00",
    }
    answer = operator.post(path("publicincident", "add"), form)
    assert answer.status_code == 302, answer.content.decode()
    incident = PublicIncident.objects.get()
    assert incident.updates.get().text == "We look into it."
    act(operator, "publicincident", "resolve", incident)
    incident.refresh_from_db()
    assert incident.resolved_at is not None


def test_history_cannot_be_written(operator: Client) -> None:
    check = make("pg")
    check_update(check_id=check.id, changes={"enabled": False}, actor=ACTOR, now=NOW)
    for model in ("checkstatus", "statechange", "outage", "checkresult", "publicincidentupdate"):
        assert operator.post(path(model, "add"), {}).status_code == 403
