"""The figures of a resilience report: what stands in the store, put side by side with the range of
the same length before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter

from alerting.choices import Severity
from alerting.domain.reports.budgets import budgets_before, budgets_now, by_service, spent_of
from alerting.domain.reports.figures import (
    AlertLine,
    Budgets,
    Calls,
    Figures,
    Measured,
    PatternLine,
    Repairs,
    ServiceLine,
    SloLine,
    Totals,
)
from alerting.selectors.report_budgets import slo_lines
from alerting.selectors.report_counts import (
    Breaker,
    Openings,
    alert_lines,
    breaker_lines,
    breaker_openings,
    deliveries_ended,
    incident_lines,
    incident_sums,
)
from alerting.selectors.report_healing import healing_runs
from analytics.models import Release
from analytics.selectors.report import Report, report_read
from analytics.selectors.report import ServiceLine as ErrorLine
from analytics.selectors.rollups import pattern_counts
from health.selectors.availability import (
    Figure,
    Window,
    critical_services,
    services_availability,
    services_reliability,
    target,
)
from resilience_site.core.timerange import TimeRange

# Lines of each list that a report keeps; there may be thousands of services.
MOST: Final = {
    "services": 100, "slos": 50, "patterns": 10, "breakers": 30, "incidents": 30, "alerts": 50,
}  # fmt: skip

_FIGURES: Final = TypeAdapter(Figures)


def figures_json(figures: Figures) -> dict[str, Any]:
    """Plain JSON values; `figures_from_json` reads them back to equal figures."""
    found: dict[str, Any] = _FIGURES.dump_python(figures, mode="json")
    return found


def figures_from_json(data: Mapping[str, Any]) -> Figures:
    """The figures that a report keeps. Raises `ValidationError` for what are none."""
    return _FIGURES.validate_python(data)


def figures_read(within: TimeRange) -> Figures:
    """The figures of a range of whole minutes, without a verdict."""
    now, before = _read(within), _read(within.before())
    alerts = alert_lines(within, within.before())
    slos = slo_lines(within)
    lists: dict[str, list[Any]] = {
        "services": _services(now, before, by_service(slos)),
        "slos": slos,
        "patterns": _patterns(now.errors, within),
        "breakers": breaker_lines(now.openings, before.openings),
        "incidents": incident_lines(within),
        "alerts": alerts,
    }
    return Figures(
        totals=_totals(now, *_fired(alerts, "fired"), budgets_now(slos)),
        before=_totals(before, *_fired(alerts, "before"), budgets_before(slos)),
        left_out={
            name: len(lines) - MOST[name]
            for name, lines in lists.items()
            if len(lines) > MOST[name]
        },
        **{name: lines[: MOST[name]] for name, lines in lists.items()},
    )


class _Read(NamedTuple):
    """What is read of one range."""

    within: TimeRange
    errors: Report
    measured: dict[str, Measured]
    repairs: dict[str, Repairs]
    openings: dict[Breaker, Openings]


def _read(within: TimeRange) -> _Read:
    figures = services_availability(
        critical_services(), now=within.until, windows=[Window("report", within.length)]
    )
    reliable = services_reliability(figures)
    return _Read(
        within=within,
        errors=report_read(within),
        measured={name: _measured(each[0]) for name, each in figures.items()},
        repairs={
            name: Repairs(
                each[0].repaired,
                (each[0].mttr or 0.0) * each[0].repaired,
                each[0].failures,
                each[0].good_seconds,
            )
            for name, each in reliable.items()
        },
        openings=breaker_openings(within),
    )


def _measured(figure: Figure) -> Measured:
    return Measured(figure.counted.good, figure.counted.bad, figure.target)


def _totals(read: _Read, alerts: int, pages: int, budgets: Budgets) -> Totals:
    within, errors = read.within, read.errors
    incidents, (told, untold) = incident_sums(within), deliveries_ended(within)
    known = [each for each in read.measured.values() if each.counted]
    return Totals(
        measured=Measured(
            sum(each.good for each in known), sum(each.bad for each in known), target()
        ),
        services=len(known),
        repairs=_repairs(read.repairs.values()),
        calls=Calls(errors.calls, errors.failed_calls),
        errors=errors.errors,
        patterns=errors.patterns_seen,
        patterns_new=errors.patterns_new,
        openings=sum(each.openings for each in read.openings.values()),
        incidents=incidents.began,
        acknowledge_seconds=incidents.acknowledge_seconds,
        resolve_seconds=incidents.resolve_seconds,
        acknowledged=incidents.acknowledged,
        ended=incidents.ended,
        alerts=alerts,
        pages=pages,
        told=told,
        untold=untold,
        healing=healing_runs(within),
        anomalies=errors.anomalies,
        foreseen=errors.predictions.get("hit", 0),
        foreseen_settled=sum(errors.predictions.get(each, 0) for each in ("hit", "miss")),
        released=Release.objects.filter(
            first_seen__gte=within.since, first_seen__lt=within.until
        ).count(),
        budgets=budgets,
    )


def _repairs(each: Iterable[Repairs]) -> Repairs:
    found = list(each)
    return Repairs(
        sum(one.repaired for one in found),
        sum(one.seconds for one in found),
        sum(one.failures for one in found),
        sum(one.good for one in found),
    )


def _fired(alerts: Iterable[AlertLine], field: str) -> tuple[int, int]:
    """How many alerts fired in one of both ranges, and how many of them were pages."""
    fired = [(getattr(line, field), line.severity) for line in alerts]
    return sum(each for each, _ in fired), sum(each for each, of in fired if of == Severity.PAGE)


def _services(now: _Read, before: _Read, slos: Mapping[str, SloLine]) -> list[ServiceLine]:
    """The services with the most spent of their budget first, then those with most failures."""
    errors = {line.service: line for line in now.errors.services}
    earlier = {line.service: line for line in before.errors.services}
    lines = [
        ServiceLine(
            service=name,
            measured=now.measured.get(name, Measured()),
            measured_before=before.measured.get(name, Measured()),
            repairs=now.repairs.get(name, Repairs()),
            calls=_calls(errors.get(name)),
            calls_before=_calls(earlier.get(name)),
            errors=errors[name].errors if name in errors else 0,
            errors_before=errors[name].before if name in errors else 0,
            slo=slos.get(name),
        )
        for name in {*errors, *now.measured, *_seen(slos)}
    ]
    return sorted(
        lines,
        key=lambda line: (
            -spent_of(line.slo), -line.measured.bad, -line.calls.failed, -line.errors, -line.errors_before, line.service
        ),
    )  # fmt: skip


def _seen(slos: Mapping[str, SloLine]) -> set[str]:
    """The services of which an objective counted anything in either range."""
    return {
        name
        for name, line in slos.items()
        if any(each and each.total for each in (line.budget, line.budget_before))
    }


def _calls(line: ErrorLine | None) -> Calls:
    figures = line.figures if line else None
    return Calls(figures.calls, figures.errors) if figures else Calls()


def _patterns(report: Report, within: TimeRange) -> list[PatternLine]:
    shown = report.patterns[: MOST["patterns"]]
    before = pattern_counts([line.pattern.id for line in shown], within.before(), bins=1)
    return [
        PatternLine(
            id=str(line.pattern.id),
            service=line.pattern.service,
            type=line.pattern.type,
            template=line.pattern.template,
            state=line.pattern.state,
            errors=line.errors,
            before=before[line.pattern.id][0],
            new=within.since <= line.pattern.first_seen < within.until,
        )
        for line in shown
    ]
