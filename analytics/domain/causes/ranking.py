"""The ranking: the evidence that stands out most leads, and a symptom is never named as cause."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analytics.domain.causes import delays, failures, sequences, series, spreading
from analytics.domain.causes.incident import (
    CALLERS_BREAKER,
    Change,
    Evidence,
    Finding,
    Incident,
    Suspect,
)
from analytics.domain.causes.segments import Segment, segments_of

# The strength at which a kind of evidence is half believed. Sequences and stored errors: what
# happens by chance once in 100. Times: ten normal spreads. Resources: twenty, because they spike.
# Losses: a quarter of all.
_HALF: Mapping[str, float] = {
    "sequence": 6.6,
    delays.GAP: 10.0,
    delays.SELF: 10.0,
    series.RESOURCE: 20.0,
    spreading.LOSS: 0.25,
    failures.STORED: 6.6,
}
# What may be the effect of a change below; a step not taken and a resource used up are own.
_SYMPTOMS = frozenset({delays.GAP, delays.SELF, sequences.ERRORS, spreading.LOSS, failures.STORED})
# What a change of state counts where something went wrong at or above its service: people and
# deployments act from without, checks and breakers may react to something else. A service that
# tells nothing of itself can show no symptom: what a caller's breaker found of it explains.
_CHANGES: Mapping[str, float] = {
    "release": 0.7, "config": 0.7, "restart": 0.6, "health": 0.4, "breaker": 0.3,
    CALLERS_BREAKER: 0.6,
}  # fmt: skip
_OTHER_CHANGE = 0.3
# The least that a change must count to explain the symptoms of callers.
_EXPLAINS = 0.5
# Where nothing is known to have gone wrong.
_CHANGE_ALONE = 0.1
# A symptom keeps this share of the score of the change that explains it.
_EXPLAINED = 0.9
_LEAST = 0.01
_SHOWN = 8


@dataclass
class _Case:
    """What speaks against one service: weights in 0..1 with their reasons."""

    reasons: list[tuple[float, Evidence]] = field(default_factory=list)

    def score(self) -> float:
        doubt = 1.0
        for weight, _ in self.reasons:
            doubt *= 1 - weight
        return 1 - doubt

    def leading(self) -> Evidence:
        return max(self.reasons, key=lambda reason: reason[0])[1]


def rank(incident: Incident) -> list[Suspect]:
    """The suspects, best first; empty where nothing stands out or nothing can be compared."""
    now = segments_of(incident.window.calls, incident.window.lines)
    then = segments_of(incident.normal.calls, incident.normal.lines)
    cases: dict[str, _Case] = defaultdict(_Case)
    for kind, findings in _findings(incident, now, then).items():
        for finding, weight in _weighed(findings, _HALF[kind]):
            if weight >= _LEAST:
                reasons = cases[finding.service].reasons
                reasons.append((weight, finding.evidence))
                reasons += [(0.0, each.evidence) for each in _beside(finding, findings)]
    explained = _explain(cases, incident, now)
    scores = {service: case.score() for service, case in cases.items()}
    for service, changed in explained.items():
        scores[service] = min(scores[service], _EXPLAINED * max(scores[each] for each in changed))
    suspects = [
        Suspect(service, round(scores[service], 4), _ordered(case.reasons))
        for service, case in cases.items()
    ]
    return sorted(suspects, key=lambda each: (-each.score, each.service))


def _findings(
    incident: Incident, now: Sequence[Segment], then: Sequence[Segment]
) -> dict[str, list[Finding]]:
    window, normal = incident.window, incident.normal
    return {
        "sequence": sequences.broken_off(now, then),
        delays.GAP: delays.call_gaps(now, then),
        delays.SELF: delays.self_times(now, then),
        series.RESOURCE: series.resources(window.series, normal.series),
        spreading.LOSS: spreading.losses(
            window.series, normal.series, incident.edges, incident.symptom
        ),
        failures.STORED: failures.stored_errors(window, normal, incident.edges),
    }


def _weighed(findings: Iterable[Finding], half: float) -> list[tuple[Finding, float]]:
    """Each service's strongest finding of a kind, with its weight in 0..1.

    Weight is how strong the finding is, times how far the kind's first stands out from its
    second: what all services show points at none.
    """
    best: dict[str, Finding] = {}
    for finding in findings:
        known = best.get(finding.service)
        if known is None or finding.strength > known.strength:
            best[finding.service] = finding
    strengths = sorted((finding.strength for finding in best.values()), reverse=True)
    if not strengths:
        return []
    first, second = strengths[0], strengths[1] if len(strengths) > 1 else 0.0
    believed = (first / (first + half)) * (1 - _EXPLAINED * second / first)
    return [(finding, believed * finding.strength / first) for finding in best.values()]


def _beside(best: Finding, findings: Sequence[Finding]) -> list[Finding]:
    """What else of the kind was found at its service: shown, but not counted twice."""
    found = [each for each in findings if each.service == best.service and each is not best]
    return sorted(found, key=lambda each: -each.strength)[:2]


def _explain(
    cases: dict[str, _Case], incident: Incident, now: Sequence[Segment]
) -> dict[str, set[str]]:
    """Add the changes of state to the cases; which services show but the effect of which changes."""
    if not incident.changes:
        return {}
    callers = _callers(incident.edges, now)
    leading = {service: case.leading().kind for service, case in cases.items()}
    troubled = set(cases)
    changes: dict[str, list[Change]] = defaultdict(list)
    for change in sorted(incident.changes, key=lambda each: each.at):
        changes[change.service].append(change)
    explained: dict[str, set[str]] = defaultdict(set)
    for service, made in changes.items():
        above = _all_above(service, callers)
        explains = bool(troubled & (above | {service}))
        # Changes of one kind are counted once: ten restarts are no tenfold reason.
        counted: set[str] = set()
        for change in made[:_SHOWN]:
            weight = _weight(change) if explains else _CHANGE_ALONE
            evidence = Evidence(change.kind, change.text, round(change.at, 3), None, change.link)
            cases[service].reasons.append((0.0 if change.kind in counted else weight, evidence))
            counted.add(change.kind)
        since = min((each.at for each in made if _weight(each) >= _EXPLAINS), default=None)
        if since is None:
            continue
        for caller in (troubled & above) - {service}:
            # A caller that changed as well is explained by what it calls only where that came first.
            first = min((each.at for each in changes.get(caller, ())), default=math.inf)
            if first > since and leading[caller] in _SYMPTOMS:
                explained[caller].add(service)
    return explained


def _weight(change: Change) -> float:
    return _CHANGES.get(change.kind, _OTHER_CHANGE)


def _callers(
    edges: Collection[tuple[str, str]], segments: Iterable[Segment]
) -> dict[str, set[str]]:
    callers: dict[str, set[str]] = defaultdict(set)
    for caller, callee in edges:
        callers[callee].add(caller)
    for segment in segments:
        if segment.above is not None:
            callers[segment.service].add(segment.above.service)
    return callers


def _all_above(service: str, callers: Mapping[str, set[str]]) -> set[str]:
    above: set[str] = set()
    waiting = deque([service])
    while waiting:
        for caller in callers.get(waiting.popleft(), ()):
            if caller not in above:
                above.add(caller)
                waiting.append(caller)
    return above


def _ordered(reasons: Sequence[tuple[float, Evidence]]) -> list[Evidence]:
    return [evidence for _, evidence in sorted(reasons, key=lambda each: -each[0])[:_SHOWN]]


def lacking(incident: Incident) -> list[str]:
    """What there is not enough data of, in sentences; empty where everything can be compared."""
    notes = []
    for name, now, then in (
        ("traces", len(incident.window.calls), len(incident.normal.calls)),
        ("logs", len(incident.window.lines), len(incident.normal.lines)),
        ("metrics", len(incident.window.series), len(incident.normal.series)),
    ):
        if now and not then:
            notes.append(f"Not enough data: {name} of the incident, but none of a normal window.")
        elif not now:
            notes.append(f"Not enough data: no {name} of the incident.")
    calls = incident.window.calls
    if calls and not incident.window.lines and not any(call.failed for call in calls):
        notes.append(
            "No span says that it failed and there are no logs: a service that answers wrongly, but "
            "as fast as normally and after the same steps, cannot be told from one that is well."
        )
    if incident.window.series and not incident.edges and not incident.window.calls:
        notes.append("Not enough data: without traces or a call graph no loss can be followed.")
    return notes
