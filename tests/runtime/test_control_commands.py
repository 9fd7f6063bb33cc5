"""Commands of the site: each once, on a thread of its own, and reported."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import commands as commands_module
from breakers.runtime import events
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.events import Event
from breakers.runtime.resilience import Resilience
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ClientVariables
from tests.patience import PATIENCE, until
from tests.runtime.desk import document
from tests.runtime.sink import Sink, attributes
from tests.test_circuit_breaker import attempt

Reports = Callable[[], tuple[str, str, str]]


@pytest.fixture
def resilience() -> Resilience:
    return Resilience(ClientVariables({}))


@pytest.fixture
def told() -> Iterator[queue.Queue[Event]]:
    """The reports, as they come."""
    told: queue.Queue[Event] = queue.Queue()
    stop = events.subscribe(
        lambda event: told.put(event) if event.name == "resilience.healing.reported" else None
    )
    yield told
    stop()


@pytest.fixture
def report(told: queue.Queue[Event]) -> Reports:
    """Waits for the next report: id, outcome, output."""

    def take() -> tuple[str, str, str]:
        found = told.get(timeout=PATIENCE).attributes
        return (
            str(found["resilience.command.id"]),
            str(found["resilience.healing.outcome"]),
            str(found["resilience.healing.output"]),
        )

    return take


def command(id: str, action: str, seconds: object = None, **parameters: Any) -> dict[str, Any]:
    return {
        "id": id, "action": action, "parameters": parameters, "reason": "drill", "actor": "ana",
        "expires_at": None, "expires_in": seconds,
    }  # fmt: skip


def reset(id: str, name: object) -> dict[str, Any]:
    return command(id, "reset_breaker", breaker=name)


def test_a_breaker_is_reset_with_those_by_key(resilience: Resilience, report: Reports) -> None:
    breaker = resilience.breaker("graph", failure_threshold=1)
    keyed = resilience.breakers.keyed("graph", "tenant")
    other = resilience.breaker("db", failure_threshold=1)
    for each in (breaker, keyed, other):
        attempt(each)
    reasons: list[str] = []
    breaker.on_event(lambda event: reasons.append(event.reason))
    resilience.apply(document(commands=[reset("c-1", "graph")]))
    assert report() == ("c-1", "succeeded", "2 reset")
    assert breaker.state is keyed.state is CircuitState.CLOSED
    assert other.state is CircuitState.OPEN
    assert reasons == ["drill"]


def test_a_reset_does_not_undo_what_was_set_by_hand(
    resilience: Resilience, report: Reports
) -> None:
    resilience.breaker("graph")
    resilience.bulkheads.failure_domain("eu", [resilience.breaker("mail")])
    resilience.apply(
        document(
            breakers={"graph": {"override": {"state": "forced_open"}}},
            isolated={"eu": {}},
            commands=[reset("c-1", "graph"), reset("c-2", "mail"), reset("c-3", "mars")],
        )
    )
    assert [report()[1] for _ in range(3)] == ["failed"] * 3
    assert resilience.breaker("graph").state is CircuitState.FORCED_OPEN
    assert resilience.breaker("mail").state is CircuitState.FORCED_OPEN
    off = Resilience(ClientVariables({"CIRCUIT_BREAKER_ENABLED": "false"}))
    off.breaker("graph")
    off.apply(document(commands=[reset("c-4", "graph")]))
    assert "switched off" in report()[2]
    assert off.breaker("graph").state is CircuitState.DISABLED


def test_each_id_is_run_once_however_often_it_is_served(
    resilience: Resilience, report: Reports, told: queue.Queue[Event]
) -> None:
    ran: list[Mapping[str, Any]] = []
    resilience.healing.action("recycle")(ran.append)
    served = document(commands=[command("c-1", "recycle", pool="a")])
    for _ in range(5):
        resilience.apply(served)
    assert report()[:2] == ("c-1", "succeeded")
    resilience.apply(served)
    resilience.apply(document())
    resilience.apply(document(commands=[*served["commands"], command("c-2", "recycle", pool="b")]))
    assert report()[:2] == ("c-2", "succeeded")
    assert ran == [{"pool": "a"}, {"pool": "b"}]
    assert told.empty()


def test_ids_are_remembered_while_they_are_served(
    resilience: Resilience, report: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_module, "_REMEMBERED", 3)
    ran: list[str] = []
    resilience.healing.action("note")(lambda parameters: ran.append(parameters["n"]))
    first = command("first", "note", n="first")
    for number in range(6):
        one = command(f"c-{number}", "note", n=str(number))
        resilience.apply(document(commands=[first, one]))
    for _ in range(7):
        report()
    assert ran == ["first", "0", "1", "2", "3", "4", "5"]
    assert len(resilience.commands._seen) == 3


def test_coroutines_are_run_verified_and_their_answer_is_told(
    resilience: Resilience, report: Reports
) -> None:
    @resilience.healing.action("recycle", verify=lambda parameters: parameters["works"])
    async def recycle(parameters: Mapping[str, Any]) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"closed": 3}

    resilience.apply(
        document(
            commands=[
                command("c-1", "recycle", works=True),
                command("c-2", "recycle", works=False),
            ]
        )
    )
    assert report() == ("c-1", "succeeded", "{'closed': 3}")
    assert report() == ("c-2", "failed", "it could not be verified")


def test_what_fails_is_told(resilience: Resilience, report: Reports) -> None:
    def fail(parameters: Mapping[str, Any]) -> None:
        raise ConnectionError("no pool " + "x" * 5000)

    resilience.healing.action("fail")(fail)
    resilience.healing.action("talk")(lambda parameters: "x" * 5000)
    resilience.apply(
        document(
            commands=[
                command("c-1", "fail"),
                command("c-2", "fly_to_mars"),
                {"id": "c-3", "action": "fail", "parameters": [1]},
                command("c-4", "fail", seconds="soon"),
                command("c-5", "talk"),
            ]
        )
    )
    ended = [report() for _ in range(5)]
    assert [each[:2] for each in ended] == [
        ("c-1", "failed"),
        ("c-2", "unknown_action"),
        ("c-3", "failed"),
        ("c-4", "failed"),
        ("c-5", "succeeded"),
    ]
    assert ended[0][2].startswith("ConnectionError: no pool")
    assert "fly_to_mars" in ended[1][2]
    assert "parameters is [1]" in ended[2][2]
    assert "expires_in is 'soon'" in ended[3][2]
    assert all(len(each[2]) <= 2000 for each in ended)


def test_a_slow_command_delays_no_document_and_is_given_up(
    resilience: Resilience,
    report: Reports,
    told: queue.Queue[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A time that begins with the command's own turn.
    monkeypatch.setattr(commands_module, "STANDARD_TIMEOUT", 0.3)
    looked, release, cancelled = threading.Event(), threading.Event(), threading.Event()

    @resilience.healing.action("wait")
    async def wait(parameters: Mapping[str, Any]) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    resilience.healing.action("delay")(lambda parameters: looked.wait(2 * PATIENCE))
    resilience.healing.action("block")(lambda parameters: release.wait(2 * PATIENCE))
    resilience.apply(
        document(
            commands=[
                command("c-1", "delay", 2 * PATIENCE),
                command("c-2", "wait"),
                command("c-3", "block"),
                reset("c-4", "x"),
            ],
            toggles={"write": False},
        )
    )
    assert told.empty()
    assert not resilience.toggles.is_on("write", True)
    looked.set()
    assert report()[:2] == ("c-1", "succeeded")
    second, third = report(), report()
    assert second[:2] == ("c-2", "failed")
    assert second[2].startswith("no answer within")
    assert cancelled.wait(PATIENCE)
    assert third[:2] == ("c-3", "failed")
    assert report()[0] == "c-4"
    release.set()


def test_commands_that_hang_are_bounded(
    resilience: Resilience, report: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_module, "MOST_HANGING", 2)
    monkeypatch.setattr(commands_module, "STANDARD_TIMEOUT", 0.01)
    release = threading.Event()
    resilience.healing.action("block")(lambda parameters: release.wait(2 * PATIENCE))
    resilience.apply(document(commands=[command(f"c-{n}", "block") for n in range(3)]))
    assert [report()[2] for _ in range(3)] == [
        "no answer within 0.01 s",
        "no answer within 0.01 s",
        "2 earlier commands have not ended yet",
    ]
    release.set()


def test_a_command_that_expires_before_its_turn_is_not_run(report: Reports) -> None:
    clock = Clock()
    resilience = Resilience(ClientVariables({}), clock=clock)
    ran: list[object] = []
    resilience.healing.action("tick")(lambda parameters: clock.advance(10))
    resilience.healing.action("note")(ran.append)
    resilience.apply(document(commands=[command("c-1", "tick", 60), command("c-2", "note", 10)]))
    assert report()[:2] == ("c-1", "succeeded")
    assert report() == ("c-2", "failed", "it expired before it could run")
    assert ran == []


def test_a_flood_of_commands_is_bounded(
    resilience: Resilience, report: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[object] = []
    resilience.healing.action("note")(ran.append)
    resilience.apply(document(commands=[command(f"c-{n}", "note") for n in range(1001)]))
    resilience.apply(document(commands=[command("last", "note")]))
    last = report()
    while last[0] != "last":
        last = report()
    assert len(ran) == 1001
    assert caplog.text.count("rest is ignored") == 1


def test_what_is_no_command_is_reported_once(
    resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = [
        None,
        5,
        {},
        {"id": "a"},
        {"action": "b"},
        {"id": "", "action": "b"},
        {"id": "x" * 201, "action": "b"},
    ]
    for _ in range(2):
        resilience.apply(document(commands=nonsense))
        resilience.apply(document(commands={"id": "a", "action": "b"}))
    assert caplog.text.count("No command has the shape of") == len(nonsense)
    assert caplog.text.count("no usable commands") == 1


def test_the_outcome_reaches_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    resilience = Resilience(ClientVariables({}))
    monkeypatch.setattr("breakers.runtime.process._default", resilience)
    resilience.healing.action("recycle")(lambda parameters: "done")
    with Sink().listening() as sink:
        connection = runtime.connect(sink.url, key="k" * 20, service="planner", register=False)
        sink.desk.publish(commands=[command("c-1", "recycle")])
        sink.desk.acknowledged(1)

        def reported() -> list[Any]:
            return [r for r in sink.logs() if r.event_name.endswith("healing.reported")]

        until(reported)
        connection.shutdown(2)
        [record] = reported()
    assert attributes(record.attributes) == {
        "resilience.command.id": "c-1",
        "resilience.healing.outcome": "succeeded",
        "resilience.healing.output": "done",
    }
