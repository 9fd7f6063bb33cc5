"""Counts what a candidate makes of recorded calls, in all and by parts of a range."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from breakers.domain.replay_result import Bin, Course, Transition
from breakers.domain.replay_run import Run
from breakers.domain.spans import Spans, rejecting
from breakers.domain.tapes import Tape
from breakers.runtime.circuit_state import BreakerEvent, BreakerPolicy, CircuitState
from breakers.runtime.collaborators import FAILURE, IGNORED


class Counts:
    """Adds up the calls of runs that ended from `since` until `until`, in so many `bins`."""

    def __init__(self, since: datetime, until: datetime, bins: int) -> None:
        self._at, self._width = since, (until - since) / bins
        self._since, self._until = since.timestamp(), until.timestamp()
        self._calls, self._failures, self._rejected, self._refused, self._avoided = (
            [0] * bins for _ in range(5)
        )
        self._ignored = self._slow = self._slow_avoided = 0
        self._unknown = 0.0

    def add(self, run: Run, policy: BreakerPolicy | None) -> None:
        """Count one more run; slow calls by the threshold of `policy`, or else of the one in force."""
        begin = 0
        for batch, end in zip(run.tape.batches, run.tape.ends, strict=True):
            threshold = policy.slow_call_duration_threshold if policy is not None else None
            if threshold is None:
                threshold = batch.policy.slow_call_duration_threshold
            slow = math.inf if threshold is None else threshold
            self._add_calls(run, range(begin, end), batch.offset, slow)
            begin = end
        self._add_rejections(run)

    def _add_calls(self, run: Run, places: range, offset: float, slow: float) -> None:
        tape, refused = run.tape, run.refused
        for place in places:
            kind = tape.kinds[place]
            if kind > IGNORED:
                continue
            at = tape.times[place] + offset
            if not self._since <= at < self._until:
                continue
            if kind == IGNORED:
                self._ignored += 1
                continue
            part = self._part(at)
            failed, is_slow, is_refused = (
                kind == FAILURE,
                tape.durations[place] >= slow,
                place in refused,
            )
            self._calls[part] += 1
            self._failures[part] += failed
            self._slow += is_slow
            if is_refused:
                self._refused[part] += 1
                self._avoided[part] += failed
                self._slow_avoided += is_slow

    def _add_rejections(self, run: Run) -> None:
        """Rejected calls are spread evenly over the time in which the breaker rejected."""
        end = run.tape.end
        recorded = rejecting(run.same.course, end)
        candidate = rejecting(run.candidate.course, end)
        both = recorded.both(candidate)
        for since, until, count, offset in run.tape.rejections():
            at = until + offset
            if not self._since <= at < self._until:
                continue
            self._rejected[self._part(at)] += count
            if run.candidate is run.same:
                continue
            rejecting_seconds = recorded.seconds(since, until)
            if rejecting_seconds > 0:
                self._unknown += count * (1 - both.seconds(since, until) / rejecting_seconds)
            elif not candidate.hold(since):
                self._unknown += count

    def _part(self, at: float) -> int:
        share = (at - self._since) / (self._until - self._since)
        return min(int(share * len(self._calls)), len(self._calls) - 1)

    def result(self) -> dict[str, Any]:
        """The figures, by the names that `Replay` gives them."""
        avoided, refused = sum(self._avoided), sum(self._refused)
        return {
            "calls": sum(self._calls),
            "failures": sum(self._failures),
            "ignored": self._ignored,
            "slow_calls": self._slow,
            "rejected": sum(self._rejected),
            "failures_avoided": avoided,
            "good_calls_refused": refused - avoided,
            "slow_avoided": self._slow_avoided,
            "unknown": round(self._unknown),
            "series": tuple(self._bin(part) for part in range(len(self._calls))),
        }

    def _bin(self, part: int) -> Bin:
        calls, failures = self._calls[part], self._failures[part]
        refused = self._refused[part]
        return Bin(
            self._at + part * self._width,
            calls,
            failures,
            self._rejected[part],
            calls - refused,
            failures - self._avoided[part],
            refused,
        )


class Courses:
    """Puts the transitions and open times of several stretches together, as far as in the range."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._range = Spans([(since.timestamp(), until.timestamp())])
        self._transitions: list[Transition] = []
        self._open_seconds = 0.0

    def add(self, tape: Tape, moves: list[BreakerEvent]) -> None:
        """What a breaker did in one stretch."""
        opened = math.inf
        if tape.batches[0].start.state is CircuitState.OPEN:
            opened = tape.begins
        for event in moves:
            if event.from_state is CircuitState.OPEN:
                self._add_open(tape, opened, event.at)
            opened = event.at if event.to_state is CircuitState.OPEN else math.inf
            at = tape.at(event.at)
            if self._since <= at < self._until:
                states = event.from_state.value, event.to_state.value
                self._transitions.append(
                    Transition(at, *states, event.reason, event.failure_rate, event.calls)
                )
        self._add_open(tape, opened, tape.end)

    def _add_open(self, tape: Tape, begin: float, end: float) -> None:
        if begin < end:
            self._open_seconds += self._range.seconds(tape.seconds(begin), tape.seconds(end))

    def result(self) -> Course:
        transitions = tuple(sorted(self._transitions, key=lambda each: each.at))
        opened = sum(each.to_state == CircuitState.OPEN.value for each in transitions)
        return Course(transitions, opened, self._open_seconds)
