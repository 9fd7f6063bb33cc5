"""What an incident began with: the call of a service that its first alerts name, if they name one,
and what is known of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from django.db.models import Q

from alerting.domain.calls import calls_in, elsewhere, named_in
from alerting.models import Alert, Incident
from alerting.selectors.callees import calls_of, services_called

# Before the first alert, its condition held for a while, and the cause before that.
BEFORE: Final = timedelta(minutes=5)
# What tells of the cause began before, or was measured so shortly after.
AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Beginning:
    """The call (its service and name, empty without one) that an incident of this time is of; what
    began after `until` did not lead to it."""

    at: datetime
    until: datetime
    service: str = ""
    name: str = ""

    @cached_property
    def _calls(self) -> dict[str, str]:
        """The calls of the service → the services behind them, empty where these are not known."""
        if not self.name:
            return {}
        names = calls_of([self.service]).get(self.service, frozenset()) | {self.name}
        called = services_called(names)
        return {each: called.get(each, "") for each in names}

    @property
    def called(self) -> str:
        """The service behind the call; empty where that is not known."""
        return self._calls.get(self.name, "")

    @cached_property
    def elsewhere(self) -> frozenset[str]:
        """The services behind the other calls: what fails there does not explain this one."""
        return elsewhere(self._calls, {self.name})

    def is_named(self, words: str) -> bool:
        return self.name in named_in(words, self._calls)

    def others_named(self, words: str) -> bool:
        """Whether words name other calls of the service, and not this one."""
        found = named_in(words, self._calls)
        return bool(found) and self.name not in found


def beginning_of(incident: Incident) -> Beginning:
    """The call that the first of the alerts names; where labels name none, the only one of keys."""
    until = min(incident.started_at + AFTER, incident.ended_at or datetime.max.replace(tzinfo=UTC))
    began = Beginning(incident.started_at, until)
    rows = Alert.objects.filter(
        Q(labels__has_key="breaker") | Q(labels__has_key="dependency"),
        incident=incident,
        started_at__lte=until,
    ).order_by("started_at", "id")
    for service, labels in rows.values_list("service", "labels")[:1]:
        name = str(labels.get("breaker") or labels.get("dependency") or "")
        return replace(began, service=service, name=name)
    calls = calls_in(incident.keys.filter(key__startswith="breaker:").values_list("key", flat=True))
    named = [(service, name) for service, names in calls.items() for name in names]
    return replace(began, service=named[0][0], name=named[0][1]) if len(named) == 1 else began
