"""The poller against a real HTTP server that speaks the site's half of the protocol."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import breakers.runtime as runtime
from breakers.runtime import control
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.control import ControlPoller, Pace, process_started
from breakers.runtime.export import Target
from breakers.runtime.resilience import Resilience
from breakers.runtime.variables import ClientVariables
from tests.patience import PATIENCE, until
from tests.runtime.own_lines import lines
from tests.runtime.sink import Sink
from tests.runtime.steering import override

KEY = "k" * 20
QUICK = Pace(wait=10, margin=30, shortest=0.02, longest=0.1, refused=0.05, patience=0)


@pytest.fixture
def resilience(monkeypatch: pytest.MonkeyPatch) -> Resilience:
    made = Resilience(ClientVariables({}))
    monkeypatch.setattr("breakers.runtime.process._default", made)
    return made


Poll = Callable[..., ControlPoller]


@pytest.fixture
def poll(resilience: Resilience) -> Iterator[Poll]:
    with ExitStack() as stack:

        def start(url: str, pace: Pace = QUICK, **changes: Any) -> ControlPoller:
            options = {"service": "planner", "instance": "planner-1", "apply": resilience.apply}
            made = ControlPoller(Target(url, KEY), pace=pace, **{**options, **changes})
            stack.callback(made.stop)
            return made

        yield start


def forced_open(seconds: float | None = None) -> dict[str, Any]:
    return {"graph": override("forced_open", seconds)}


# --- Applying and acknowledging


def test_a_version_is_acknowledged_once_it_is_applied(sink: Sink, poll: Poll) -> None:
    applied: list[int] = []
    may_end, began = threading.Event(), threading.Event()

    def apply(document: Any) -> None:
        if document["version"] == 1:
            began.set()
            assert may_end.wait(PATIENCE)
        applied.append(document["version"])

    poller = poll(sink.url, apply=apply)
    first = sink.desk.acknowledged(0)
    assert first.authorization == f"Bearer {KEY}"
    sink.desk.publish()
    assert began.wait(PATIENCE)
    assert not [each for each in sink.desk.polls if each.applied == '"1"']
    assert poller.status.applied_version == 0
    may_end.set()
    sink.desk.acknowledged(1)
    assert applied == [0, 1]
    assert sink.desk.polls[0].applied == ""
    assert poller.status[:2] == ("current", 1)
    assert poller.status.last_error == ""


def test_a_change_is_in_force_at_once(sink: Sink, poll: Poll, resilience: Resilience) -> None:
    breaker = resilience.breaker("graph")
    # Only the change itself ends a poll in time.
    poll(sink.url, replace(QUICK, wait=600))
    sink.desk.acknowledged(0)
    for _ in range(20):
        for breakers, state in (
            (forced_open(), CircuitState.FORCED_OPEN),
            ({}, CircuitState.CLOSED),
        ):
            version = sink.desk.publish(breakers=breakers)
            sink.desk.acknowledged(version)
            assert breaker.state is state


def test_without_a_change_it_polls_again(sink: Sink, poll: Poll) -> None:
    poller = poll(sink.url, Pace(wait=0.1, shortest=0.01, longest=0.05))
    sink.desk.until(lambda: len(sink.desk.polls) > 5)
    assert [each.applied for each in sink.desk.polls[:4]] == ["", '"0"', '"0"', '"0"']
    assert poller.status.status == "current"
    assert {each.query["wait"] for each in sink.desk.polls} == {"0.1"}


def test_the_site_learns_which_instance_asks_and_since_when_it_runs(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it began with the first test that connected.
    monkeypatch.setattr(control, "_started", {})
    before = int(time.time())
    names = {"service": "a service & more", "instance": "host-1/π"}
    connection = runtime.connect(sink.url, key=KEY, register=False, **names)  # type: ignore[arg-type]
    query = sink.desk.acknowledged(0).query
    connection.shutdown(2)
    assert {**query, "wait": ""} == {**names, "started": str(process_started()), "wait": ""}
    assert before <= process_started() <= time.time()


def test_a_version_that_goes_back_is_what_the_site_says(sink: Sink, poll: Poll) -> None:
    poller = poll(sink.url)
    sink.desk.publish(7)
    sink.desk.acknowledged(7)
    sink.desk.publish(3)
    sink.desk.acknowledged(3)
    assert poller.status.applied_version == 3


def test_what_cannot_be_applied_is_not_acknowledged(
    sink: Sink, poll: Poll, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    broken.set()

    def apply(document: Any) -> None:
        if document["version"] == 1 and broken.is_set():
            raise RuntimeError("a bug")

    poller = poll(sink.url, apply=apply)
    sink.desk.acknowledged(0)
    sink.desk.publish()
    count = len(sink.desk.polls)
    sink.desk.until(lambda: len(sink.desk.polls) >= count + 4)
    assert {each.applied for each in sink.desk.polls[1:]} == {'"0"'}
    assert poller.status[:2] == ("unreachable", 0)
    assert "a bug" in poller.status.last_error
    broken.clear()
    sink.desk.acknowledged(1)
    assert len(lines(caplog, sink.url)) == 1


# --- Outages


def test_a_revoked_key_keeps_the_document_and_says_so(
    sink: Sink, poll: Poll, resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "breakers.runtime.control")
    breaker = resilience.breaker("graph")
    poller = poll(sink.url)
    sink.desk.publish(breakers=forced_open())
    sink.desk.acknowledged(1)
    sink.desk.refuse(403)
    count = len(sink.desk.polls)
    sink.desk.until(lambda: len(sink.desk.polls) >= count + 4)
    assert breaker.state is CircuitState.FORCED_OPEN
    assert poller.status[:2] == ("refused", 1)
    assert poller.status.last_error == "403 Forbidden"
    [said] = lines(caplog, sink.url)
    assert "403 Forbidden" in said
    assert KEY not in caplog.text
    sink.desk.refuse(None)
    until(lambda: poller.status.status == "current")
    assert len(lines(caplog, f"{sink.url} arrives again", logging.INFO)) == 1


def test_refusals_are_retried_slowly(sink: Sink, poll: Poll) -> None:
    sink.desk.refuse(401)
    poller = poll(sink.url, Pace())
    sink.desk.until(lambda: sink.desk.polls)
    until(lambda: poller.status.status == "refused")
    with pytest.raises(AssertionError):
        sink.desk.until(lambda: len(sink.desk.polls) > 1, 1.0)


def test_a_site_that_was_killed_is_found_again_with_what_changed(
    poll: Poll, resilience: Resilience, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "breakers.runtime.control")
    breaker = resilience.breaker("graph")
    site = Sink()
    with site.listening() as sink:
        poller = poll(sink.url)
        sink.desk.publish(breakers=forced_open())
        sink.desk.acknowledged(1)
    until(lambda: poller.status.status == "unreachable")
    assert breaker.state is CircuitState.FORCED_OPEN
    assert poller.status.applied_version == 1
    site.desk.publish()
    with site.listening(site.port):
        site.desk.acknowledged(2)
        assert breaker.state is CircuitState.CLOSED
        assert poller.status.status == "current"
        assert len(lines(caplog, site.url)) == 1
        assert len(lines(caplog, f"{site.url} arrives again", logging.INFO)) == 1


def test_a_site_that_is_back_unchanged_is_known_to_be_back_at_once(poll: Poll) -> None:
    site = Sink()
    with site.listening() as sink:
        poller = poll(sink.url)
        sink.desk.acknowledged(0)
    until(lambda: poller.status.status == "unreachable")
    with site.listening(site.port):
        until(lambda: poller.status.status == "current")
        assert [each.query["wait"] for each in site.desk.polls if each.query["wait"] == "0"]


def test_a_restart_between_two_polls_is_no_outage(
    poll: Poll, caplog: pytest.LogCaptureFixture
) -> None:
    site = Sink()
    with site.listening() as sink:
        # It answers, and cuts the connection while nobody waits on it.
        poll(sink.url, Pace(wait=0.3, shortest=0.05, longest=0.1))
        sink.desk.acknowledged(0)
        for each in list(sink._sockets):
            each.shutdown(2)
        count = len(sink.desk.polls)
        sink.desk.until(lambda: len(sink.desk.polls) >= count + 2)
        assert lines(caplog, sink.url) == []


def test_retry_after_is_obeyed(sink: Sink, poll: Poll) -> None:
    sink.desk.refuse(503, Retry_After="1")
    poller = poll(sink.url)
    sink.desk.until(lambda: len(sink.desk.polls) >= 2)
    first, second = sink.desk.polls[:2]
    assert second.at - first.at >= 1.0
    assert poller.status.status == "unreachable"
    assert poller.status.last_error.startswith("503")


def test_failures_are_spread_ever_wider(sink: Sink, poll: Poll) -> None:
    sink.desk.refuse(500)
    poll(sink.url, Pace(shortest=0.06, longest=0.2), chance=lambda: 1.0)
    sink.desk.until(lambda: len(sink.desk.polls) >= 5)
    times = [each.at for each in sink.desk.polls]
    for before, after, least in zip(times, times[1:], (0.06, 0.12, 0.2, 0.2), strict=False):
        assert least - 0.01 <= after - before


def test_what_expires_while_the_site_is_down_ends_once(poll: Poll, resilience: Resilience) -> None:
    breaker = resilience.breaker("graph", failure_threshold=50)
    ended: list[float] = []
    breaker.on_event(
        lambda e: ended.append(time.monotonic()) if e.to_state.value == "closed" else 0
    )
    site = Sink()
    with site.listening() as sink:
        poller = poll(sink.url)
        sink.desk.acknowledged(0)
        began = time.monotonic()
        sink.desk.publish(breakers=forced_open(0.6))
        sink.desk.acknowledged(1)
    until(lambda: ended)
    assert ended[0] - began >= 0.6
    until(lambda: poller.status.status == "unreachable")
    assert poller.status.applied_version == 1
    breaker.call_sync(lambda: None)
    with pytest.raises(ZeroDivisionError):
        breaker.call_sync(lambda: 1 / 0)
    site.desk.publish()
    with site.listening(site.port):
        site.desk.acknowledged(2)
    assert len(ended) == 1
    assert breaker.failure_count == 1


def test_a_short_outage_is_not_worth_a_line(
    poll: Poll, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "breakers.runtime.control")
    ahead = [0.0]
    clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + ahead[0])
    monkeypatch.setattr(control, "time", clock)
    site = Sink()
    with site.listening() as sink:
        poller = poll(sink.url, replace(QUICK, patience=PATIENCE))
        sink.desk.acknowledged(0)
        # What counts is how long it fails, not how long ago the last answer was.
        ahead[0] = 2 * PATIENCE
    until(lambda: poller.status.status == "unreachable")
    with site.listening(site.port):
        until(lambda: poller.status.status == "current")
    assert lines(caplog, site.url, logging.INFO) == []


# --- The connection


def connect(url: str, **changes: Any) -> runtime.Connection:
    return runtime.connect(url, **{"key": KEY, "service": "planner", "register": False, **changes})


def test_a_waiting_poll_does_not_delay_shutdown(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink.url)
    sink.desk.acknowledged(0)
    assert connection._poller is not None
    thread = connection._poller._thread
    # By itself the poll ends after 25 s.
    assert connection._poller.stop(20)
    assert not thread.is_alive()
    assert connection.control.status == "off"
    connection.shutdown(2)


@pytest.mark.usefixtures("resilience")
def test_a_site_that_never_answers_does_not_delay_shutdown(sink: Sink) -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(handler: Any) -> None:
        asked.set()
        release.wait(2 * PATIENCE)

    sink.desk.lie = hang
    connection = connect(sink.url)
    assert asked.wait(PATIENCE)
    assert connection.control.status == "connecting"
    began = time.monotonic()
    connection.shutdown(2)
    # The poll itself would be given up after 40 s.
    assert time.monotonic() - began < 30
    release.set()


def test_control_can_be_switched_off(sink: Sink, resilience: Resilience) -> None:
    connection = connect(sink.url, control=False)
    assert connection.control[:2] == ("off", None)
    connection.flush(PATIENCE)
    connection.steer(resilience)
    sink.desk.acknowledged(0)
    until(lambda: connection.control.status == "current")
    connection.steer(resilience, on=False)
    assert connection.control.status == "off"
    connection.shutdown(2)


def test_what_was_decided_outlives_the_connection_and_still_ends(
    sink: Sink, resilience: Resilience
) -> None:
    breaker = resilience.breaker("graph")
    connection = connect(sink.url)
    began = time.monotonic()
    sink.desk.publish(breakers=forced_open(1.5))
    sink.desk.acknowledged(1)
    connection.shutdown(2)
    state, passed = breaker.state, time.monotonic() - began
    # On a machine that halts for that long it may be over by now.
    assert state is CircuitState.FORCED_OPEN or passed >= 1.5
    until(lambda: breaker.state is CircuitState.CLOSED)


@pytest.mark.usefixtures("resilience")
def test_polls_leave_no_spans_and_the_key_no_trace(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_current

    caplog.set_level(logging.DEBUG)
    from breakers.runtime import control_link

    seen: list[object] = []
    asked = control_link.Link._ask

    def ask(self: Any, *arguments: Any) -> Any:
        seen.append(get_current().get(_SUPPRESS_INSTRUMENTATION_KEY))
        return asked(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control_link.Link, "_ask", ask)
        connection = connect(sink.url, key="secret-of-the-site")
        sink.desk.acknowledged(0)
        assert "secret-of-the-site" not in repr([vars(connection), vars(connection._poller)])
        connection.shutdown(2)
    assert seen
    assert all(seen)
    assert "secret-of-the-site" not in caplog.text
    assert sink.spans() == []
