"""Which service an incident began in, from all that the store knows of its window."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.http import QueryDict
from django.urls import reverse

from analytics.domain.causes import delays, failures, sequences
from analytics.domain.causes.incident import Evidence, Incident, Points, Suspect, Symptom
from analytics.domain.causes.ranking import lacking, rank
from analytics.models import CorrelationChain
from analytics.selectors.cause_changes import changes_read
from analytics.selectors.cause_windows import (
    MOST_FAILURES,
    MOST_LINES,
    MOST_SPANS,
    MOST_TRACES,
    Observed,
    window_read,
)
from resilience_site.core.querystrings import query_with
from resilience_site.core.timerange import TimeRange

BASELINE = timedelta(hours=1)
# Figures of both windows are read per minute.
LONGEST = timedelta(days=7)
SHOWN = 20
_ERRORS = frozenset({sequences.ERRORS, failures.STORED})
_TRACED = frozenset({delays.GAP, delays.SELF, sequences.ERRORS, sequences.MISSING})


@dataclass(frozen=True)
class RootCause:
    """The suspects of a window, best first, what there was not enough data of, and what was read.

    `missing` and `folded` are sentences; `folded` is "" where everything was read. `calls` are the
    callers and what they called.
    """

    within: TimeRange
    baseline: TimeRange
    items: list[Suspect]
    missing: list[str]
    folded: str
    traces: int
    baseline_traces: int
    calls: frozenset[tuple[str, str]]


def baseline_of(within: TimeRange) -> TimeRange:
    """The normal window where none is named: the hour before."""
    return TimeRange(within.since - BASELINE, within.since)


def root_cause(within: TimeRange, baseline: TimeRange) -> RootCause:
    """Rank the services by what speaks for each as the cause of what `within` shows."""
    now = window_read(within)
    # What normally happens is asked of the same patterns, so that none looks new that was not read.
    then = window_read(baseline, now.patterns)
    edges = now.edges | then.edges
    heard = {service for service, _ in (*now.window.series, *then.window.series)}
    unheard = frozenset((caller, callee) for caller, callee in edges if callee not in heard)
    incident = Incident(
        now.window,
        then.window,
        edges,
        _symptom(now, then, edges),
        changes_read(within, now.instances, then.instances, unheard),
    )
    found = rank(incident)[:SHOWN]
    return RootCause(
        within,
        baseline,
        _linked(found, within),
        lacking(incident),
        _folded(now, then),
        now.traces,
        then.traces,
        frozenset(edges),
    )


def _symptom(now: Observed, then: Observed, edges: Collection[tuple[str, str]]) -> Symptom | None:
    """Where users feel it: of the services that nobody calls, the one whose calls became worse,
    and in what: failures before latency.
    """
    called = {callee for caller, callee in edges if caller != callee}
    entries = sorted({service for service, _ in now.window.series} - called)
    worst: tuple[float, Symptom] | None = None
    for metric in ("error_rate", "mean_latency"):
        for service in entries:
            key = (service, metric)
            grown = _mean(now.window.series.get(key, ())) - _mean(then.window.series.get(key, ()))
            if grown > 0 and (worst is None or grown > worst[0]):
                worst = grown, Symptom(service, metric, None)
        if worst is not None and worst[0] > 0.01:
            break
    return worst[1] if worst else None


def _mean(points: Points) -> float:
    return sum(value for _, value in points) / len(points) if points else 0.0


def _folded(now: Observed, then: Observed) -> str:
    said = []
    if now.folded or then.folded:
        said.append(
            f"Of each window at most {MOST_TRACES} traces, {MOST_SPANS:,} spans and {MOST_LINES:,} log "
            "records of these traces are read, taken evenly over its length."
        )
    if now.failures_cut:
        said.append(
            f"The stored errors are those of the {MOST_FAILURES:,} patterns with the most of them in "
            "the window; the others were not weighed."
        )
    return " ".join(said)


# --- Links ---------------------------------------------------------------------------------------


def _linked(suspects: Sequence[Suspect], within: TimeRange) -> list[Suspect]:
    """The suspects with a link at each evidence: to its trace where that has a chain, else to the
    errors or the figures of the service in the range."""
    shown = {each.trace_id for suspect in suspects for each in suspect.evidence if each.trace_id}
    chained = set(
        CorrelationChain.objects.filter(trace_id__in=shown).values_list("trace_id", flat=True)
    )
    return [
        suspect._replace(
            evidence=[
                each._replace(link=each.link or _link(suspect.service, each, within, chained))
                for each in suspect.evidence
            ]
        )
        for suspect in suspects
    ]


def _link(service: str, evidence: Evidence, within: TimeRange, chained: Collection[str]) -> str:
    if evidence.kind in _TRACED and evidence.trace_id in chained:
        return reverse("chain", args=[evidence.trace_id])
    ends = {"since": within.since.isoformat(), "until": within.until.isoformat()}
    if evidence.kind in _ERRORS:
        return reverse("errors") + query_with(QueryDict(), service=service, **ends)
    return reverse("service", args=[service]) + query_with(QueryDict(), **ends)
