"""Programs of a real supervisord come back as new processes, however they hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from healing.actions.base import ActionFailed
from healing.actions.kinds.supervisor_restart import _supervisor
from healing.actions.link import server_at
from healing.actions.registry import action_named
from healing.actions.supervisorlink import Process, Supervisor
from health.checks.options import OptionError
from tests.healing.actions.machines.acting import context
from tests.healing.actions.machines.serving import (
    Faults,
    application,
    cut,
    hang,
    rubbish,
    serving,
    status,
)
from tests.patience import until

RESTART = action_named("supervisor_restart")
# Before it ignores the signal it would end by it: its file says that it does.
STUBBORN = (
    "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "pathlib.Path('{folder}', str(os.getpid())).touch(); time.sleep(600)"
)

CONFIGURATION = """
[supervisord]
nodaemon = true
silent = true
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}
{user}

[unix_http_server]
file = {folder}/s.sock
username = healer
password = very-secret-word

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:planner]
command = {python} -c "import time; time.sleep(600)"
process_name = planner-%(process_num)d
numprocs = 3
autostart = true
startsecs = 0
stopwaitsecs = 60

[program:stubborn]
command = {python} -c "{stubborn}"
autostart = true
startsecs = 1
stopwaitsecs = 60

[program:broken]
command = /bin/sh -c "echo no such table: plans >&2; exit 1"
autostart = false
startsecs = 20
startretries = 0

[program:absent]
command = {folder}/no-such-file
autostart = false
"""


@dataclass(frozen=True)
class Running:
    """A supervisord of the test's own."""

    socket: Path

    def parameters(self, program: str, process: str = "", **more: Any) -> dict[str, Any]:
        return {
            "server": f"unix://{self.socket}",
            "program": program,
            "process": process,
            "username": "healer",
            "password": "very-secret-word",
            **more,
        }

    def process(self, name: str) -> Process:
        return self.supervisor().process(name)

    def stubborn(self) -> int:
        """The process that ignores its stop signal, once it does."""
        pid = self.process("stubborn:stubborn").pid
        until((self.socket.parent / str(pid)).exists)
        return pid

    def answers(self) -> bool:
        # Its socket is there a moment before anybody listens at it.
        try:
            return self.process("stubborn:stubborn").running
        except ActionFailed:
            return False

    def supervisor(self) -> Supervisor:
        parameters = RESTART.parse(self.parameters("planner"))
        return _supervisor(parameters, context())


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sv")
    configuration = folder / "supervisord.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            python=sys.executable,
            stubborn=STUBBORN.format(folder=folder),
            user="user = root" if os.geteuid() == 0 else "",
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(configuration)]
    )
    running = Running(folder / "s.sock")
    try:
        until(running.answers)
        yield running
    finally:
        children = psutil.Process(process.pid).children()
        # By KILL: else it would wait for the stubborn one.
        process.kill()
        process.wait(20)
        for child in children:
            child.kill()


def act(running: Running, program: str, process: str = "", **more: Any) -> str:
    parameters = RESTART.parse(running.parameters(program, process, **more))
    before = RESTART.observe(parameters, context())
    done = RESTART.act(parameters, context(before=before))
    assert RESTART.finished(parameters, context(before=before)) is True
    return done.output


def test_all_copies_come_back_one_after_the_other(supervisord: Running) -> None:
    names = [f"planner:planner-{each}" for each in range(3)]
    old = [supervisord.process(each).pid for each in names]
    output = act(supervisord, "planner")
    new = [supervisord.process(each).pid for each in names]
    assert not set(old) & set(new)
    assert all(psutil.pid_exists(each) for each in new)
    assert not any(psutil.pid_exists(each) for each in old)
    assert [f"runs again with pid {each}" in output for each in new] == [True] * 3


def test_one_copy_of_several_is_restarted_by_name(supervisord: Running) -> None:
    names = [f"planner:planner-{each}" for each in range(3)]
    old = [supervisord.process(each).pid for each in names]
    act(supervisord, "planner", "planner-1")
    new = [supervisord.process(each).pid for each in names]
    assert [was == now for was, now in zip(old, new, strict=True)] == [True, False, True]


def test_a_process_that_ignores_its_stop_signal_is_killed_after_its_grace(
    supervisord: Running,
) -> None:
    old = supervisord.stubborn()
    output = act(supervisord, "stubborn", grace_seconds=0.5)
    assert "killed after 0.5 s" in output
    assert supervisord.process("stubborn:stubborn").pid != old
    assert not psutil.pid_exists(old)


def test_a_process_that_is_stopped_by_a_signal_is_killed_and_comes_back(
    supervisord: Running,
) -> None:
    old = supervisord.process("planner:planner-2").pid
    os.kill(old, signal.SIGSTOP)
    until(lambda: psutil.Process(old).status() == psutil.STATUS_STOPPED)
    output = act(supervisord, "planner", "planner-2", grace_seconds=0.3)
    assert "killed after 0.3 s" in output
    new = supervisord.process("planner:planner-2").pid
    assert new != old
    assert psutil.Process(new).status() != psutil.STATUS_STOPPED


def test_grace_is_five_seconds_unless_told(supervisord: Running) -> None:
    assert RESTART.parse(supervisord.parameters("planner")).grace_seconds == 5.0


def test_a_stopped_program_is_started(supervisord: Running) -> None:
    supervisor = supervisord.supervisor()
    supervisor.stop("planner:planner-0")
    until(lambda: supervisor.process("planner:planner-0").state == "STOPPED")
    parameters = RESTART.parse(supervisord.parameters("planner", "planner-0"))
    before = RESTART.observe(parameters, context())
    assert RESTART.finished(parameters, context(before=before)) is False
    assert "was STOPPED" in RESTART.act(parameters, context(before=before)).output
    assert RESTART.finished(parameters, context(before=before)) is True


def test_a_dry_run_tells_each_process_and_touches_none(supervisord: Running) -> None:
    old = supervisord.process("planner:planner-1")
    parameters = RESTART.parse(supervisord.parameters("planner", "planner-1"))
    effect = RESTART.effect(parameters, context())
    assert f"planner:planner-1 (RUNNING since 20{old.told().split('since 20')[1]}" in effect
    assert f"pid {old.pid}" in effect
    assert "very-secret-word" not in effect
    # Besides, supervisord says for how many seconds it has run.
    assert supervisord.process("planner:planner-1").kept() == old.kept()


def test_an_act_that_nobody_saw_the_end_of_is_told_by_the_process(supervisord: Running) -> None:
    parameters = RESTART.parse(supervisord.parameters("planner", "planner-0"))
    before = RESTART.observe(parameters, context())
    assert RESTART.finished(parameters, context(before=before)) is False
    supervisor = supervisord.supervisor()
    supervisor.stop("planner:planner-0")
    # The worker died between the two: stopped is not finished, once it has settled.
    assert RESTART.finished(parameters, context(before=before)) is False
    RESTART.act(parameters, context(before=before))
    assert RESTART.finished(parameters, context(before=before)) is True
    assert RESTART.finished(parameters, context()) is None


def test_a_program_that_ends_at_once_fails_with_its_last_words(supervisord: Running) -> None:
    parameters = RESTART.parse(supervisord.parameters("broken"))
    with pytest.raises(ActionFailed, match="did not start") as failed:
        RESTART.act(parameters, context())
    assert "no such table: plans" in failed.value.output


def test_a_program_without_its_file_fails(supervisord: Running) -> None:
    parameters = RESTART.parse(supervisord.parameters("absent"))
    with pytest.raises(ActionFailed, match=r"absent:absent cannot be started: .*NO_FILE"):
        RESTART.act(parameters, context())


@pytest.mark.parametrize(
    ("program", "process", "words"),
    [
        ("nobody", "", "has no program nobody"),
        ("planner", "planner-9", "only planner-0, planner-1"),
    ],
)
def test_what_is_not_there_is_refused_for_good(
    supervisord: Running, program: str, process: str, words: str
) -> None:
    parameters = RESTART.parse(supervisord.parameters(program, process))
    for call in (RESTART.effect, RESTART.observe, RESTART.act):
        with pytest.raises(ActionFailed, match=words) as failed:
            call(parameters, context())
        assert failed.value.permanent


def test_a_wrong_password_is_refused_for_good(supervisord: Running) -> None:
    parameters = RESTART.parse(supervisord.parameters("planner", password="another-word"))
    with pytest.raises(ActionFailed, match="refuses the name and password") as failed:
        RESTART.act(parameters, context())
    assert failed.value.permanent
    assert "another-word" not in failed.value.message


def test_the_time_of_the_step_bounds_the_grace(supervisord: Running) -> None:
    old = supervisord.stubborn()
    parameters = RESTART.parse(supervisord.parameters("stubborn", grace_seconds=60))
    with pytest.raises(ActionFailed, match=r"within the time of the step|gave no answer"):
        RESTART.act(parameters, context(seconds=0.5))
    # It is on its way down, so the next attempt goes on from there.
    assert "killed" in act(supervisord, "stubborn", grace_seconds=0)
    assert supervisord.process("stubborn:stubborn").pid != old


def test_sockets_of_the_machine_need_the_setting(supervisord: Running) -> None:
    parameters = RESTART.parse(supervisord.parameters("planner"))
    with pytest.raises(ActionFailed, match="RESILIENCE_ALLOW_PRIVATE_TARGETS") as failed:
        RESTART.effect(parameters, context(private=False))
    assert failed.value.permanent
    assert RESTART.hosts(parameters) == (("127.0.0.1", 0),)


def test_nobody_at_the_socket_is_a_failure(tmp_path: Path) -> None:
    parameters = RESTART.parse({"server": f"unix://{tmp_path}/s.sock", "program": "planner"})
    with pytest.raises(ActionFailed, match=r"s\.sock cannot be reached"):
        RESTART.effect(parameters, context())


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"program": "planner"}, "server"),
        ({"server": "unix:///s"}, "program"),
        ({"server": "ftp://host", "program": "p"}, "server"),
        ({"server": "unix:relative", "program": "p"}, "server"),
        ({"server": f"unix:///{'x' * 200}", "program": "p"}, "server"),
        ({"server": "http://u:p@host:9001", "program": "p"}, "server"),
        ({"server": "unix:///s", "program": "p:*"}, "program"),
        ({"server": "unix:///s", "program": "p", "process": "*"}, "process"),
        ({"server": "unix:///s", "program": "p", "grace_seconds": -1}, "grace_seconds"),
        ({"server": "unix:///s", "program": "p", "username": "u"}, "password"),
        ({"server": "unix:///s", "program": "p", "shell": "reboot"}, "shell"),
    ],
)
def test_parameters_that_cannot_work_are_refused(given: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionError) as refused:
        RESTART.parse(given)
    assert refused.value.option == option


def test_the_story_variable_governs_it() -> None:
    assert RESTART.variable == "auto_restart_enabled"
    assert RESTART.safe_to_leave
    assert RESTART.secrets == {"password"}
    assert server_at("server", "http://127.0.0.1:9001/").host == ("127.0.0.1", 9001)


async def no_list() -> web.Response:
    return web.Response(body=xmlrpc.client.dumps((7,), methodresponse=True).encode())


async def no_process() -> web.Response:
    rows = ([{"group": "planner", "name": "planner", "pid": "many"}],)
    return web.Response(body=xmlrpc.client.dumps(rows, methodresponse=True).encode())


async def shutting_down() -> web.Response:
    fault = xmlrpc.client.Fault(6, "SHUTDOWN_STATE")
    return web.Response(body=xmlrpc.client.dumps(fault, methodresponse=True).encode())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (rubbish, "supervisord never gives"),
        (no_list, "supervisord never gives"),
        (no_process, "supervisord never gives"),
        (status(500, {}), "answered 500 Internal Server Error"),
        (status(404, {}), "answered 404 Not Found"),
        (shutting_down, "supervisord refuses: SHUTDOWN_STATE"),
        (cut, "closed the connection without an answer|reset the connection"),
        (hang, "gave no answer within"),
    ],
)
def test_another_answer_is_a_failure(tmp_path: Path, answer: Any, words: str) -> None:
    faults = Faults()
    faults.plan("POST", "/RPC2", answer)
    parameters = RESTART.parse({"server": f"unix://{tmp_path}/s.sock", "program": "planner"})
    with (
        serving(application(_never, faults), path=str(tmp_path / "s.sock")),
        pytest.raises(ActionFailed, match=words) as failed,
    ):
        RESTART.act(parameters, context(seconds=2 if answer is hang else 60))
    assert not failed.value.permanent
    assert faults.asked("POST", "/RPC2") == 1


async def _never(request: web.Request) -> web.StreamResponse:
    raise AssertionError(f"{request.path} was asked for once more")
