"""Waiting for processes: until they are ready, and from then on until the supervisor ends."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

from resilience_site.embedded.console import say, tail
from resilience_site.embedded.errors import StartError
from resilience_site.embedded.supervisor import State, Supervisor

_POLL_SECONDS = 0.05
_CHECK_SECONDS = 0.5
_START_SECONDS = 120
_ANSWER_SECONDS = 10
# Started this often without becoming ready, a program will not do so by itself.
_MOST_STARTS = 3
_LOOK_SECONDS = 5
_AGAIN_SECONDS = 30


class Watch:
    """Looks after the processes of one supervisor."""

    def __init__(
        self, supervisor: Supervisor, process: subprocess.Popen[bytes], logs: Path
    ) -> None:
        self._supervisor = supervisor
        self._process = process
        self._logs = logs
        self._pids: defaultdict[str, set[int]] = defaultdict(set)
        self._checked_at = 0.0

    def check(self) -> None:
        """Raise StartError, with the end of its log, when a program fails to start."""
        self._check_supervisor()
        if time.monotonic() - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = time.monotonic()
        for state in self._supervisor.states():
            if state.pid:
                self._pids[state.name].add(state.pid)
            if state.state == "FATAL" or len(self._pids[state.name]) > _MOST_STARTS:
                log = self._logs / f"{state.name}.log"
                raise StartError(f"{state.name} does not start; the end of {log}:\n{tail(log)}")

    def until_supervisor_answers(self) -> None:
        """Return once supervisord takes commands."""
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._supervisor.states()
            except OSError:
                self._check_supervisor()
                self._check_time(until, "The supervisor")
                time.sleep(_POLL_SECONDS)
            else:
                return

    def until_ready(self, url: str, *, host: str) -> None:
        """Return once the URL answers 200, asked for as `host` (empty: the URL's own)."""
        until = time.monotonic() + _START_SECONDS
        while (answer := _answer(url, host)) != "":
            self.check()
            self._check_time(until, f"{url} ({answer})")
            time.sleep(_POLL_SECONDS)

    def until_supervisor_ends(self) -> int:
        """Return when the supervisor ended by itself: status 1. Starts again what gave up."""
        gave_up: dict[str, float] = {}
        looked_at = time.monotonic()
        while True:
            time.sleep(1)
            if self._process.poll() is not None:
                say("The supervisor ended unexpectedly, and everything that it ran with it.")
                return 1
            if time.monotonic() - looked_at >= _LOOK_SECONDS:
                looked_at = time.monotonic()
                self._start_again(gave_up)

    def _start_again(self, gave_up: dict[str, float]) -> None:
        """The supervisor gives up after ten failures in a row; an outage may last longer."""
        try:
            states = self._supervisor.states()
        except OSError:
            return  # Busy or ended; the next look tells.
        now = time.monotonic()
        for state in (each for each in states if each.state == "FATAL"):
            if now - gave_up.get(state.name, now - _AGAIN_SECONDS) >= _AGAIN_SECONDS:
                gave_up[state.name] = now
                self._report(state)
                self._supervisor.start(state.group)

    def _report(self, state: State) -> None:
        log = self._logs / f"{state.name}.log"
        say(f"{state.name} keeps failing and is started again; the end of {log}:")
        say(tail(log))

    def _check_supervisor(self) -> None:
        if self._process.poll() is not None:
            ends = tail(self._logs / "supervisord-output.log")
            raise StartError(f"The supervisor ended with {self._process.returncode}:\n{ends}")

    def _check_time(self, until: float, what: str) -> None:
        if time.monotonic() > until:
            raise StartError(f"{what} was not ready within {_START_SECONDS} s.")


def _answer(url: str, host: str) -> str:
    """Empty for 200; otherwise why not."""
    try:
        request = urllib.request.Request(url, headers={"Host": host} if host else {})  # noqa: S310
        urllib.request.urlopen(request, timeout=_ANSWER_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            return error.read(2000).decode(errors="replace")
    except OSError as error:
        return str(error)
    return ""
