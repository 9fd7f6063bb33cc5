"""A breaker is closed where it is proven that what it guards is well, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from breakers.models import Command, Override
from breakers.services.commands import command_report
from breakers.services.overrides import Target, override_set
from healing.actions.kinds import breaker_reset
from health.models import Check, CheckStatus
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from tests.breakers.scenes import Scene, clear, store
from tests.healing.actions.software.acting import SERVICE, Moment, act, context, effect, refused
from tests.healing.actions.software.servers import Answering, answering
from tests.health.scenes import make

pytestmark = pytest.mark.django_db
NAME = f"{SERVICE}/microsoft_graph"
ONE, TWO = f"{SERVICE}-1", f"{SERVICE}-2"


@pytest.fixture
def moment() -> Iterator[Moment]:
    """Two instances whose breaker is open; they close it a second after they were told."""
    clear()
    found = Moment()
    scene = Scene(SERVICE, "microsoft_graph", ("open", "open"), calls=0)
    store([scene], found.now)
    found.meanwhile = closing(found)
    yield found
    clear()


def closing(moment: Moment, outcome: str = "succeeded", only: str = "") -> Callable[[], None]:
    def report() -> None:
        for command in Command.objects.filter(action="reset_breaker") if moment.seconds > 1 else []:
            for name in [only] if only else [ONE, TWO]:
                command_report(
                    command_id=command.id, service=SERVICE, instance=name, outcome=outcome,
                    output="1 reset", at=moment.now,
                )  # fmt: skip

    return report


def graph_check(moment: Moment, **status: Any) -> Check:
    """A check of the service that the breaker is named after; each run leaves it as given."""
    check = make("graph-call", service="microsoft-graph")
    before = moment.meanwhile

    def run() -> None:
        before()
        CheckStatus.objects.filter(pk=check.pk).update(last_run_at=moment.now, **status)

    moment.meanwhile = run
    return check


def where(moment: Moment, **more: Any) -> Any:
    return context(moment, kind="breaker", name=NAME, **more)


def force(moment: Moment) -> None:
    """A person forces the breaker."""
    override_set(
        target=Target.of_breaker(SERVICE, "microsoft_graph"), state="forced_open", reason="r",
        expires_in=60, actor=Actor.system("ana"), role=Role.ADMIN, now=moment.now,
    )  # fmt: skip


def commands() -> int:
    return Command.objects.filter(action="reset_breaker").count()


def test_checks_of_what_it_guards_are_the_proof(moment: Moment) -> None:
    graph_check(moment, own_state="up", successes=2)
    assert effect("breaker_reset", {}, where(moment)) == (
        f"Closes the breaker {NAME}, which is open, in every instance, "
        "if graph-call passed 2 times in a row"
    )
    acted = act("breaker_reset", {}, where(moment))
    assert acted.done.output == (
        f"Proven: graph-call passed 2 times in a row. {NAME} begins anew in 2 of 2 instances"
    )
    command = Command.objects.get(action="reset_breaker")
    assert (command.actor, command.parameters) == ("healing", {"breaker": "microsoft_graph"})


@pytest.mark.parametrize(
    "status",
    [
        {"own_state": "down", "successes": 0, "last_output": "503"},
        {"own_state": "up", "successes": 1},
    ],
)
def test_a_check_that_fails_or_has_not_passed_often_enough_proves_nothing(
    moment: Moment, status: dict[str, Any]
) -> None:
    graph_check(moment, **status)
    failed = refused("breaker_reset", {}, where(moment, seconds=5))
    assert failed.message.startswith("Not proven well: graph-call")
    assert commands() == 0


def test_a_check_that_is_named_must_be_there(moment: Moment) -> None:
    failed = refused("breaker_reset", {"check": "gone"}, where(moment))
    assert failed.permanent
    assert commands() == 0


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering() as found:
        yield found


def test_a_proof_call_that_succeeds_closes_it(moment: Moment, server: Answering) -> None:
    acted = act("breaker_reset", {"url": f"{server.url}/me?token=hidden"}, where(moment))
    assert acted.done.output.startswith(f"Proven: GET {server.url}/me gave 200 OK")
    assert [each.path for each in server.asked] == ["/me?token=hidden"]


@pytest.mark.parametrize("status", [302, 404, 503])
def test_a_proof_call_that_fails_does_not(moment: Moment, server: Answering, status: int) -> None:
    server.status = status
    failed = refused("breaker_reset", {"url": server.url}, where(moment))
    assert str(status) in failed.message
    assert commands() == 0


def test_without_checks_its_own_calls_are_the_proof(moment: Moment) -> None:
    assert "of 0 calls lately 0 failed" in refused("breaker_reset", {}, where(moment)).message
    store([Scene(SERVICE, "redis", ("half_open",), calls=2)], moment.now)
    given = {"breaker": "redis", "calls": 4}
    acted = act("breaker_reset", given, context(moment))
    assert "calls succeeded lately and none failed" in acted.done.output
    store([Scene(SERVICE, "database", ("half_open",), calls=9, failures=1)], moment.now)
    failed = refused("breaker_reset", {"breaker": "database"}, context(moment))
    assert "Nothing proves that database is well" in failed.message


def test_what_a_person_forced_stays_forced(moment: Moment, server: Answering) -> None:
    force(moment)
    failed = refused("breaker_reset", {"url": server.url}, where(moment))
    assert "by ana" in failed.message
    assert Override.objects.filter(ended_at=None).count() == 1


def test_what_a_person_forces_while_it_is_proven_stays_forced(moment: Moment) -> None:
    graph_check(moment, own_state="up", successes=2)
    proven = moment.meanwhile

    def decides() -> None:
        proven()
        if not Override.objects.exists():
            force(moment)

    moment.meanwhile = decides
    failed = refused("breaker_reset", {}, where(moment))
    assert "is forced_open by ana: that is theirs to end" in failed.message
    assert (Override.objects.filter(ended_at=None).count(), commands()) == (1, 0)


def test_what_a_person_forces_right_before_it_is_told_stays_forced(
    moment: Moment, server: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = breaker_reset.override_refuse_persons
    looks: list[Target] = []

    def looked(target: Target) -> None:
        refuse(target)
        looks.append(target)
        if len(looks) == 2:
            force(moment)

    monkeypatch.setattr(breaker_reset, "override_refuse_persons", looked)
    failed = refused("breaker_reset", {"url": server.url}, where(moment))
    assert "has changed" in failed.message
    assert not failed.permanent
    assert (Override.objects.filter(ended_at=None).count(), commands()) == (1, 0)


def test_an_instance_that_hangs_is_waited_for_a_while_and_told(
    moment: Moment, server: Answering
) -> None:
    moment.meanwhile = closing(moment, only=ONE)
    acted = act("breaker_reset", {"url": server.url}, where(moment))
    assert acted.done.output.endswith("begins anew in 1 of 2 instances")
    assert moment.seconds == pytest.approx(15, abs=0.3)


def test_where_none_could_the_step_has_failed(moment: Moment, server: Answering) -> None:
    moment.meanwhile = closing(moment, "failed")
    failed = refused("breaker_reset", {"url": server.url}, where(moment))
    assert failed.message == f"No instance closed {NAME}"
    assert failed.output == f"{ONE}: 1 reset; {TWO}: 1 reset"
