"""Healing runs in the resilience report; the app above this one owns them and counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from alerting.domain.reports.figures import Healing
from resilience_site.core.timerange import TimeRange


@dataclass(frozen=True)
class _Owner:
    count: Callable[[TimeRange], Healing]
    kept: timedelta


_owners: list[_Owner] = []


def healing_register(count: Callable[[TimeRange], Healing], kept: timedelta) -> None:
    """Say what counts the runs that began in a range, and for how long they are kept; called from
    the `AppConfig.ready` of the app that owns them."""
    _owners[:] = [_Owner(count, kept)]


def healing_runs(within: TimeRange) -> Healing:
    """The healing runs that began in a range; none on a site that heals nothing."""
    return _owners[0].count(within) if _owners else Healing()


def healing_kept() -> dict[str, timedelta]:
    """For how long they are kept, by what they are called."""
    return {"Healing runs": _owners[0].kept} if _owners else {}
