"""Which instances work by the present control document of their service."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from breakers.models import ControlDocument, Instance
from breakers.selectors.instances import GONE, is_silent


@dataclass(frozen=True)
class AppliedBy:
    """One instance: the version that it acknowledged (None: none yet), and when."""

    instance: str
    version: int | None
    applied_at: datetime | None
    last_seen: datetime
    silent: bool
    current: bool


@dataclass(frozen=True)
class Applied:
    """How far the document of a service has come: `current` of its `live` instances work by it.

    Silent ones are counted apart: nobody knows what they do.
    """

    service: str
    version: int
    changed_at: datetime | None
    instances: tuple[AppliedBy, ...]

    @cached_property
    def live(self) -> int:
        return sum(not each.silent for each in self.instances)

    @property
    def silent(self) -> int:
        return len(self.instances) - self.live

    @cached_property
    def current(self) -> int:
        return sum(each.current and not each.silent for each in self.instances)

    @property
    def everywhere(self) -> bool:
        """Whether every live instance works by it, and there is one."""
        return 0 < self.live == self.current


def applied_by_service(
    *, now: datetime, services: Collection[str] | None = None
) -> dict[str, Applied]:
    """For each service with a control document or with instances, or for those named."""
    documents, rows = (
        ControlDocument.objects.all(),
        Instance.objects.filter(last_seen__gt=now - GONE),
    )
    if services is not None:
        documents, rows = documents.filter(service__in=services), rows.filter(service__in=services)
    versions = {
        service: (version, changed_at)
        for service, version, changed_at in documents.values_list(
            "service", "version", "changed_at"
        )
    }
    instances: dict[str, list[AppliedBy]] = {}
    for row in rows.order_by("service", "instance"):
        version = versions.get(row.service, (0, None))[0]
        instances.setdefault(row.service, []).append(
            AppliedBy(
                instance=row.instance,
                version=row.applied_version,
                applied_at=row.applied_at,
                last_seen=row.last_seen,
                silent=is_silent(row.last_seen, now),
                current=row.applied_version is not None and row.applied_version >= version,
            )
        )
    known = {}
    for service in sorted(versions.keys() | instances.keys()):
        version, changed_at = versions.get(service, (0, None))
        known[service] = Applied(service, version, changed_at, tuple(instances.get(service, ())))
    return known
