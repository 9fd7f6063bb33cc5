"""All that a breaker's further course depends on, at one moment; taken from it, and put into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from breakers.runtime.circuit_state import BreakerPolicy, CircuitState
from breakers.runtime.state_machine import UNCOUNTED, StateMachine
from breakers.runtime.windows import CountWindow, TimeWindow, Window, loaded


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A breaker at one moment; times are readings of its clock, `window` is its dump."""

    state: CircuitState
    era: int
    placed: int
    opened_at: float
    reopen_at: float
    wait_until: float
    open_for: float
    probe_era: int
    reported: bool
    window: dict[str, Any]


def take_locked(machine: StateMachine) -> Checkpoint:
    """The machine as it is; its lock has to be held."""
    return Checkpoint(
        machine._state,
        machine._era,
        machine._placed,
        machine._opened_at,
        machine._reopen_at,
        machine._wait_until,
        machine._open_for,
        machine._probe_era,
        machine._reported,
        machine._window.dump(),
    )


def restore(machine: StateMachine, point: Checkpoint, recorded: BreakerPolicy) -> None:
    """Put a new machine where another one, which worked by `recorded`, was.

    Where its own policy differs, it takes over what both understand: a count window with the last
    calls that it can hold; a running open time or wait for probes at its own length.
    """
    machine._state = point.state
    machine._era = point.era
    machine._admits = _admits(point)
    machine._placed = point.placed
    machine._opened_at = point.opened_at
    machine._reopen_at = point.reopen_at
    machine._wait_until = point.wait_until
    machine._open_for = point.open_for
    machine._probe_era = point.probe_era
    machine._reported = point.reported
    machine._window = loaded(point.window)
    if machine._policy != recorded:
        _adapt(machine, recorded)


def _admits(point: Checkpoint) -> int | None:
    if point.state is CircuitState.DISABLED:
        return UNCOUNTED
    rejecting = (CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.FORCED_OPEN)
    return None if point.state in rejecting else point.era


def _adapt(machine: StateMachine, recorded: BreakerPolicy) -> None:
    policy = machine._policy
    if _open_times(policy) != _open_times(recorded):
        machine._open_for = policy.timeout if machine._open_for else 0.0
        machine._reopen_at = machine._opened_at + policy.timeout
    machine._wait_until += _wait(policy) - _wait(recorded)
    keep_slow = policy.slow_call_duration_threshold == recorded.slow_call_duration_threshold
    wanted: Window = policy.window()
    if machine._state is CircuitState.HALF_OPEN:
        wanted = CountWindow(policy.permitted_calls_in_half_open_state)
    known = machine._window
    if isinstance(known, CountWindow) and isinstance(wanted, CountWindow):
        machine._window = known.resized(wanted.size, keep_slow=keep_slow)
    elif not (keep_slow and _width(known) == _width(wanted)):
        machine._window = wanted


def _width(window: Window) -> float | None:
    return window.width if isinstance(window, TimeWindow) else None


def _open_times(policy: BreakerPolicy) -> tuple[float | None, ...]:
    return policy.timeout, policy.timeout_multiplier, policy.max_timeout, policy.timeout_jitter


def _wait(policy: BreakerPolicy) -> float:
    wait = policy.max_wait_duration_in_half_open_state
    return policy.timeout if wait is None else wait
