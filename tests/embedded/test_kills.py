"""After a kill, the rest ends by itself or is ended by the next start."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.collected import seed
from tests.embedded.conftest import Starter
from tests.embedded.decisions import held
from tests.embedded.running import PROGRAMS, Up, closed_and_clean, counts, until

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into Linux's /proc"),
]


class Sites:
    """The sites of this module. A test that leaves one running leaves it to the next."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._started: list[Up] = []

    def start(self, *args: Any, **options: Any) -> Up:
        self._started.append(Up(*args, **options))
        return self._started[-1]

    def running(self) -> Up:
        """The site that an earlier test left whole, or a new one."""
        last = self._started[-1] if self._started else None
        if last is not None and last.process.poll() is None and counts(last) == PROGRAMS:
            return last
        self.end()
        return self.start(self._state).ready()

    def end(self) -> None:
        for each in self._started:
            each.discard()
        self._started.clear()


@pytest.fixture(scope="module")
def sites(hard_state: Path) -> Iterator[Sites]:
    made = Sites(seed(hard_state))
    yield made
    made.end()


def test_a_start_right_after_launcher_and_supervisor_were_killed(
    hard_state: Path, sites: Sites
) -> None:
    former = sites.running()
    supervisor = former.named("supervisor")
    former.process.kill()
    supervisor.kill()

    up = sites.start(hard_state, port=former.port).ready()

    assert former.left_over() == []
    until(up.is_whole, 60, "a whole site")


def test_a_start_after_everything_was_killed_and_a_pid_was_given_to_another(
    hard_state: Path, sites: Sites
) -> None:
    former = sites.running()
    with held(former) as decisions:
        former.kill()
        lock = hard_state / "postgres" / "data" / "postmaster.pid"
        assert lock.exists()
        words = lock.read_text().splitlines()
        lock.write_text("\n".join([str(os.getpid()), *words[1:], ""]))
        assert decisions.obeyed()

        up = sites.start(hard_state, port=former.port).ready()

        until(up.is_whole, 60, "a whole site")
        assert decisions.obeyed()
        until(decisions.unchanged, 60, "what was decided")
        decisions.take_back()


def test_the_launcher_takes_everything_with_it(sites: Sites) -> None:
    up = sites.running()
    up.process.kill()
    up.process.wait()

    closed_and_clean(up)


def test_the_supervisor_takes_everything_with_it_and_the_launcher_says_so(sites: Sites) -> None:
    up = sites.running()
    up.named("supervisor").kill()

    assert up.wait() == 1
    assert "The supervisor ended unexpectedly" in up.output
    closed_and_clean(up)


def test_make_that_is_killed_takes_everything_with_it(
    hard_state: Path, start: Starter, sites: Sites
) -> None:
    sites.end()
    # A shell that waits stands for make: its child knows it as its parent.
    up = start(
        hard_state,
        prefix=["/bin/sh", "-c", '"$@"; exit 0', "sh"],
        words=["--stop-with-parent"],
    ).ready()
    up.process.kill()
    up.process.wait()

    closed_and_clean(up)


def test_sigterm_during_the_start_ends_what_was_started(
    hard_state: Path, start: Starter, sites: Sites
) -> None:
    sites.end()
    up = start(hard_state)
    until(lambda: psutil.Process(up.process.pid).children() != [], 60, "the first process")
    up.processes()
    up.process.send_signal(signal.SIGTERM)

    assert up.wait() == 0
    closed_and_clean(up)
