"""Announcing an outage: what alerts and healing need to act on it, once.

The journal entry `failure_confirmed` (topic health, key: the check's id) carries the failing
check, the culprit, since when, the evidence and what suffers with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from health.choices import HealthState
from health.domain.graph import Graph
from health.models import Check, CheckResult, CheckStatus, Outage
from health.selectors.graph import graph_now
from health.services.locks import graph_lock
from health.services.outages import CONFIRMED, SETTLING
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

# Runs that show the failure.
EVIDENCE: Final = 5
# An outage whose parents give no answer is announced all the same, this long after it was due.
LONGEST_WAIT: Final = timedelta(seconds=60)
_MOST_NAMES: Final = 50


def outages_announce(*, now: datetime) -> int:
    """Announce what has settled and is explained by nothing; returns how many."""
    due = Outage.objects.filter(
        ended_at=None, announced_at=None, held_by=SETTLING, announce_at__lte=now
    )
    if not due.exists():
        return 0
    with transaction.atomic():
        graph_lock()
        graph = graph_now()
        statuses = {each.check_row_id: each for each in CheckStatus.objects.all()}
        ready = [
            outage
            for outage in due.select_related("check_row__service", "check_row__status")
            if not _may_be_explained(outage, graph, statuses, now)
        ]
        names = dict(Check.objects.values_list("id", "name")) if ready else {}
        for outage in ready:
            outage.announced_at, outage.held_by = now, ""
        Outage.objects.bulk_update(ready, ["announced_at", "held_by"])
        journal.append([_entry(outage, graph, statuses, names) for outage in ready])
    return len(ready)


def _may_be_explained(
    outage: Outage, graph: Graph, statuses: Mapping[UUID, CheckStatus], now: datetime
) -> bool:
    """Whether a hard ancestor may yet turn out to have failed: it has not been looked at since, or
    its failure is not confirmed."""
    if now >= outage.announce_at + LONGEST_WAIT:
        return False
    ancestors = (statuses.get(key) for key in graph.ancestors(outage.check_row_id, hard=True))
    return any(
        each.next_due_at is not None
        and (
            each.last_conclusive_at is None
            or each.last_conclusive_at < outage.started_at
            or (each.failures > 0 and each.own_state != HealthState.DOWN)
        )
        for each in ancestors
        if each is not None
    )


def _entry(
    outage: Outage,
    graph: Graph,
    statuses: Mapping[UUID, CheckStatus],
    names: Mapping[UUID, str],
) -> Entry:
    check = outage.check_row
    below = [key for key in graph.descendants(check.id) if key in names]
    failing = sorted(names[key] for key in below if statuses[key].own_state == HealthState.DOWN)
    services = Check.objects.filter(id__in=below).exclude(service=check.service)
    payload: dict[str, Any] = {
        "outage": str(outage.id),
        "check": {"id": str(check.id), "name": check.name, "kind": check.kind},
        "service": check.service_id,
        "criticality": check.service.criticality,
        "critical": check.critical,
        "target": check.target,
        "culprit": {"id": str(check.id), "name": check.name},
        "since": outage.started_at.isoformat(),
        "confirmed_at": outage.confirmed_at.isoformat(),
        "failures": check.status.failures,
        "output": outage.output,
        "evidence": _evidence(check.id),
        "unreachable": failing[:_MOST_NAMES],
        "blast_radius": {
            "checks": len(below),
            "services": sorted(set(services.values_list("service_id", flat=True)))[:_MOST_NAMES],
        },
        "runbook_url": check.runbook_url,
    }
    return Entry(
        Topic.HEALTH, CONFIRMED, str(check.id), check.status.state, check.service_id, payload
    )


def _evidence(check_id: UUID) -> list[dict[str, Any]]:
    results = CheckResult.objects.filter(check_id=check_id).order_by("-at")[:EVIDENCE]
    return [
        {
            "at": each.at.isoformat(),
            "status": each.status,
            "output": each.output,
            "latency_ms": each.latency_ms,
        }
        for each in results
    ]
