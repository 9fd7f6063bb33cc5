"""Commands to handlers in services, as the site keeps them, and how instances report of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from breakers.models import Command, ControlDocument, Instance
from breakers.services.commands import command_report
from healing.actions.registry import action_named
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
POOL = {"command": "recycle_pool"}
ONE, TWO = f"{SERVICE}-1", f"{SERVICE}-2"


@pytest.fixture
def moment() -> Moment:
    """Two instances that report; the second one has run longer."""
    found = Moment()
    instance(ONE, now=found.now, started_at=found.now - timedelta(minutes=1))
    instance(TWO, now=found.now, started_at=found.now - timedelta(minutes=9))
    return found


def answering(moment: Moment, outcome: str = "succeeded", output: str = "5 closed") -> None:
    """Instances do what the document tells them, a second after they were told."""

    def report() -> None:
        document = ControlDocument.objects.get(service=SERVICE).document
        for given in document["commands"] if moment.seconds >= 1 else []:
            command = Command.objects.get(pk=given["id"])
            for name in [command.instance] if command.instance else [ONE, TWO]:
                command_report(
                    command_id=command.id, service=SERVICE, instance=name, outcome=outcome,
                    output=output, at=moment.now,
                )  # fmt: skip

    moment.meanwhile = report


def test_its_effect_names_the_instance_and_gives_no_command(moment: Moment) -> None:
    said = effect("in_process", POOL, context(moment))
    assert said == f"Has {SERVICE} run its recycle_pool in {TWO}"
    everywhere = effect("in_process", {**POOL, "instance": "all"}, context(moment))
    assert everywhere.endswith(f"in {TWO}, {ONE}")
    assert not Command.objects.exists()


def test_one_instance_runs_the_handler_and_what_it_says_is_the_output(moment: Moment) -> None:
    answering(moment)
    acted = act("in_process", {**POOL, "parameters": {"grace": 1}}, context(moment))
    assert acted.done.output == f"{TWO}: succeeded: 5 closed"
    command = Command.objects.get()
    assert (command.instance, command.parameters, command.actor) == (TWO, {"grace": 1}, "healing")
    assert str(command.id) == acted.context.before["command"]
    assert acted.finished() is True


def test_all_instances_must_report(moment: Moment) -> None:
    answering(moment)
    acted = act("in_process", {**POOL, "instance": "all"}, context(moment))
    assert set(acted.done.output.splitlines()) == {
        f"{TWO}: succeeded: 5 closed",
        f"{ONE}: succeeded: 5 closed",
    }
    assert Command.objects.get().instance == ""


def test_a_handler_that_fails_fails_the_step_with_its_words(moment: Moment) -> None:
    answering(moment, "failed", "PoolTimeout: none free")
    failed = refused("in_process", POOL, context(moment))
    assert "PoolTimeout: none free" in failed.message
    assert not failed.permanent


def test_a_command_that_nobody_registered_is_not_tried_again(moment: Moment) -> None:
    answering(moment, "unknown_action", "")
    failed = refused("in_process", POOL, context(moment))
    assert failed.permanent
    assert failed.message == f"{TWO} has no handler for recycle_pool"


def test_a_silent_instance_fails_the_step_and_the_command_is_taken_back(moment: Moment) -> None:
    failed = refused("in_process", POOL, context(moment, seconds=10))
    assert failed.message == f"{TWO} did not report recycle_pool within 10 s"
    assert ControlDocument.objects.get(service=SERVICE).document["commands"] == []


def test_where_no_instance_reports_nothing_is_sent(moment: Moment) -> None:
    Instance.objects.update(last_seen=moment.now - timedelta(minutes=5))
    assert "No instance of" in refused("in_process", POOL, context(moment)).message
    gone = refused("in_process", {**POOL, "instance": ONE}, context(moment))
    assert gone.message == f"The instance {ONE} of {SERVICE} does not report"
    assert not Command.objects.exists()


def test_after_a_restart_the_process_must_come_back(moment: Moment) -> None:
    answering(moment)
    report = moment.meanwhile

    def restart() -> None:
        report()
        if moment.seconds >= 3:
            Instance.objects.filter(instance=TWO).update(started_at=moment.now)

    moment.meanwhile = restart
    acted = act("in_process", {"command": "restart_gracefully"}, context(moment))
    assert acted.done.output.endswith(f"{TWO} came back")
    assert moment.seconds >= 3


def test_a_process_that_does_not_come_back_fails_the_step(moment: Moment) -> None:
    answering(moment)
    failed = refused("in_process", {"command": "restart_gracefully"}, context(moment, seconds=8))
    assert failed.message == f"{TWO} did not come back in time"


def test_an_act_that_nobody_saw_the_end_of_is_told_by_its_command(moment: Moment) -> None:
    found = action_named("in_process")
    parameters = found.parse(POOL)
    before = found.observe(parameters, context(moment))
    where = context(moment, before=before, seconds=5)
    assert found.finished(parameters, where) is False, "the command was never given"
    answering(moment, "failed", "no")
    with pytest.raises(Exception, match="failed"):
        found.act(parameters, where)
    assert found.finished(parameters, where) is False
    again = context(moment, before=before, seconds=5)
    answering(moment)
    found.act(parameters, again)
    assert Command.objects.count() == 2, "a further attempt is a command of its own"


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        ("recycle_pool", "connection_pool_healing_enabled"),
        ("warm_cache", "cache_warming_on_failure"),
        ("restart_gracefully", "auto_restart_enabled"),
        ("rotate_logs", ""),
    ],
)
def test_the_storys_variable_follows_from_what_the_command_does(
    command: str, variable: str
) -> None:
    assert action_named("in_process").variable_of({"command": command}) == variable
