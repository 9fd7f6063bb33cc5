"""Telemetry of services for which the catalogue has no room is stored as of `(other services)`.

Services that are there keep what they send, whatever else arrives. What is folded names the service
that sent it as the beginning of its instance, which also keeps the running totals of metrics of
different senders apart.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import date, datetime
from typing import TypeVar

from analytics.domain.errors import ErrorRecord
from analytics.domain.name_limits import shown_name
from analytics.domain.telemetry import (
    LogRecord,
    MetricPoint,
    Rejection,
    Resource,
    SpanRecord,
)
from analytics.services.metric_streams import writer_of
from health.domain.catalogue_room import MOST_SERVICES, OTHER_SERVICES
from health.services.catalogue_room import services_admit

_log = logging.getLogger(__name__)
_T = TypeVar("_T", SpanRecord, LogRecord, MetricPoint, ErrorRecord)


class _Said:
    """The day on which this process last said that there are too many services."""

    on = date.min


class ServiceRoom:
    """The services that this thread knows to be in the catalogue, forgotten each day."""

    def __init__(self) -> None:
        self._day = date.min
        self._known: set[str] = set()

    def fold(self, items: list[_T], at: datetime) -> tuple[list[_T], list[Rejection]]:
        """The items, those of services without room as of `(other services)`, and what their
        sender is told; none of them is refused."""
        names = {item.resource.service for item in items}
        beyond = self._beyond(names, at) if names else names
        if not beyond:
            return items, []
        folded: dict[int, Resource] = {}
        counts = Counter[str]()
        result = []
        for item in items:
            resource = item.resource
            if resource.service in beyond:
                counts[resource.service] += 1
                if id(resource) not in folded:
                    folded[id(resource)] = _other(resource)
                item = item._replace(resource=folded[id(resource)])
            result.append(item)
        _say(min(beyond), at.date())
        return result, [_warning(counts)]

    def _beyond(self, names: set[str], at: datetime) -> set[str]:
        if at.date() != self._day:
            self._day, self._known = at.date(), {OTHER_SERVICES}
        strange = names - self._known
        if not strange:
            return strange
        admitted = services_admit(sorted(strange), at)
        # Those that are new come into the catalogue with what is stored of them, if it is.
        self._known |= admitted.present
        return strange - admitted.present - admitted.new


def _other(resource: Resource) -> Resource:
    sender = writer_of(resource) if resource.attributes else resource.instance
    instance = "/".join(filter(None, (resource.service, sender)))
    # What differs from one of them to the next says nothing of them all.
    return resource._replace(service=OTHER_SERVICES, instance=instance, version="", criticality="")


def _warning(counts: Counter[str]) -> Rejection:
    services = "1 service" if len(counts) == 1 else f"{len(counts):,} services"
    return Rejection(
        0,
        f"{counts.total()} items of {services}, such as {min(counts)}, are beyond the limit of "
        f'{MOST_SERVICES} services and were stored under "{OTHER_SERVICES}"; send a fixed '
        "service.name, and what varies, such as a pod, as service.instance.id",
    )


def _say(example: str, today: date) -> None:
    if _Said.on != today:
        _Said.on = today
        _log.warning(
            'There are %d services, the most that are kept apart: telemetry of further ones, such as '
            '%s, is stored under "%s".',
            MOST_SERVICES, shown_name(example), OTHER_SERVICES,
        )  # fmt: skip
