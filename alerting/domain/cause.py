"""The probable cause of an incident, put together from what each part of the site says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from alerting.domain.incidents import THIS_SITE

# How much each kind of evidence can say, at its best: a failing check that explains the others is
# a measurement, where chains begin is counted, a breaker tells of what its caller measured, the
# ranking of a window is a judgement, errors that name a call may be what its failure led to.
WEIGHTS: Final = {
    "check": 0.85, "chains": 0.8, "breaker": 0.7, "ranking": 0.6, "errors": 0.5, "alerts": 0.2,
}  # fmt: skip
# What is left of the evidence for a caller whose breaker says that it only suffers.
_EXPLAINED: Final = 0.5
_MOST_EVIDENCE: Final = 12
# So sure at most of what does not explain the alert that an incident began with.
_BESIDE: Final = 0.4
_SURE: Final = 0.8
_LIKELY: Final = 0.5
# A spike is told from so many errors a minute, and so many times what is normal.
SPIKE_ERRORS: Final = 5
SPIKE_RATIO: Final = 3.0
_GAP: Final = timedelta(minutes=3)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Clue:
    """What speaks for a service as the cause: `share` in 0..1 says how strongly, of its kind.

    `explains` is the service in which it shows, if it is another one. What is `beside` explains
    something else than what began.
    """

    kind: str
    service: str
    share: float
    text: str
    link: str = ""
    explains: str = ""
    beside: bool = False


def probable_cause(clues: Iterable[Clue]) -> dict[str, Any]:
    """The service that most speaks for, as `{"text", "service", "confidence", "evidence"}`; empty
    without clues.

    Clues are weighed as independent: each leaves a share of the doubt that the others left. What a
    change of state elsewhere explains is weighed as a symptom.
    """
    doubts: dict[str, float] = {}
    by_service: dict[str, list[Clue]] = {}
    for clue in _without_symptoms(list(clues)):
        if clue.service:
            by_service.setdefault(clue.service, []).append(clue)
    for service, found in by_service.items():
        doubt = 1.0
        for clue in _best_of_kind(found):
            doubt *= 1 - WEIGHTS[clue.kind] * min(1.0, max(0.0, clue.share))
        beside = any(each.beside for each in found)
        doubts[service] = max(doubt, 1 - _BESIDE) if beside else doubt
    if not doubts:
        return {}
    service = min(doubts, key=lambda each: (doubts[each], each))
    confidence = round(1 - doubts[service], 2)
    ordered = sorted(by_service[service], key=_weight, reverse=True)
    return {
        "text": _sentence(service, confidence, ordered),
        "service": service,
        "confidence": confidence,
        "evidence": [
            {"kind": each.kind, "text": each.text, "link": each.link}
            for each in ordered[:_MOST_EVIDENCE]
        ],
        "others": [
            {"service": other, "confidence": round(1 - doubts[other], 2)}
            for other in sorted(doubts, key=lambda each: (doubts[each], each))[1:4]
        ],
    }


def _without_symptoms(clues: Sequence[Clue]) -> Iterable[Clue]:
    """The clues, those that another one explains with less weight."""
    explained = {each.explains for each in clues if each.explains != each.service}
    for clue in clues:
        symptom = clue.service in explained and clue.kind in ("chains", "ranking")
        yield replace(clue, share=clue.share * _EXPLAINED) if symptom else clue


def _best_of_kind(clues: Sequence[Clue]) -> Iterable[Clue]:
    best: dict[str, Clue] = {}
    for clue in clues:
        if clue.kind not in best or clue.share > best[clue.kind].share:
            best[clue.kind] = clue
    return best.values()


def _weight(clue: Clue) -> float:
    return WEIGHTS[clue.kind] * clue.share


def within_reach(services: Iterable[str], calls: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The services and all that they call, straight or through others.

    This site calls whatever it checks: what fails there is no cause of its own troubles.
    """
    callees: dict[str, set[str]] = {}
    for caller, callee in calls:
        if caller != THIS_SITE:
            callees.setdefault(caller, set()).add(callee)
    found: set[str] = set()
    ahead = list(services)
    while ahead:
        service = ahead.pop()
        if service not in found:
            found.add(service)
            ahead += callees.get(service, ())
    return frozenset(found)


def _sentence(service: str, confidence: float, clues: Sequence[Clue]) -> str:
    if confidence >= _SURE:
        begun = f"It began in {service}"
    elif confidence >= _LIKELY:
        begun = f"It probably began in {service}"
    else:
        begun = f"It may have begun in {service}"
    return f"{begun}: {clues[0].text}."


@dataclass(frozen=True)
class Spike:
    """Minutes in which a service had far more errors than normally; `normal` is a mean a minute."""

    since: datetime
    until: datetime
    errors: int
    peak: int
    peak_at: datetime
    normal: float


def spikes(counts: Mapping[datetime, int], normal: float) -> list[Spike]:
    """The stretches of minutes with far more errors than `normal`, the first first; a gap of a few
    calm minutes does not end one."""
    limit = max(SPIKE_ERRORS, SPIKE_RATIO * normal)
    high = sorted(at for at, errors in counts.items() if errors >= limit)
    runs: list[list[datetime]] = []
    for at in high:
        if runs and at - runs[-1][-1] <= _GAP:
            runs[-1].append(at)
        else:
            runs.append([at])
    return [_spike(run, counts, normal) for run in runs]


def _spike(run: Sequence[datetime], counts: Mapping[datetime, int], normal: float) -> Spike:
    within = [at for at in counts if run[0] <= at <= run[-1]]
    peak_at = max(within, key=lambda at: (counts[at], -at.timestamp()))
    errors = sum(counts[at] for at in within)
    return Spike(run[0], run[-1] + _MINUTE, errors, counts[peak_at], peak_at, normal)
