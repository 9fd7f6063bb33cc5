"""`manage.py up` as people use it, on a state directory that is as awkward as can be."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience_site.embedded.folders import Folders
from tests.embedded.conftest import Starter
from tests.embedded.running import ROOT, Up, closed_and_clean, environment, until

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into Linux's /proc"),
]


def manage(up: Up, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment(up.state, up.port),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def running(hard_state: Path) -> Iterator[Up]:
    up = Up(hard_state).ready()
    yield up
    up.discard()


def test_it_prints_how_to_get_in_and_is_ready(running: Up) -> None:
    assert re.search(rf"Ready after [0-9.]+ s: {running.url}\n", running.output)
    assert re.search(r"admin / \S{12,}", running.output)
    assert re.search(r"ingest key +rcp_i_\S+", running.output)
    assert re.search(r"operator key +rcp_o_\S+", running.output)
    # The first web process that answers makes it ready; others may still be on their way.
    until(running.is_whole, 60, "a whole site")


def test_engines_listen_on_no_port_and_their_sockets_are_private(running: Up) -> None:
    engines = [running.named("postgres"), running.named("valkey")]
    for engine in engines:
        kinds = {connection.type for connection in engine.net_connections("inet")}
        assert socket.SOCK_STREAM not in kinds
    folders = Folders(running.state)
    for folder in (folders.sockets, folders.database_sockets):
        if folder.exists():
            assert folder.stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        assert engines[0].uids().real != 0


def test_a_command_in_another_terminal_finds_the_running_engines(running: Up) -> None:
    code = "from django.contrib.auth.models import User; print(User.objects.get().username)"

    assert manage(running, "shell", "--no-imports", "-c", code).strip() == "admin"


def test_a_second_start_on_the_same_state_says_so_in_one_sentence(
    running: Up, start: Starter
) -> None:
    second = start(running.state)

    assert second.wait() == 2
    assert second.lines == [
        f"A site runs already on {running.state} (process {running.process.pid}): stop it,"
        " or set RESILIENCE_STATE_DIR to another folder.\n"
    ]
    until(lambda: running.status() == 200, 60, "readiness")


def test_a_port_in_use_is_named_with_its_variable(
    running: Up, start: Starter, tmp_path: Path
) -> None:
    second = start(tmp_path / "state", port=running.port)

    assert second.wait() == 2
    assert f"PORT is {running.port}, but port {running.port}" in second.output
    assert "already in use" in second.output
    assert "Traceback" not in second.output
    assert not Folders(second.state).sockets.exists()


def test_a_killed_web_process_comes_back_while_the_other_answers(running: Up) -> None:
    victim = running.named("web")
    victim.kill()
    answers = []

    def is_replaced() -> bool:
        answers.append(running.status())
        return running.is_replaced("web", victim)

    until(is_replaced, 60, "another web process")
    until(lambda: running.status() == 200, 60, "readiness")
    # A busy machine may make a check late, which is an answer; nobody may be left without one.
    assert answers
    assert 0 not in answers


def test_a_program_is_restarted_by_hand_as_the_runbooks_say(running: Up) -> None:
    control = Path(sys.executable).with_name("supervisorctl")
    victim = running.named("worker")
    done = subprocess.run(
        [control, "-c", Folders(running.state).run / "supervisord.conf", "restart", "worker"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "worker: stopped\nworker: started\n"), done.stderr
    until(lambda: running.is_replaced("worker", victim), 60, "another worker")
    until(running.is_whole, 60, "a whole site")


@pytest.mark.parametrize("name", ["worker", "healing", "beat", "valkey", "postgres"])
def test_a_killed_program_comes_back_once(running: Up, name: str) -> None:
    victim = running.named(name)
    victim.kill()

    until(lambda: running.is_replaced(name, victim), 60, f"another {name}")
    # What starts while its database recovers may give up and start once more.
    until(running.is_whole, 60, "a whole site")


def test_ctrl_c_leaves_nothing_behind(running: Up) -> None:
    assert running.interrupt() == 0
    closed_and_clean(running)
    folders = Folders(running.state)
    assert not folders.sockets.exists()
    assert not folders.database_sockets.exists()
