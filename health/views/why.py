"""Why a check is in its state: the thresholds, the counts, and whom the graph blames. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from health.choices import HealthState, ResultStatus
from health.models import Check, CheckStatus
from health.selectors.checks import shown_state
from resilience_site.core.badges import badge_for
from resilience_site.core.formatting import duration


@dataclass(frozen=True)
class Verdict:
    """What to know first of a check: `sentence`, then when that began and what it rests on.

    `culprit` is the check to look at instead.
    """

    tone: str
    icon: str
    sentence: str
    since: datetime
    detail: str
    culprit: Check | None


def verdict_of(check: Check) -> Verdict:
    """The sentence that the page of a check begins with."""
    status, state = check.status, shown_state(check)
    badge = badge_for("health", state)
    return Verdict(
        badge.tone,
        badge.icon,
        _sentence(check, status, state),
        status.since,
        streak_words(status),
        status.culprit,
    )


def _sentence(check: Check, status: CheckStatus, state: str) -> str:
    if state == HealthState.UP:
        return "It works"
    if state == HealthState.DOWN:
        return "It is down, and nothing that it needs explains that"
    if state == HealthState.UNREACHABLE:
        return "It fails because of what it needs"
    if state == HealthState.DEGRADED:
        if status.culprit_id:
            return "It works without something that it uses"
        return "It works, but not as it should"
    if state == HealthState.MAINTENANCE:
        return f"It is in maintenance; its own probes say {_own(status)}"
    if state == HealthState.UNKNOWN:
        if status.last_run_at is None:
            return "It has not run yet"
        if status.last_status in (ResultStatus.INTERNAL_ERROR, ResultStatus.WITHHELD):
            return "Its last run could not tell"
        return "Too little is known of it"
    return "It is paused: nobody probes it"


def _own(status: CheckStatus) -> str:
    return badge_for("health", status.own_state).word.lower()


def streak_words(status: CheckStatus) -> str:
    """`3 failures in a row`, `240 successes in a row`, or that there was no result."""
    if status.failures:
        return _counted(status.failures, "failure")
    if status.successes:
        return _counted(status.successes, "success", "successes")
    return "no result yet"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'} in a row"


@dataclass(frozen=True)
class Rule:
    """What moves the state, in words: the thresholds, the counts `now`, what they `made` of it."""

    down: str
    up: str
    slow: str
    now: str
    made: str


def rule_of(check: Check) -> Rule:
    """The thresholds of a check and how its last runs stand to them."""
    status, fails, good = check.status, check.failures_to_down, check.successes_to_up
    is_down = status.own_state == HealthState.DOWN
    now = streak_words(status)
    if status.failures and not is_down:
        now = f"{status.failures} of {fails} failures in a row"
    elif status.successes and is_down:
        now = f"{status.successes} of {good} successes in a row"
    return Rule(
        down=_counted(fails, "failure"),
        up=_counted(good, "success", "successes"),
        slow=_slow_words(check.degraded_above_ms, fails),
        now=now,
        made=f"{fails} made it down" if status.failures and is_down else "",
    )


def _slow_words(above_ms: float | None, runs: int) -> str:
    if above_ms is None:
        return ""
    return f"slower than {duration(above_ms / 1000)} in {runs} run{'s'[: runs != 1]} in a row"
