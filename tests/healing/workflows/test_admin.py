"""The stock admin of healing: workflows as text, modes, kill switch, quarantine; the rest to read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from healing.models import HealingSwitch, HealingTarget, Quarantine, Workflow
from healing.services.targets import target_save
from healing.services.workflows.store import workflow_create
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ANA = Actor.system("ana")
MODELS = list(apps.get_app_config("healing").get_models())
KICK = """\
name: kick
title: Kick
trigger: {type: manual}
steps:
  - {id: one, action: restart}
"""


@pytest.fixture
def staff() -> Callable[[Role], Client]:
    """A client of a member of staff with all permissions of healing, and a role."""

    def sign_in(role: Role) -> Client:
        user = get_user_model().objects.create_user(f"staff-{role}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="healing"))
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def operator(staff: Callable[[Role], Client]) -> Client:
    return staff(Role.OPERATOR)


@pytest.fixture
def kick() -> Workflow:
    return workflow_create(text=KICK, actor=ANA, now=NOW)


def path(model: str, page: str = "changelist", key: object = "") -> str:
    return reverse(f"admin:healing_{model}_{page}", args=[key] if key else [])


def act(client: Client, model: str, action: str, row: Model, **given: str) -> str:
    form = {"action": action, "_selected_action": [str(row.pk)], "apply": "yes", **given}
    return client.post(path(model), form, follow=True).content.decode()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_every_model_is_listed_and_searched(
    model: type[Model], operator: Client, kick: Workflow
) -> None:
    name = str(model._meta.model_name)
    assert operator.get(path(name)).status_code == 200
    assert operator.get(path(name), {"q": "kick"}).status_code == 200


def test_a_workflow_is_written_as_text_and_its_faults_are_told_with_their_lines(
    operator: Client,
) -> None:
    form = {"text": KICK.replace("restart", "reboot").replace("\n", "\r\n"), "reason": ""}
    page = operator.post(path("workflow", "add"), form).content.decode()
    assert "line 5" in page
    assert "reboot" in page
    assert not Workflow.objects.exists()
    form["text"] = KICK.replace("\n", "\r\n")
    assert operator.post(path("workflow", "add"), form).status_code == 302
    row = Workflow.objects.get()
    assert (row.text, row.changed_by, row.mode) == (KICK, "staff-operator", "approve")


def test_a_change_is_a_new_version_and_a_stale_one_is_refused(
    operator: Client, kick: Workflow
) -> None:
    change = path("workflow", "change", kick.pk)
    seen = re.search(r'name="seen" value="(\d+)"', operator.get(change).content.decode())
    assert seen is not None
    form = {"text": KICK + "priority: 7\n", "reason": "first", "seen": seen[1]}
    assert operator.post(change, form).status_code == 302
    kick.refresh_from_db()
    assert (kick.version, kick.priority, kick.versions.count()) == (2, 7, 2)
    form["text"] = KICK + "priority: 8\n"
    assert "it is at version 2" in operator.post(change, form).content.decode()


def test_a_mode_is_set_with_a_reason(operator: Client, kick: Workflow) -> None:
    asked = operator.post(
        path("workflow"), {"action": "set_mode", "_selected_action": [str(kick.pk)]}
    ).content.decode()
    assert 'name="mode"' in asked
    assert "This field is required" in act(operator, "workflow", "set_mode", kick, mode="auto")
    act(operator, "workflow", "set_mode", kick, mode="auto", reason="it held for a month")
    kick.refresh_from_db()
    assert (kick.mode, kick.mode_changed_by) == ("auto", "staff-operator")
    assert AuditEntry.objects.get(action="workflow.mode").reason == "it held for a month"


def test_a_workflow_is_switched_off_and_on(operator: Client, kick: Workflow) -> None:
    act(operator, "workflow", "switch_off", kick, reason="broken")
    kick.refresh_from_db()
    assert not kick.enabled
    act(operator, "workflow", "switch_on", kick, reason="mended")
    kick.refresh_from_db()
    assert kick.enabled


def test_a_shipped_workflow_is_not_deleted(operator: Client, kick: Workflow) -> None:
    kick.origin = "shipped"
    kick.save()
    page = operator.post(path("workflow", "delete", kick.pk), {"post": "yes"}, follow=True)
    assert "can be switched off, not deleted" in page.content.decode()
    kick.origin = "person"
    kick.save()
    operator.post(path("workflow", "delete", kick.pk), {"post": "yes"})
    assert not Workflow.objects.exists()


def test_the_kill_switch_is_thrown_and_released(operator: Client) -> None:
    form: dict[str, Any] = {"group": "", "stopped": "on", "reason": ""}
    assert "required" in operator.post(path("healingswitch", "add"), form).content.decode()
    operator.post(path("healingswitch", "add"), {**form, "reason": "storm"})
    switch = HealingSwitch.objects.get()
    assert (switch.stopped, switch.actor, switch.reason) == (True, "staff-operator", "storm")
    change = path("healingswitch", "change", switch.pk)
    operator.post(change, {"reason": "over", "seen": str(switch.version)})
    switch.refresh_from_db()
    assert not switch.stopped


def test_a_quarantined_target_is_released_with_a_reason(operator: Client) -> None:
    row = Quarantine.objects.create(
        target_kind="service", target="planner", service="planner", reason="loop", since=NOW
    )
    act(operator, "quarantine", "release", row, reason="mended")
    row.refresh_from_db()
    assert (row.ended_by, row.ended_reason) == ("staff-operator", "mended")


def test_what_is_sealed_is_not_shown(operator: Client) -> None:
    way = {"action": "in_process", "with": {"command": "recycle_pool"}}
    target_save(service="planner", ways={"recycle_pool": way}, actor=ANA, now=NOW)
    page = operator.get(path("healingtarget", "change", "planner")).content.decode()
    assert "recycle_pool" in page
    assert HealingTarget.objects.get().sealed_ways not in page


def test_a_viewer_changes_nothing(staff: Callable[[Role], Client], kick: Workflow) -> None:
    viewer = staff(Role.VIEWER)
    change = path("workflow", "change", kick.pk)
    assert viewer.get(change).status_code == 200
    assert viewer.post(change, {"text": KICK + "priority: 1\n"}).status_code == 403
    assert viewer.post(path("workflow", "add"), {"text": KICK}).status_code == 403
    assert "set_mode" not in viewer.get(path("workflow")).content.decode()
    kick.refresh_from_db()
    assert kick.version == 1
