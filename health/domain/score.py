"""The health score, 0 to 100, of a service and of the whole, with the reasons in words.

A service starts from 100 and loses points:

* by the state of its checks now: the worst critical check costs 60 (down), 50 (unreachable),
  20 (degraded) or 10 (unknown); each other check 15, 10, 5 or 0, all others together at most 30.
  Checks in maintenance cost nothing;
* by its availability over the last 24 hours, if that misses the target: 10 points each time that
  the spent error budget doubles beyond what was allowed, at most 30. (Target 99.9 %: 99.8 % costs
  10, 99.6 % costs 20, 99.2 % and less costs 30.)

A service without checks, or of whose checks nothing is known, has no score.

The whole has the mean of its services' scores, weighted by criticality (critical 8, high 4, medium
and not stated 2, low 1), and at most 59 while a service of criticality critical or high is down or
unreachable: a mean must not hide it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from health.domain.availability import Availability, percent_text

FULL: Final = 100
CRITICAL_COST: Final = {"down": 60, "unreachable": 50, "degraded": 20, "unknown": 10}
OTHER_COST: Final = {"down": 15, "unreachable": 10, "degraded": 5}
MOST_FOR_OTHERS: Final = 30
COST_OF_DOUBLING: Final = 10
MOST_FOR_AVAILABILITY: Final = 30
WEIGHTS: Final = {"critical": 8, "high": 4, "medium": 2, "": 2, "low": 1}
MOST_WITH_FAILURE: Final = 59
WEIGHTY: Final = frozenset({"critical", "high"})
FAILED: Final = frozenset({"down", "unreachable"})
NO_CHECKS: Final = "no checks"
# The worst first.
SEVERITY: Final = ("down", "unreachable", "degraded", "unknown", "up", "maintenance")


@dataclass(frozen=True)
class CheckNow:
    """A check as the score sees it."""

    name: str
    state: str
    critical: bool


@dataclass(frozen=True)
class ServiceNow:
    """A service with what it got: `score` is None where it has none."""

    name: str
    criticality: str
    state: str
    score: int | None


@dataclass(frozen=True)
class Deduction:
    """Points that were taken off, and why."""

    points: int
    reason: str


@dataclass(frozen=True)
class Score:
    """0..100, or None where nothing is known, with everything that lowered it."""

    value: int | None
    deductions: tuple[Deduction, ...] = ()


def service_state(checks: Sequence[CheckNow]) -> str:
    """The state of a service by its checks.

    A failed critical check fails it; any other trouble degrades it. What is in maintenance or
    unknown does not count while another check says something.
    """
    if not checks:
        return "unknown"
    if all(check.state == "maintenance" for check in checks):
        return "maintenance"
    critical = {check.state for check in checks if check.critical}
    for state in ("down", "unreachable"):
        if state in critical:
            return state
    states = {check.state for check in checks}
    if states & {"down", "unreachable", "degraded"}:
        return "degraded"
    return "up" if "up" in states else "unknown"


def service_score(checks: Sequence[CheckNow], recent: Availability | None, target: float) -> Score:
    """The score of a service; `recent` is its availability over the last 24 hours, `target` 0..1."""
    if all(check.state == "unknown" for check in checks):
        return Score(None)
    deductions = [*_for_critical(checks), *_for_others(checks)]
    if recent is not None:
        deductions += _for_availability(recent, target)
    points = sum(each.points for each in deductions)
    return Score(max(0, FULL - points), tuple(deductions))


def overall_state(services: Iterable[ServiceNow]) -> str:
    """The state of the whole.

    Down where a service of criticality critical or high failed, or all that are known did;
    degraded where anything else is in trouble; services of which nothing is known are left out.
    """
    known = [each for each in services if each.state != "unknown"]
    if not known:
        return "unknown"
    if all(each.state == "maintenance" for each in known):
        return "maintenance"
    active = [each for each in known if each.state != "maintenance"]
    failed = [each for each in active if each.state in FAILED]
    if len(failed) == len(active) or any(each.criticality in WEIGHTY for each in failed):
        return "down"
    return "degraded" if any(each.state != "up" for each in active) else "up"


def overall_score(services: Iterable[ServiceNow]) -> Score:
    """The score of the whole; the points of a deduction are its share of the whole's 100."""
    scored = [(each, each.score) for each in services if each.score is not None]
    weights = sum(WEIGHTS[each.criticality] for each, _ in scored)
    if not scored:
        return Score(None)
    mean = sum(WEIGHTS[each.criticality] * score for each, score in scored) / weights
    deductions = [
        Deduction(
            round(WEIGHTS[each.criticality] * (FULL - score) / weights),
            f"{each.name} scores {score}, at weight {WEIGHTS[each.criticality]} of {weights}",
        )
        for each, score in sorted(scored, key=lambda pair: (pair[1], pair[0].name))
        if score < FULL
    ]
    value = math.floor(mean)
    failed = [each for each, _ in scored if each.state in FAILED and each.criticality in WEIGHTY]
    if failed and value > MOST_WITH_FAILURE:
        worst = failed[0]
        reason = (
            f"at most {MOST_WITH_FAILURE} while {worst.name} ({worst.criticality}) is {worst.state}"
        )
        deductions.append(Deduction(value - MOST_WITH_FAILURE, reason))
        value = MOST_WITH_FAILURE
    return Score(value, tuple(deductions))


def _for_critical(checks: Sequence[CheckNow]) -> list[Deduction]:
    costly = [each for each in checks if each.critical and each.state in CRITICAL_COST]
    if not costly:
        return []
    worst = min(costly, key=lambda each: (SEVERITY.index(each.state), each.name))
    alike = len(costly) - 1
    others = f", and {alike} more critical {_checks(alike)} in trouble" if alike else ""
    return [
        Deduction(
            CRITICAL_COST[worst.state], f"critical check {worst.name} is {worst.state}{others}"
        )
    ]


def _for_others(checks: Sequence[CheckNow]) -> list[Deduction]:
    found = []
    left = MOST_FOR_OTHERS
    others = (each for each in checks if not each.critical and each.state in OTHER_COST)
    for each in sorted(others, key=lambda each: (SEVERITY.index(each.state), each.name)):
        points = min(left, OTHER_COST[each.state])
        if points == 0:
            break
        left -= points
        found.append(Deduction(points, f"check {each.name} is {each.state}"))
    return found


def _for_availability(recent: Availability, target: float) -> list[Deduction]:
    if recent.ratio is None or recent.met(target):
        return []
    spent = recent.bad / recent.budget(target)
    points = min(MOST_FOR_AVAILABILITY, max(1, round(COST_OF_DOUBLING * math.log2(spent))))
    return [
        Deduction(
            points,
            f"{percent_text(recent.ratio)} available in the last 24 h, "
            f"{spent:.1f} times the error budget of {percent_text(target)}",
        )
    ]


def _checks(count: int) -> str:
    return "check" if count == 1 else "checks"
