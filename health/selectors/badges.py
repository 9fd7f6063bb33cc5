"""What badges show: the state of a service or a check, or one of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from health.domain.availability import percent_text
from health.models import Check, Service
from health.selectors.availability import (
    WINDOWS,
    Figure,
    checks_availability,
    services_availability,
)
from health.selectors.checks import shown_state
from health.selectors.latencies import checks_latencies
from health.selectors.service_health import services_health
from resilience_site.core.problems import Invalid

STATE: Final = "state"
_AVAILABILITY: Final = {
    f"availability_{window.name.replace(' ', '')}": window for window in WINDOWS
}
_LATENCY: Final = {f"latency_{name}": name for name in ("p50", "p95", "p99")}
METRICS: Final = (STATE, *_AVAILABILITY, *_LATENCY)
_DAY: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Reading:
    """`kind` says how `value` is to be read: state (of `HealthState` or paused), availability (as
    text, with whether the target is `met`) or latency (`value` in milliseconds, None without)."""

    kind: str
    value: str | float | None
    note: str = ""
    met: bool | None = None


def service_find(name: str) -> Service | None:
    """The service of that name, or the one that the public knows by it."""
    found = Service.objects.filter(name=name).first()
    if found is None and name:
        public = list(Service.objects.filter(public_name=name)[:2])
        found = public[0] if len(public) == 1 else None
    return found


def service_reading(service: Service, metric: str, *, now: datetime) -> Reading:
    """One metric of a service. Raises `Invalid` for one that it does not have."""
    if metric == STATE:
        return Reading(STATE, services_health(now=now, services=[service.name])[0].state)
    if metric in _AVAILABILITY:
        windows = [_AVAILABILITY[metric]]
        figures = services_availability([service.name], now=now, windows=windows)
        return _availability(figures[service.name][0])
    raise _unknown((STATE, *_AVAILABILITY))


def check_reading(check: Check, metric: str, *, now: datetime) -> Reading:
    """One metric of a check. Raises `Invalid` for one that there is not."""
    if metric == STATE:
        return Reading(STATE, shown_state(check))
    if metric in _AVAILABILITY:
        figures = checks_availability([check.id], now=now, windows=[_AVAILABILITY[metric]])
        return _availability(figures[check.id][0])
    if metric in _LATENCY:
        name = _LATENCY[metric]
        found = checks_latencies([check.id], now=now, length=_DAY)[check.id]
        return Reading("latency", getattr(found, name), f"{name} 24 h")
    raise _unknown(METRICS)


def _availability(figure: Figure) -> Reading:
    return Reading("availability", percent_text(figure.ratio), figure.window, figure.met)


def _unknown(known: tuple[str, ...]) -> Invalid:
    return Invalid.field("query.metric", f"The metric is one of {', '.join(known)}.")
