"""Workflows as people write and change them: kept in versions, audited, told to open pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from healing.domain.diffs import DiffLine, text_diff
from healing.models import Workflow
from healing.selectors.versions import version_diff, version_find
from healing.services.workflows.modes import workflow_mode_set
from healing.services.workflows.store import (
    workflow_create,
    workflow_delete,
    workflow_switch,
    workflow_update,
)
from healing.services.workflows.texts import text_of
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Topic
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid, NotFound

ANA = Actor.system("ana")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KICK = """\
name: kick
title: Kick
trigger: {type: manual}
steps:
  - {id: one, action: restart}
"""


def made() -> Workflow:
    return workflow_create(text=KICK, actor=ANA, now=NOW)


def told() -> list[tuple[str, str, str]]:
    return [
        (entry.kind, entry.key, entry.state)
        for entry in journal.read(0, [Topic.HEALING])
        if entry.kind == "workflow.changed"
    ]


@pytest.mark.django_db
def test_a_new_workflow_waits_for_approval_whoever_wrote_it() -> None:
    row = made()
    assert (row.mode, row.version, row.changed_by_person) == ("approve", 1, True)
    assert row.definition["steps"][0]["action"] == "restart"
    assert told()[-1] == ("workflow.changed", "kick", "approve")


@pytest.mark.django_db
def test_each_change_is_a_version_that_can_be_held_against_another() -> None:
    row = made()
    workflow_update(name="kick", text=KICK.replace("Kick", "Shove"), if_match=1, actor=ANA, now=NOW)
    older, newer = version_find(row, 1), version_find(row, 2)
    assert older is not None
    assert newer is not None
    assert [(each.kind, each.text) for each in version_diff(older, newer)][:3] == [
        ("same", "name: kick"),
        ("removed", "title: Kick"),
        ("added", "title: Shove"),
    ]
    assert version_diff(newer, newer) == []


@pytest.mark.django_db
def test_a_stale_or_a_renamed_text_is_refused_and_that_is_audited() -> None:
    made()
    with pytest.raises(Conflict) as conflict:
        workflow_update(name="kick", text=KICK + "priority: 1\n", if_match=7, actor=ANA, now=NOW)
    assert conflict.value.current["version"] == 1
    with pytest.raises(Invalid, match="keeps its name"):
        workflow_update(
            name="kick", text=KICK.replace("name: kick", "name: shove"), actor=ANA, now=NOW
        )
    with pytest.raises(NotFound):
        workflow_update(name="none", text=KICK, actor=ANA, now=NOW)
    refused = AuditEntry.objects.filter(action="workflow.update.refused")
    assert refused.count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize("text", [KICK, KICK.replace("name: kick", "name: new")])
def test_a_name_is_taken_once(text: str) -> None:
    made()
    with pytest.raises(Invalid) as refused:
        workflow_create(text=text, actor=ANA, now=NOW)
    assert refused.value.errors[0].field == "name"


@pytest.mark.django_db
def test_a_mode_needs_a_reason_and_forgives_what_failed_before() -> None:
    made()
    later = NOW + timedelta(hours=1)
    with pytest.raises(Invalid, match="reason"):
        workflow_mode_set(name="kick", mode="auto", reason=" ", actor=ANA, now=later)
    with pytest.raises(Invalid, match="no mode"):
        workflow_mode_set(name="kick", mode="wild", reason="x", actor=ANA, now=later)
    row = workflow_mode_set(name="kick", mode="auto", reason="it held", actor=ANA, now=later)
    assert (row.mode, row.mode_changed_at, row.mode_changed_by) == ("auto", later, "ana")
    assert row.version == 1
    assert told()[-1][2] == "auto"
    entry = AuditEntry.objects.get(action="workflow.mode")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.reason, entry.before["mode"], entry.after["mode"]) == (
        "it held", "approve", "auto",
    )  # fmt: skip


@pytest.mark.django_db
def test_a_workflow_is_switched_and_deleted() -> None:
    made()
    workflow_switch(name="kick", enabled=False, reason="rest", actor=ANA, now=NOW)
    assert told()[-1][2] == "off"
    with pytest.raises(Conflict):
        workflow_delete(name="kick", if_match=9, actor=ANA, now=NOW)
    workflow_delete(name="kick", actor=ANA, now=NOW)
    assert told()[-1][2] == "deleted"
    assert not Workflow.objects.exists()


@pytest.mark.django_db
def test_a_secret_has_no_place_in_a_workflow() -> None:
    text = text_of(
        {
            "name": "leak",
            "title": "Leak",
            "trigger": {"type": "manual"},
            "steps": [
                {
                    "id": "a",
                    "action": "supervisor_restart",
                    "with": {
                        "server": "http://127.0.0.1:9001",
                        "program": "{service}",
                        "username": "ops",
                        "password": "hunter2!",
                    },
                }
            ],
        }
    )
    with pytest.raises(Invalid, match="password holds a secret") as refused:
        workflow_create(text=text, actor=ANA, now=NOW)
    assert "hunter2!" not in str(refused.value.errors)
    text = text.replace("hunter2!", "${RESILIENCE_HEALING_PASSWORD}")
    assert workflow_create(text=text, actor=ANA, now=NOW).name == "leak"


def test_a_diff_leaves_out_what_is_far_from_a_change() -> None:
    before = "".join(f"{n}\n" for n in range(20))
    after = before.replace("10\n", "ten\n")
    lines = text_diff(before, after)
    assert lines[0] == lines[-1] == DiffLine("gap")
    assert [each.text for each in lines if each.kind == "removed"] == ["10"]
    assert [(each.old, each.new) for each in lines if each.kind == "added"] == [(None, 11)]
    assert len(lines) == 2 + 3 + 2 + 3
