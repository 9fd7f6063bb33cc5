"""Degraded modes, toggles, overrides and patterns: decided for a while, and put back as they were."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from analytics.models import ErrorPattern
from breakers.models import (
    Breaker,
    ControlDocument,
    DegradedMode,
    Instance,
    Override,
    Toggle,
)
from breakers.services.degraded import degraded_set
from breakers.services.overrides import Target, override_set
from breakers.services.toggles import toggle_set
from healing.actions.base import ActionFailed
from healing.actions.kinds import degraded_mode, degraded_restore
from healing.actions.registry import action_named
from health.checks.options import OptionError
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.breakers.scenes import Scene, store
from tests.healing.actions.software.acting import (
    SERVICE,
    Moment,
    act,
    context,
    effect,
    instance,
    refused,
)

pytestmark = pytest.mark.django_db
ANA: dict[str, Any] = {"actor": Actor.system("ana"), "role": Role.ADMIN}


@pytest.fixture
def moment() -> Moment:
    found = Moment()
    store([Scene(SERVICE, "redis", ("closed",))], found.now)
    return found


def level() -> str:
    found = DegradedMode.objects.filter(service=SERVICE).first()
    return str(found.level) if found else "none"


def test_degraded_mode_tells_its_effect_and_changes_nothing(moment: Moment) -> None:
    said = effect("degraded_mode", {"level": "essential", "seconds": 600}, context(moment))
    assert said.startswith(f"Sets {SERVICE} from normal to essential for 10 min; its users read: “")
    assert level() == "none"


def test_degraded_mode_is_set_with_an_end_and_undone_to_normal(moment: Moment) -> None:
    acted = act("degraded_mode", {"level": "reduced"}, context(moment))
    mode = DegradedMode.objects.get(service=SERVICE)
    assert (mode.level, mode.actor) == ("reduced", "healing")
    assert mode.expires_at == acted.context.started_at + timedelta(hours=1)
    assert "run 7" in mode.reason
    assert acted.finished() is True
    acted.undo()
    assert level() == "normal"
    assert AuditEntry.objects.filter(action="degraded.set", actor="healing").count() == 2


def test_undoing_puts_back_the_level_and_notice_that_were_there_for_what_is_left(
    moment: Moment,
) -> None:
    degraded_set(
        service=SERVICE, level="reduced", notice="No search.", reason="drill", expires_in=100,
        now=moment.now, **ANA,
    )  # fmt: skip
    acted = act("degraded_mode", {"level": "offline"}, context(moment))
    assert level() == "offline"
    acted.undo()
    mode = DegradedMode.objects.get(service=SERVICE)
    assert (mode.level, mode.notice) == ("reduced", "No search.")
    assert mode.expires_at is not None
    end = acted.context.started_at + timedelta(seconds=100)
    assert abs((mode.expires_at - end).total_seconds()) < 0.01


def test_undoing_leaves_what_a_person_decided_meanwhile(moment: Moment) -> None:
    acted = act("degraded_mode", {"level": "offline"}, context(moment))
    degraded_set(service=SERVICE, level="essential", reason="mine", now=moment.now, **ANA)
    assert acted.undo().output == f"{SERVICE} runs at essential by ana: left as it is"
    assert level() == "essential"


@pytest.mark.parametrize(
    ("action", "module", "first"),
    [
        ("degraded_mode", degraded_mode, True),
        ("degraded_restore", degraded_restore, False),
        ("degraded_restore", degraded_restore, True),
    ],
)
def test_what_a_person_decides_right_before_a_level_is_put_back_stays(
    moment: Moment, monkeypatch: pytest.MonkeyPatch, action: str, module: Any, first: bool
) -> None:
    """`first`: the action is done before the person decides, and then undone."""
    act("degraded_mode", {"level": "reduced"}, context(moment))
    given = {"level": "offline"} if action == "degraded_mode" else {}
    acted = act(action, given, context(moment)) if first else None
    present = module.level_present

    def looked(service: str) -> dict[str, Any]:
        found: dict[str, Any] = present(service)
        degraded_set(service=SERVICE, level="essential", reason="mine", now=moment.now, **ANA)
        return found

    found = action_named(action)
    again = acted.undo if acted else lambda: found.act(found.parse(given), context(moment))
    monkeypatch.setattr(module, "level_present", looked)
    with pytest.raises(ActionFailed, match="The degraded mode has changed") as failed:
        again()
    assert not failed.value.permanent
    mode = DegradedMode.objects.get(service=SERVICE)
    assert (mode.level, mode.actor) == ("essential", "ana")


def test_an_act_waits_until_the_living_instances_work_by_it(moment: Moment) -> None:
    instance("late", now=moment.now, applied_version=0)
    instance("later", now=moment.now, applied_version=0)

    def hear() -> None:
        if moment.seconds > 1:
            version = ControlDocument.objects.get(service=SERVICE).version
            Instance.objects.filter(service=SERVICE).update(applied_version=version)

    moment.meanwhile = hear
    assert act("degraded_mode", {"level": "reduced"}, context(moment)).done.output.endswith(
        "3 of 3 instances work by it"
    )
    assert 1 < moment.seconds < 2


def test_one_instance_that_hangs_does_not_hold_the_act_for_long(moment: Moment) -> None:
    instance("wedged", now=moment.now, applied_version=0)
    output = act("degraded_mode", {"level": "reduced"}, context(moment)).done.output
    assert "0 of 2 instances" in output or "1 of 2 instances" in output
    assert moment.seconds == pytest.approx(5, abs=0.3)


def test_a_service_that_is_not_there_is_a_failure_for_good(moment: Moment) -> None:
    failed = refused("degraded_mode", {"level": "reduced", "service": "nobody"}, context(moment))
    assert failed.permanent
    assert "nobody" in failed.message


@pytest.mark.parametrize(
    ("name", "given", "option"),
    [
        ("degraded_mode", {"level": "normal"}, "level"),
        ("degraded_mode", {"level": "reduced", "seconds": 0}, "seconds"),
        ("degraded_mode", {"level": "reduced", "notice": "x" * 501}, "notice"),
        ("toggle", {"key": "a", "value": 1, "seconds": 86_401}, "seconds"),
        ("toggle", {"key": "a"}, "value"),
        ("breaker_override", {"state": "open"}, "state"),
        ("breaker_override", {"state": "disabled", "until": 3}, "until"),
        ("resolve_pattern", {"pattern": "no-id"}, "pattern"),
        ("wait", {"seconds": 601}, "seconds"),
        ("in_process", {"command": ""}, "command"),
        ("in_process", {"command": "x", "instance": ""}, "instance"),
        ("in_process", {"command": "x" * 101}, "command"),
    ],
)
def test_parameters_that_cannot_work_are_refused_by_name(
    name: str, given: dict[str, Any], option: str
) -> None:
    with pytest.raises(OptionError) as caught:
        action_named(name).parse(given)
    assert caught.value.option == option


def test_a_toggle_is_switched_in_the_targets_service_and_unset_again(moment: Moment) -> None:
    given = {"key": "planner.write", "value": False, "seconds": 60}
    said = effect("toggle", given, context(moment))
    assert said == f"Switches planner.write from unset to false for 1 min, in {SERVICE}"
    acted = act("toggle", given, context(moment))
    toggle = Toggle.objects.get(key="planner.write")
    assert (toggle.value, toggle.services, toggle.is_set) == (False, [SERVICE], True)
    assert acted.finished() is True
    acted.undo()
    assert not Toggle.objects.get(key="planner.write").is_set


def test_a_toggle_goes_back_to_the_lasting_value_it_rested_upon(moment: Moment) -> None:
    toggle_set(key="k", value="a", reason="r", rollout=0.5, now=moment.now, **ANA)
    acted = act("toggle", {"key": "k", "value": "b"}, context(moment))
    now = Toggle.objects.get(key="k")
    assert (now.value, now.rollout, now.services) == ("b", 1.0, [])
    acted.undo()
    back = Toggle.objects.get(key="k")
    assert (back.value, back.rollout, back.expires_at, back.actor) == ("a", 0.5, None, "ana")


def test_a_toggle_goes_back_to_the_passing_value_for_what_is_left_of_it(moment: Moment) -> None:
    toggle_set(key="k", value="rest", reason="r", now=moment.now, **ANA)
    toggle_set(key="k", value="a", reason="r", expires_in=500, now=moment.now, **ANA)
    acted = act("toggle", {"key": "k", "value": "b"}, context(moment))
    acted.undo()
    back = Toggle.objects.get(key="k")
    assert (back.value, back.resting and back.resting["value"]) == ("a", "rest")
    assert back.expires_at is not None
    assert abs((back.expires_at - acted.context.started_at).total_seconds() - 500) < 0.01


def test_a_toggle_that_a_person_switched_meanwhile_is_left(moment: Moment) -> None:
    acted = act("toggle", {"key": "k", "value": "b"}, context(moment))
    toggle_set(key="k", value="c", reason="r", now=moment.now, **ANA)
    assert acted.undo().output == 'k is "c" by ana: left as it is'


def override() -> str | None:
    return Override.objects.filter(ended_at=None).values_list("state", flat=True).first()


def test_a_breaker_is_overridden_and_released(moment: Moment) -> None:
    where = context(moment, kind="breaker", name=f"{SERVICE}/redis")
    given = {"state": "forced_open", "seconds": 30}
    assert effect("breaker_override", given, where) == (
        f"Forces the breaker {SERVICE}/redis to forced_open in every instance for 30 s, "
        "in place of none"
    )
    acted = act("breaker_override", given, where)
    assert (override(), acted.finished()) == ("forced_open", True)
    acted.undo()
    assert override() is None


def test_an_override_of_a_person_is_never_replaced(moment: Moment) -> None:
    override_set(
        target=Target.of_breaker(SERVICE, "redis"), state="disabled", reason="r", expires_in=60,
        now=moment.now, **ANA,
    )  # fmt: skip
    failed = refused(
        "breaker_override", {"state": "forced_open", "breaker": "redis"}, context(moment)
    )
    assert failed.permanent
    assert "by ana" in failed.message
    assert override() == "disabled"


def test_without_a_breaker_to_act_on_it_fails(moment: Moment) -> None:
    failed = refused("breaker_override", {"state": "forced_open"}, context(moment))
    assert failed.message == "No breaker is named, and the target is none"
    missing = refused("breaker_override", {"state": "disabled", "breaker": "x"}, context(moment))
    assert "no breaker 'x'" in missing.message
    assert Breaker.objects.filter(name="x").count() == 0


def pattern(state: str = "ongoing", **fields: Any) -> ErrorPattern:
    now = Moment().now
    return ErrorPattern.objects.create(
        id=uuid.uuid4(), service=SERVICE, type="PoolTimeout", template="no connection in <N> s",
        rule="", version=1, state=state, count=4, first_seen=now, last_seen=now,
        last_error_id=uuid.uuid4(), **fields,
    )  # fmt: skip


def test_a_pattern_is_resolved_and_opened_again(moment: Moment) -> None:
    found = pattern()
    where = context(moment, kind="pattern", name=str(found.id))
    assert effect("resolve_pattern", {}, where) == (
        f"Resolves the pattern “{SERVICE}: PoolTimeout: no connection in <N> s”, which is ongoing"
    )
    acted = act("resolve_pattern", {}, where)
    found.refresh_from_db()
    assert (found.state, acted.finished()) == ("resolved", True)
    assert "decided by healing" in found.state_reason
    acted.undo()
    found.refresh_from_db()
    assert found.state == "ongoing"


def test_a_pattern_that_is_ignored_is_left_to_whoever_ignores_it(moment: Moment) -> None:
    found = pattern("ignored")
    failed = refused("resolve_pattern", {"pattern": str(found.id)}, context(moment))
    assert failed.permanent
    found.refresh_from_db()
    assert found.state == "ignored"


def test_a_pattern_that_was_resolved_already_stays_so_when_undone(moment: Moment) -> None:
    found = pattern("resolved")
    acted = act("resolve_pattern", {"pattern": str(found.id)}, context(moment))
    assert acted.done.output == "It was resolved already"
    acted.undo()
    found.refresh_from_db()
    assert found.state == "resolved"


def test_waiting_takes_its_time_and_refuses_more_than_there_is(moment: Moment) -> None:
    assert act("wait", {"seconds": 5}, context(moment)).done.output == "Waited 5 s"
    assert moment.seconds == 5
    assert refused("wait", {"seconds": 31}, context(moment, seconds=30)).permanent
