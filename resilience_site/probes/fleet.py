"""The services that are watched, each as one finding of `/healthz`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.urls import reverse

from health.choices import HealthState
from health.selectors.service_health import ServiceHealth, services_health
from resilience_site.probes.checks import FAIL, PASS, WARN, Outcome

# What nobody knows, or what was planned, is no failure; it is nothing to call well either.
_STATUSES: Final[dict[str, str]] = {
    HealthState.UP: PASS,
    HealthState.DEGRADED: WARN,
    HealthState.MAINTENANCE: WARN,
    HealthState.UNKNOWN: WARN,
    HealthState.DOWN: FAIL,
    HealthState.UNREACHABLE: FAIL,
}


def services(is_down: bool) -> list[Outcome]:
    """Every service that has checks; `is_down`: the database, where they are kept, is."""
    if is_down:
        return [Outcome("services:health", WARN, "unknown while the database is down")]
    try:
        found = services_health(now=datetime.now(UTC))
    except (DatabaseError, InterfaceError) as error:
        return [Outcome("services:health", WARN, f"could not be read: {error}".strip())]
    return [_outcome(each) for each in found if each.checks]


def _outcome(service: ServiceHealth) -> Outcome:
    return Outcome(
        name=f"{service.name}:health",
        status=_STATUSES[service.state],
        output=_output(service),
        value=service.state,
        kind="system",
        about=reverse("service", args=[service.name]),
    )


def _output(service: ServiceHealth) -> str:
    """Which checks are in trouble, and what is to blame."""
    ill = [each for each in service.checks if each.state not in (HealthState.UP,)]
    said = [
        f"{each.name} is {each.state}" + (f" because of {each.culprit}" if each.culprit else "")
        for each in ill[:3]
    ]
    if len(ill) > len(said):
        said.append(f"{len(ill) - len(said)} more")
    return ", ".join(said)
