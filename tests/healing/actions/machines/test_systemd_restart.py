"""Services of systemd come back as new invocations, by D-Bus with all its faults."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healing.actions.base import ActionFailed
from healing.actions.registry import action_named
from health.checks.options import OptionError
from resilience_site.config import config
from resilience_site.config.table import SiteConfig
from tests.healing.actions.machines.acting import context
from tests.healing.actions.machines.systemdbus import Bus, Refusal, Service

RESTART = action_named("systemd_restart")


@pytest.fixture(autouse=True)
def allowed() -> Iterator[None]:
    with config.override(resilience_healing_units=["planner@*.service", "nobody.service"]):
        yield


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    made = Bus(Service("planner@1.service"), Service("planner@2.service"), Service("sshd.service"))
    with made.at(tmp_path / "bus"):
        yield made


@pytest.fixture
def at(tmp_path: Path) -> dict[str, Any]:
    return {"bus": f"unix://{tmp_path}/bus", "unit": "planner@1.service"}


def act(given: dict[str, Any]) -> str:
    parameters = RESTART.parse(given)
    before = RESTART.observe(parameters, context())
    assert RESTART.finished(parameters, context(before=before)) is False
    done = RESTART.act(parameters, context(before=before))
    assert RESTART.finished(parameters, context(before=before)) is True
    return done.output


def refused(given: dict[str, Any], *, seconds: float = 60.0) -> ActionFailed:
    with pytest.raises(ActionFailed) as failed:
        RESTART.act(RESTART.parse(given), context(seconds=seconds))
    return failed.value


def test_a_service_comes_back_as_a_new_invocation(bus: Bus, at: dict[str, Any]) -> None:
    service, other = bus.services["planner@1.service"], bus.services["planner@2.service"]
    old, old_other = (service.invocation, service.pid), other.invocation
    output = act(at)
    assert service.invocation != old[0]
    assert f"pid {old[1]}" in output
    assert f"pid {service.pid}" in output
    assert other.invocation == old_other
    assert bus.called.count("RestartUnit") == 1


def test_a_service_that_does_not_stop_is_killed_after_its_grace(
    bus: Bus, at: dict[str, Any]
) -> None:
    bus.services["planner@1.service"].ignores_stop = True
    assert "killed after 0.3 s" in act({**at, "grace_seconds": 0.3})
    assert bus.called.count("KillUnit") == 1


def test_one_that_starts_slowly_is_waited_for_and_not_killed(bus: Bus, at: dict[str, Any]) -> None:
    bus.services["planner@1.service"].starts_after = 0.5
    assert "killed" not in act({**at, "grace_seconds": 0.1})
    assert "KillUnit" not in bus.called


def test_a_service_that_ends_at_once_is_a_failure(bus: Bus, at: dict[str, Any]) -> None:
    bus.services["planner@1.service"].crashes = True
    error = refused(at)
    assert "planner@1.service (failed (failed)) did not come up again" in error.message
    assert "exit-code" in error.message
    assert not error.permanent


@pytest.mark.parametrize("result", ["failed", "canceled", "timeout", "dependency"])
def test_a_job_that_ends_otherwise_is_a_failure(bus: Bus, at: dict[str, Any], result: str) -> None:
    bus.services["planner@1.service"].job = result
    assert f"The restart of planner@1.service ended as {result}" in refused(at).message


def test_only_listed_services_are_restarted(bus: Bus, at: dict[str, Any]) -> None:
    error = refused({**at, "unit": "sshd.service"})
    assert error.permanent
    assert "RESILIENCE_HEALING_UNITS lists planner@*.service, nobody.service" in error.message
    with config.override(resilience_healing_units=[]):
        assert "lists no service" in refused(at).message
        for call in (RESTART.effect, RESTART.observe, RESTART.finished):
            with pytest.raises(ActionFailed, match="lists no service"):
                call(RESTART.parse(at), context(before={"invocation": "x"}))
    assert bus.called == []


def test_a_dry_run_tells_the_state_since_when(bus: Bus, at: dict[str, Any]) -> None:
    service = bus.services["planner@1.service"]
    effect = RESTART.effect(RESTART.parse(at), context())
    assert "planner@1.service (active (running) since 20" in effect
    assert f"UTC, pid {service.pid})" in effect
    assert "RestartUnit" not in bus.called


def test_an_act_that_nobody_saw_the_end_of_is_waited_for(bus: Bus, at: dict[str, Any]) -> None:
    parameters = RESTART.parse(at)
    before = RESTART.observe(parameters, context())
    service = bus.services["planner@1.service"]
    service.active = "deactivating"
    threading.Timer(0.3, service.start).start()
    assert RESTART.finished(parameters, context(before=before)) is True
    assert RESTART.finished(parameters, context()) is None


@pytest.mark.parametrize(
    ("name", "permanent"),
    [
        ("org.freedesktop.DBus.Error.AccessDenied", True),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", True),
        ("org.freedesktop.systemd1.UnitMasked", True),
        ("org.freedesktop.systemd1.TransactionIsDestructive", False),
        ("org.freedesktop.DBus.Error.NoReply", False),
    ],
)
def test_what_systemd_refuses_is_a_failure(
    bus: Bus, at: dict[str, Any], name: str, permanent: bool
) -> None:
    bus.faults["RestartUnit"] = Refusal(name, "Interactive authentication required.")
    error = refused(at)
    assert "Interactive authentication required." in error.message
    assert error.permanent is permanent


def test_a_service_that_is_not_there_is_refused_for_good(bus: Bus, at: dict[str, Any]) -> None:
    error = refused({**at, "unit": "nobody.service"})
    assert error.permanent
    assert "systemd knows no nobody.service" in error.message


@pytest.mark.parametrize("method", ["Hello", "LoadUnit", "GetAll", "RestartUnit"])
def test_a_bus_that_hangs_ends_with_the_time_of_the_step(
    bus: Bus, at: dict[str, Any], method: str
) -> None:
    bus.faults[method] = None
    began = time.monotonic()
    assert "/bus gives no answer" in refused(at, seconds=1).message
    # Without the step's time it would be given ten seconds.
    assert time.monotonic() - began < 9


def test_a_job_that_never_ends_is_a_failure(bus: Bus, at: dict[str, Any]) -> None:
    bus.services["planner@1.service"].ignores_stop = True
    bus.faults["KillUnit"] = Refusal("org.freedesktop.DBus.Error.Failed", "Cannot kill")
    assert "Cannot kill" in refused({**at, "grace_seconds": 0.1}).message


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\n\r\n" * 4, b"l\x02\x00\x01" + b"\xff" * 60],
    ids=["of another protocol", "too long"],
)
def test_rubbish_is_a_failure(bus: Bus, at: dict[str, Any], answer: bytes) -> None:
    bus.faults["LoadUnit"] = answer
    error = refused(at, seconds=1)
    assert "never gives" in error.message or "gives no answer" in error.message


def test_properties_of_another_kind_are_a_failure(bus: Bus, at: dict[str, Any]) -> None:
    bus.services["planner@1.service"].properties = lambda interface: {}  # type: ignore[method-assign]
    assert "never gives" in refused(at).message


def test_one_that_is_no_bus_is_a_failure(tmp_path: Path, at: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bus"))
        listener.listen()

        def refuse() -> None:
            opened, _ = listener.accept()
            with opened:
                opened.recv(100)
                opened.sendall(b"REJECTED KERBEROS\r\n")
                opened.recv(100)

        thread = threading.Thread(target=refuse)
        thread.start()
        error = refused(at)
        thread.join(10)
    assert "does not let this site in" in error.message
    assert error.permanent


def test_nobody_at_the_socket_is_a_failure(at: dict[str, Any]) -> None:
    assert "/bus cannot be used" in refused(at).message


def test_sockets_of_the_machine_need_the_setting(bus: Bus, at: dict[str, Any]) -> None:
    with pytest.raises(ActionFailed, match="RESILIENCE_ALLOW_PRIVATE_TARGETS") as failed:
        RESTART.effect(RESTART.parse(at), context(private=False))
    assert failed.value.permanent
    assert RESTART.hosts(RESTART.parse(at)) == (("127.0.0.1", 0),)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({}, "unit"),
        ({"unit": "planner"}, "unit"),
        ({"unit": "planner.socket"}, "unit"),
        ({"unit": "a b.service"}, "unit"),
        ({"unit": "*.service"}, "unit"),
        ({"unit": "a.service", "bus": "https://host"}, "bus"),
        ({"unit": "a.service", "grace_seconds": 301}, "grace_seconds"),
        ({"unit": "a.service", "ready_seconds": 0}, "ready_seconds"),
    ],
)
def test_parameters_that_cannot_work_are_refused(given: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionError) as error:
        RESTART.parse(given)
    assert error.value.option == option


def test_the_variables_govern_it() -> None:
    assert RESTART.variable == "auto_restart_enabled"
    assert RESTART.safe_to_leave
    assert SiteConfig({}).resilience_healing_units == []
    given = {"RESILIENCE_HEALING_UNITS": "planner@*.service, mcp.service"}
    assert SiteConfig(given).resilience_healing_units == ["planner@*.service", "mcp.service"]


SYSTEMD = Path("/usr/lib/systemd/systemd")
TOOLS = ("unshare", "dbus-daemon", "systemctl")


@pytest.mark.skipif(
    os.geteuid() != 0 or not SYSTEMD.exists() or not all(map(shutil.which, TOOLS)),
    reason="there is no systemd here that this user may run in a corner of its own",
)
def test_services_of_a_real_systemd_come_back() -> None:
    corner = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc"]
    script = str(Path(__file__).with_name("realsystemd.sh"))
    program = [sys.executable, "-m", "tests.healing.actions.machines.realsystemd"]
    settings = {"DJANGO_SETTINGS_MODULE": "tests.offline_settings", "SYSTEMD": str(SYSTEMD)}
    told = subprocess.run(
        [*corner, "sh", script, *program],
        cwd=Path(__file__).parents[4],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if told.returncode == 77 or "unshare failed" in told.stderr:
        pytest.skip(f"systemd does not run here: {told.stderr[-300:]}")
    assert told.returncode == 0, told.stderr
    assert "stubborn.service (active (running)" in told.stdout
