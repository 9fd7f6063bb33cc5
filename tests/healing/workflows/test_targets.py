"""How services are reached: kept sealed, shown without secrets, and put to use by steps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from healing.actions.base import ActionFailed, Subject
from healing.domain.definition import Call
from healing.models import HealingTarget
from healing.services.targets import step_resolve, target_delete, target_save, ways_of
from resilience_site.core.audit import Actor
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid, NotFound

pytestmark = pytest.mark.django_db

ANA = Actor.system("ana")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
RESTART = {
    "action": "supervisor_restart",
    "with": {
        "server": "http://127.0.0.1:9001",
        "program": "{service}",
        "username": "ops",
        "password": "hunter2!",
    },
}


def saved(**changes: Any) -> HealingTarget:
    given = {"service": "planner", "ways": {"restart": RESTART}, "actor": ANA, "now": NOW}
    return target_save(**{**given, **changes})


def subject(service: str = "planner", **more: Any) -> Subject:
    return Subject(kind="service", name=service, service=service, **more)


def test_a_secret_is_sealed_and_neither_shown_nor_in_the_audit_trail() -> None:
    row = saved()
    assert row.ways["restart"]["with"]["password"] == "***"
    assert "hunter2!" not in row.sealed_ways
    assert "hunter2!" not in str(AuditEntry.objects.latest("pk").after)
    assert ways_of("planner") == {"restart"}
    assert ways_of("elsewhere") == frozenset()


def test_a_step_that_asks_for_a_way_gets_its_action_with_names_put_in() -> None:
    saved()
    found = step_resolve(Call(action="restart"), subject())
    assert found.action.name == "supervisor_restart"
    assert found.parameters.program == "planner"
    assert found.parameters.password == "hunter2!"
    assert found.shown["password"] == "***"
    assert "hunter2!" in found.secrets
    assert (found.way, found.safe_to_leave) == ("restart", True)


def test_a_step_adds_parameters_to_a_way() -> None:
    saved()
    call = Call.model_validate({"action": "restart", "with": {"process": "planner-2"}})
    assert step_resolve(call, subject()).parameters.process == "planner-2"


def test_a_step_cannot_lead_the_secret_of_a_way_elsewhere() -> None:
    saved()
    call = Call.model_validate({"action": "restart", "with": {"server": "http://127.0.0.2:9001"}})
    with pytest.raises(ActionFailed, match="another host") as failed:
        step_resolve(call, subject())
    assert failed.value.permanent


def test_a_service_without_the_way_says_what_is_missing() -> None:
    with pytest.raises(ActionFailed, match="its healing target has no way restart") as failed:
        step_resolve(Call(action="restart"), subject())
    assert failed.value.permanent


def test_variables_are_put_in_at_the_last_moment_and_shown_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESILIENCE_HEALING_SOCKET", "unix:///run/one.sock")
    way = {**RESTART, "with": {"server": "${RESILIENCE_HEALING_SOCKET}", "program": "p"}}
    saved(ways={"restart": way})
    monkeypatch.setenv("RESILIENCE_HEALING_SOCKET", "unix:///run/two.sock")
    found = step_resolve(Call(action="restart"), subject())
    assert found.parameters.server == "unix:///run/two.sock"
    assert found.shown["server"] == "${RESILIENCE_HEALING_SOCKET}"
    monkeypatch.delenv("RESILIENCE_HEALING_SOCKET")
    with pytest.raises(ActionFailed, match="RESILIENCE_HEALING_SOCKET, which is not set"):
        step_resolve(Call(action="restart"), subject())


@pytest.mark.parametrize("name", ["../up", "-rf", "a b", "${RESILIENCE_HEALING_X}", "x@host"])
def test_a_name_that_a_sender_chose_cannot_mean_something_else(name: str) -> None:
    call = Call.model_validate(
        {"action": "supervisor_restart", "with": {"server": "http://h", "program": "{service}"}}
    )
    with pytest.raises(ActionFailed, match="cannot safely stand there"):
        step_resolve(call, subject(name))


def test_an_instance_is_the_one_that_the_trigger_tells() -> None:
    call = Call.model_validate(
        {"action": "supervisor_restart", "with": {"server": "http://h", "program": "{instance}"}}
    )
    told = subject(trigger={"text": "…", "evidence": {"instance": "planner-3"}})
    assert step_resolve(call, told).parameters.program == "planner-3"
    with pytest.raises(ActionFailed, match="which the trigger does not tell"):
        step_resolve(call, subject())


def test_a_mask_keeps_the_secret_unless_it_would_go_elsewhere() -> None:
    row = saved()
    again = saved(ways=row.ways)
    assert (again.version, again.sealed_ways) == (1, row.sealed_ways)
    renamed = {"restart": {**RESTART, "with": {**row.ways["restart"]["with"], "program": "p"}}}
    saved(ways=renamed)
    assert step_resolve(Call(action="restart"), subject()).parameters.password == "hunter2!"
    moved = {"restart": {**RESTART, "with": {**row.ways["restart"]["with"], "server": "http://h"}}}
    with pytest.raises(Invalid, match="must be entered again") as refused:
        saved(ways=moved)
    assert refused.value.errors[0].field == "ways.restart.with.password"


@pytest.mark.parametrize(
    ("ways", "field", "reason"),
    [
        ({"restart": {"action": "reboot"}}, "ways.restart.action", "'reboot' is unknown"),
        ({"restart": {**RESTART, "with": {}}}, "ways.restart.with.server", "is required"),
        (
            {"restart": {**RESTART, "with": {"server": "http://h", "program": "p", "shell": "x"}}},
            "ways.restart.with.shell",
            "is unknown",
        ),
        ({"Restart!": RESTART}, "ways.Restart!", "is no name"),
        ({"supervisor_restart": RESTART}, "ways.supervisor_restart", "name of an action"),
        ({"restart": "now"}, "ways.restart", "must be an object"),
        (
            {"restart": {**RESTART, "with": {"server": "http://h", "program": "${PATH}"}}},
            "ways.restart.with.program",
            "not PATH",
        ),
        ({"restart": {**RESTART, "with": {"server": "a\0"}}}, "ways.restart.with", "NUL"),
    ],
)
def test_what_is_wrong_with_a_way_is_told_by_its_field(
    ways: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        saved(ways=ways)
    assert [each.field for each in refused.value.errors] == [field]
    assert reason in refused.value.errors[0].message
    assert AuditEntry.objects.latest("pk").action == "healing_target.save.refused"


def test_a_stale_version_is_refused_and_a_target_is_forgotten() -> None:
    saved(if_match=0)
    with pytest.raises(Conflict):
        saved(if_match=0, group="web")
    assert saved(if_match=1, group="web").version == 2
    with pytest.raises(Conflict):
        target_delete(service="planner", if_match=1, actor=ANA, now=NOW)
    target_delete(service="planner", if_match=2, actor=ANA, now=NOW)
    assert not HealingTarget.objects.exists()
    with pytest.raises(NotFound):
        target_delete(service="planner", actor=ANA, now=NOW)
