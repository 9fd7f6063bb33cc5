"""One bulkhead of a service: what its instances tell of it, and who works by what the site gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from breakers.models import Bulkhead
from breakers.selectors.applied import Applied, AppliedBy, applied_by_service
from breakers.selectors.bulkheads import BulkheadInstance, bulkhead_instance
from breakers.selectors.instances import GONE


@dataclass(frozen=True)
class BulkheadView:
    """A bulkhead over all of its instances. `applied` is how far the control document has come."""

    service: str
    name: str
    instances: tuple[BulkheadInstance, ...]
    applied: Applied

    @property
    def place(self) -> str:
        """What its pages are called by."""
        return f"{self.service}/{self.name}"

    @property
    def version(self) -> int:
        """That of the service's control document."""
        return self.applied.version

    @property
    def policy(self) -> Mapping[str, Any]:
        """What its live instances work by, as far as they tell, and tell the same."""
        return _reported(self.instances)

    @cached_property
    def rows(self) -> list[tuple[BulkheadInstance, AppliedBy | None]]:
        """Its instances, each with what it has applied of the control document."""
        known = {each.instance: each for each in self.applied.instances}
        return [(each, known.get(each.instance)) for each in self.instances]

    @property
    def acknowledged(self) -> list[datetime | None]:
        """When each live instance applied the present document; None where it has not."""
        return [
            applied.applied_at if applied is not None and applied.current else None
            for each, applied in self.rows
            if not each.silent
        ]


def bulkhead_get(service: str, name: str, now: datetime) -> BulkheadView:
    """One bulkhead. Raises `Bulkhead.DoesNotExist`."""
    instances = _instances(service, name, now)
    if not instances:
        raise Bulkhead.DoesNotExist
    applied = applied_by_service(now=now, services=[service]).get(service)
    return BulkheadView(service, name, instances, applied or Applied(service, 0, None, ()))


def bulkhead_reported(service: str, name: str) -> Mapping[str, Any]:
    """Fields of `BulkheadPolicy` that the live instances of a bulkhead tell alike."""
    return _reported(_instances(service, name, datetime.now(UTC)))


def _instances(service: str, name: str, now: datetime) -> tuple[BulkheadInstance, ...]:
    rows = list(Bulkhead.objects.filter(service=service, name=name).order_by("instance"))
    # Of one that nobody has told of for long, the last that was told is better than nothing.
    heard = [row for row in rows if now - row.last_seen <= GONE] or rows
    return tuple(bulkhead_instance(row, now) for row in heard)


def _reported(instances: tuple[BulkheadInstance, ...]) -> Mapping[str, Any]:
    limits = {each.limit for each in instances if not each.silent} - {None}
    return {"max_concurrent_calls": limits.pop()} if len(limits) == 1 else {}
