"""Announcing an outage: what alerts and healing need to act on it, once.

The journal entry `failure_confirmed` (topic health, key: the check's id) carries the failing
check, the culprit, since when, the evidence and what suffers with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from health.choices import HealthState
from health.domain.graph import Graph
from health.models import Check, CheckStatus, Outage
from health.selectors.graph import graph_now
from health.services.locks import graph_lock
from health.services.outages import CONFIRMED, SETTLING, outages_write
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

# Runs that show the failure.
EVIDENCE: Final = 5
# Outages that are announced while one holds the graph's lock.
AT_ONCE: Final = 500
# An outage whose parents give no answer is announced all the same, this long after it was due.
LONGEST_WAIT: Final = timedelta(seconds=60)
_MOST_NAMES: Final = 50
_NAMES: Final = ("id", "name", "service_id")
_READ: Final = ("next_due_at", "last_conclusive_at", "failures", "own_state", "state")
_EVIDENCE: Final = """
SELECT r.check_id, r.at, r.status, r.output, r.latency_ms
FROM unnest(%s::uuid[]) AS k (id) CROSS JOIN LATERAL (
    SELECT * FROM health_checkresult WHERE check_id = k.id ORDER BY at DESC LIMIT %s
) r ORDER BY r.at DESC
"""


def outages_announce(*, now: datetime) -> int:
    """Announce what has settled and is explained by nothing; returns how many."""
    announced = some = _announce(now)
    while some == AT_ONCE:
        some = _announce(now)
        announced += some
    return announced


def _announce(now: datetime) -> int:
    due = Outage.objects.filter(
        ended_at=None, announced_at=None, held_by=SETTLING, announce_at__lte=now
    )
    if not due.exists():
        return 0
    with transaction.atomic():
        graph_lock()
        graph = graph_now()
        statuses = {each.check_row_id: each for each in CheckStatus.objects.only(*_READ)}
        ready = [
            outage
            for outage in due.select_related("check_row__service").order_by("announce_at")
            if not _may_be_explained(outage, graph, statuses, now)
        ][:AT_ONCE]
        if not ready:
            return 0
        names = {key: (name, str(of)) for key, name, of in Check.objects.values_list(*_NAMES)}
        evidence = _evidence([outage.check_row_id for outage in ready])
        for outage in ready:
            outage.announced_at, outage.held_by = now, ""
        outages_write(ready)
        journal.append([_entry(each, graph, statuses, names, evidence) for each in ready])
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
    names: Mapping[UUID, tuple[str, str]],
    evidence: Mapping[UUID, list[dict[str, Any]]],
) -> Entry:
    check, status = outage.check_row, statuses[outage.check_row_id]
    below = [key for key in graph.descendants(check.id) if key in names]
    failing = sorted(names[key][0] for key in below if statuses[key].own_state == HealthState.DOWN)
    services = {names[key][1] for key in below} - {check.service_id}
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
        "failures": status.failures,
        "output": outage.output,
        "evidence": evidence.get(check.id, []),
        "unreachable": failing[:_MOST_NAMES],
        "blast_radius": {
            "checks": len(below),
            "services": sorted(services)[:_MOST_NAMES],
        },
        "runbook_url": check.runbook_url,
    }
    return Entry(Topic.HEALTH, CONFIRMED, str(check.id), status.state, check.service_id, payload)


def _evidence(check_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """The last runs of each check, the newest first."""
    found: dict[UUID, list[dict[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_EVIDENCE, [list(check_ids), EVIDENCE])
        for check_id, at, status, output, latency_ms in cursor.fetchall():
            found.setdefault(check_id, []).append(
                {"at": at.isoformat(), "status": status, "output": output, "latency_ms": latency_ms}
            )
    return found
