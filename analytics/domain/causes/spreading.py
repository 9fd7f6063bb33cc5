"""Where the time and the failures that a symptom shows come from, along the graph of calls.

What a service lost (seconds waited, requests failed) beyond normal is split into what those that
it calls lost and its own rest. A cause has a rest of its own; a symptom's loss is that of
something below it. Losses, unlike deviations, can be compared between services.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from analytics.domain.causes.incident import Evidence, Finding, Points, Symptom
from analytics.domain.causes.statistics import mean, middle, spread

LOSS = "loss"
_TIME = re.compile(r"latency|duration|response_?time|elapsed", re.IGNORECASE)
_SUCCESS = re.compile(r"availability|success", re.IGNORECASE)
_ERRORS = re.compile(r"error|fault|failure", re.IGNORECASE)
_TRAFFIC = re.compile(r"request|calls?\b|calls?_|throughput|count", re.IGNORECASE)
_MEAN = re.compile(r"average|avg|mean", re.IGNORECASE)
# A loss within so many normal spreads is none.
_SPREADS = 2.0
_SLACK = 0.02
_PERCENT = 100.0

_Series = Mapping[tuple[str, str], Points]


@dataclass(frozen=True)
class _Loss:
    """What was lost per interval on the mean: seconds or failed requests, and out of what."""

    amount: float
    value: float
    normal: float | None
    metric: str


def losses(
    window: _Series, normal: _Series, edges: Collection[tuple[str, str]], symptom: Symptom | None
) -> list[Finding]:
    """Findings for what the symptom's service calls, however far below; strength is the share of
    the symptom's loss that is a service's own, capped at 1. Without a symptom: all services.
    """
    callees: dict[str, list[str]] = {}
    for caller, callee in sorted(edges):
        if caller != callee:
            callees.setdefault(caller, []).append(callee)
    if not callees:
        return []
    kinds = _kinds(window, symptom)
    reached = _reached(symptom.service, callees) if symptom else {s for s, _ in window}
    at = symptom.at if symptom else None
    findings = []
    for kind in kinds:
        lost = {
            service: loss
            for service in sorted(reached)
            if (loss := _loss(service, kind, window, normal, at)) is not None
        }
        findings += _own(lost, callees, _unknown(window, normal), kind, symptom)
    return findings


def _kinds(window: _Series, symptom: Symptom | None) -> Sequence[re.Pattern[str]]:
    if symptom is not None:
        for kind in (_TIME, _SUCCESS, _ERRORS):
            if kind.search(symptom.metric):
                return [kind]
    return [_TIME, _SUCCESS, _ERRORS]


def _reached(start: str, callees: Mapping[str, Sequence[str]]) -> set[str]:
    reached = {start}
    waiting = deque(reached)
    while waiting:
        for callee in callees.get(waiting.popleft(), ()):
            if callee not in reached:
                reached.add(callee)
                waiting.append(callee)
    return reached


def _unknown(window: _Series, normal: _Series) -> set[str]:
    """Services that nothing called in the normal window: who calls them now has changed."""
    known = {service for service, _ in normal}
    return {service for service, _ in window} - known if known else set()


def _metric(service: str, kind: re.Pattern[str], window: _Series) -> str | None:
    """The service's metric of a kind, a mean before any quantile."""
    found = [metric for owner, metric in window if owner == service and kind.search(metric)]
    return min(found, key=lambda metric: (_MEAN.search(metric) is None, metric), default=None)


def _loss(
    service: str, kind: re.Pattern[str], window: _Series, normal: _Series, at: float | None
) -> _Loss | None:
    metric = _metric(service, kind, window)
    if metric is None:
        return None
    bad = -1.0 if kind is _SUCCESS else 1.0
    points = window[service, metric]
    before, during = _split(points, at)
    usual = [value for _, value in normal.get((service, metric), ())]
    if not during:
        return None
    # The worse of both: what was as bad before is not what was noticed.
    references = [bad * middle(values) for values in (usual, before) if values]
    reference = max(references, default=bad * (_PERCENT if kind is _SUCCESS else 0.0))
    slack = 0.0
    if kind is _TIME and usual:
        slack = _SPREADS * spread(usual) + _SLACK * abs(reference)
    traffic = _traffic(service, window)
    weights = [traffic.get(moment, 1.0) for moment, _ in during]
    excess = [max(0.0, bad * value - reference) for _, value in during]
    value = mean([value for _, value in during])
    if mean(excess) <= slack:
        return None
    unit = 1 / _PERCENT if kind is _SUCCESS else 1.0
    amount = mean([e * w * unit for e, w in zip(excess, weights, strict=True)])
    return _Loss(amount, value, bad * reference if references else None, metric)


def _split(points: Points, at: float | None) -> tuple[list[float], Points]:
    """Values before the symptom, and points since. Points are of the step that begins with them."""
    if at is None or len(points) < 2:
        return [], points
    step = middle([b[0] - a[0] for a, b in pairwise(points)])
    since = [point for point in points if point[0] > at - step / 2]
    return [value for moment, value in points if moment <= at - step], since


def _traffic(service: str, window: _Series) -> dict[float, float]:
    metric = _metric(service, _TRAFFIC, window)
    return dict(window[service, metric]) if metric is not None else {}


def _own(
    lost: Mapping[str, _Loss],
    callees: Mapping[str, Sequence[str]],
    unknown: Collection[str],
    kind: re.Pattern[str],
    symptom: Symptom | None,
) -> list[Finding]:
    whole = lost[symptom.service].amount if symptom and symptom.service in lost else 0.0
    whole = whole or max((loss.amount for loss in lost.values()), default=0.0)
    if whole <= 0:
        return []
    findings = []
    for service, loss in lost.items():
        if service in unknown and symptom is not None and service != symptom.service:
            continue
        below = [(callee, lost[callee]) for callee in callees.get(service, ()) if callee in lost]
        explained = sum(each.amount for callee, each in below if callee not in unknown)
        rest = loss.amount - explained
        share = min(1.0, rest / whole)
        if share <= 0:
            continue
        text = _words(loss, kind, share, [callee for callee, _ in below if callee in unknown])
        evidence = Evidence(
            LOSS, text, round(loss.value, 6), None if loss.normal is None else round(loss.normal, 6)
        )
        findings.append(Finding(service, share, evidence))
    return findings


def _words(loss: _Loss, kind: re.Pattern[str], share: float, new: Sequence[str]) -> str:
    what = "waiting time" if kind is _TIME else "failures"
    was = "no normal value" if loss.normal is None else f"normally {loss.normal:.4g}"
    text = (
        f"{loss.metric} was {loss.value:.4g}, {was}; {share:.0%} of the {what} of the symptom"
        " begin here and not in what it calls"
    )
    if new:
        text += f"; it called {', '.join(new)}, which it never did in the normal window"
    return text
