"""Stored errors that came more often than normally, at the lowest service that they came from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from analytics.domain.causes.incident import Evidence, Finding, Window

STORED = "stored_errors"
# What is expected of an error never seen before: so one of them is no surprise.
_NEVER = 1.0
# A service whose callee has more of this share of its strength only passes errors on.
_PASSED_ON = 0.5
_WORDS = 160


def stored_errors(
    window: Window, normal: Window, edges: Collection[tuple[str, str]]
) -> list[Finding]:
    """Findings per service and what failed; strength is the Poisson deviance of the count."""
    if window.seconds <= 0 or normal.seconds <= 0:
        return []
    part = window.seconds / normal.seconds
    found: list[Finding] = []
    for (service, what), count in window.failures.items():
        then = normal.failures.get((service, what), 0)
        expected = max(_NEVER, then * part)
        if count > expected:
            strength = 2 * (count * math.log(count / expected) - (count - expected))
            found.append(Finding(service, strength, _evidence(what, count, then, window, normal)))
    most: dict[str, float] = {}
    for finding in found:
        most[finding.service] = max(most.get(finding.service, 0.0), finding.strength)
    passed_on = _passed_on(most, edges)
    return [
        finding._replace(strength=finding.strength * _PASSED_ON)
        if finding.service in passed_on
        else finding
        for finding in found
    ]


def _passed_on(most: Mapping[str, float], edges: Collection[tuple[str, str]]) -> set[str]:
    return {
        caller
        for caller, callee in edges
        if caller != callee and most.get(callee, 0.0) > _PASSED_ON * most.get(caller, math.inf)
    }


def _evidence(what: str, count: int, then: int, window: Window, normal: Window) -> Evidence:
    if len(what) > _WORDS:
        what = f"{what[:_WORDS]}…"
    text = (
        f'{count} stored error{"" if count == 1 else "s"} "{what}" in {window.seconds / 60:.0f} min'
        f", normally {then} in {normal.seconds / 60:.0f} min"
    )
    return Evidence(
        STORED, text, round(count / window.seconds * 60, 4), round(then / normal.seconds * 60, 4)
    )
