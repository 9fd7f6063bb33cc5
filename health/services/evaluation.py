"""From the checks' own states to their states in the graph: written with what follows from them.

One evaluation reads the whole graph under its lock and writes, in the caller's transaction, the
states that changed, a row of history for each, the outages that began, moved or ended, and last
the journal entries that pages, alerts and healing read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from health.choices import HealthState
from health.domain.graph import Graph, Node, Verdict, evaluate
from health.models import CheckStatus, StateChange
from health.selectors.graph import graph_now
from health.selectors.maintenance import covered_by, covered_now, windows_now
from health.services import outages
from health.services.locks import graph_lock
from health.services.reprobes import reprobe
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

# A failure that began this long before its culprit's is still explained by it whole: nobody
# probes both at the same moment.
SAME_FAILURE: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Row:
    """A check as the evaluation sees it, before and (in `state`, `culprit`) after."""

    id: UUID
    name: str
    service: str
    enabled: bool
    own: str
    own_since: datetime
    streak_since: datetime | None
    failures: int
    flapping: bool
    state: str
    since: datetime
    culprit: UUID | None
    settle: timedelta
    output: str


@dataclass(frozen=True)
class Judged:
    """What the graph says of a check now."""

    row: Row
    state: str
    since: datetime
    culprit: UUID | None
    verdict: Verdict
    in_maintenance: bool

    @property
    def changed(self) -> bool:
        return self.state != self.row.state or self.culprit != self.row.culprit

    @property
    def beneath(self) -> bool:
        """Whether maintenance hides what may have changed."""
        return self.state == self.row.state == HealthState.MAINTENANCE

    def in_effect(self, now: datetime) -> datetime:
        """From when on the row of history holds."""
        if self.beneath:
            return self.row.own_since
        return self.since if self.state != self.row.state else now


def graph_evaluate(
    *,
    now: datetime,
    changed: Collection[UUID] | None = None,
    reasons: Mapping[UUID, str] | None = None,
    entries: Sequence[Entry] = (),
) -> int:
    """Bring every check's state in line with the graph; returns how many changed.

    Call it last in a transaction that changed own states (`changed`, each with its reason in
    words), edges, windows or what is enabled. `entries` are the caller's own for the journal.
    """
    graph_lock()
    rows = _rows()
    graph = graph_now()
    covered = covered_now(now)
    inside = {key for key, row in rows.items() if covered(key, row.service)}
    nodes = {key: _node(row) for key, row in rows.items()}
    verdicts = evaluate(graph, nodes)
    judged = {
        key: _judge(row, verdicts[key], nodes, key in inside, now, changed or ())
        for key, row in rows.items()
    }
    flips = [each for each in judged.values() if each.changed]
    # In maintenance the history goes on beneath: windows may be changed, or counted otherwise, later.
    beneath = [judged[key] for key in changed or () if key in judged and judged[key].beneath]
    _write(flips)
    _sums_again([each.row.id for each in beneath], [each.row.own_since for each in beneath])
    _write_history([*flips, *beneath], rows, now, reasons or {})
    told = outages.outages_follow(judged=judged, graph=graph, now=now)
    _probe_recovered(flips, rows, graph, now)
    journal.append([*entries, *(_entry(each, rows) for each in flips), *told])
    return len(flips)


def _rows() -> dict[UUID, Row]:
    values = CheckStatus.objects.values_list(
        "check_row_id",
        "check_row__name",
        "check_row__service_id",
        "check_row__enabled",
        "own_state",
        "own_since",
        "streak_since",
        "failures",
        "flapping",
        "state",
        "since",
        "culprit_id",
        "check_row__settle_seconds",
        "last_output",
    )
    rows: Iterable[tuple[Any, ...]] = values
    return {row[0]: _row(list(row)) for row in rows}


def _row(values: list[Any]) -> Row:
    values[12] = timedelta(seconds=values[12])
    return Row(*values)


def _node(row: Row) -> Node:
    own = row.own if row.enabled else HealthState.UNKNOWN
    failing = row.streak_since if own == HealthState.DOWN and row.failures else None
    return Node(row.id, row.name, str(own), failing or row.own_since, maintenance=False)


def _judge(
    row: Row,
    verdict: Verdict,
    nodes: Mapping[UUID, Node],
    in_maintenance: bool,
    now: datetime,
    changed: Collection[UUID],
) -> Judged:
    state = HealthState.MAINTENANCE if in_maintenance and row.enabled else verdict.state
    culprit = None if state == HealthState.MAINTENANCE else verdict.culprit
    since = row.since
    if state != row.state:
        since = _since(row, str(state), culprit, nodes, now, changed)
    return Judged(row, str(state), since, culprit, verdict, in_maintenance)


def _since(
    row: Row,
    state: str,
    culprit: UUID | None,
    nodes: Mapping[UUID, Node],
    now: datetime,
    changed: Collection[UUID],
) -> datetime:
    """From when on the new state holds: dated back where the check's own results say so."""
    if row.id in changed:
        return row.own_since
    if state == HealthState.UNREACHABLE and culprit is not None:
        began = nodes[culprit].failing_since or now
        return row.own_since if began - row.own_since <= SAME_FAILURE else min(began, now)
    return now


def _write(flips: Sequence[Judged]) -> None:
    if not flips:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE health_checkstatus s SET state = new.state, since = new.since, "
            "culprit_id = new.culprit FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::uuid[]) "
            "AS new (check_id, state, since, culprit) WHERE s.check_id = new.check_id",
            [
                [each.row.id for each in flips],
                [each.state for each in flips],
                [each.since for each in flips],
                [each.culprit for each in flips],
            ],
        )
    turned = [each for each in flips if each.state != each.row.state]
    _sums_again([each.row.id for each in turned], [each.since for each in turned])


def _sums_again(ids: Sequence[UUID], since: Sequence[datetime]) -> None:
    """Have minutes summed up anew from then on, where they were already."""
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE health_checkstatus s SET minutes_from = date_trunc('minute', new.since) "
            "FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (check_id, since) "
            "WHERE s.check_id = new.check_id AND s.minutes_from > new.since",
            [list(ids), list(since)],
        )


def _write_history(
    flips: Sequence[Judged],
    rows: Mapping[UUID, Row],
    now: datetime,
    reasons: Mapping[UUID, str],
) -> None:
    StateChange.objects.bulk_create(
        StateChange(
            check_row_id=each.row.id,
            at=now,
            since=each.in_effect(now),
            from_state=each.row.state,
            state=each.state,
            own_state=each.row.own if each.row.enabled else HealthState.UNKNOWN,
            culprit=rows[each.culprit].name if each.culprit else "",
            reason=_reason(each, rows, reasons),
        )
        for each in flips
    )


def _reason(each: Judged, rows: Mapping[UUID, Row], reasons: Mapping[UUID, str]) -> str:
    if not each.row.enabled:
        return "switched off"
    said = reasons.get(each.row.id, "")
    if each.beneath:
        return f"in maintenance; {said}" if said else "in maintenance"
    if each.in_maintenance:
        return "a maintenance window began"
    if each.culprit is not None:
        blamed = f"{rows[each.culprit].name} is down"
        return f"{said}; {blamed}" if said else blamed
    if said:
        return said
    if each.row.state == HealthState.MAINTENANCE:
        return "the maintenance window ended"
    return "what explained it is over"


def _probe_recovered(
    flips: Sequence[Judged], rows: Mapping[UUID, Row], graph: Graph, now: datetime
) -> None:
    """What depends on a recovered check may work again, too: look at once, and at what nothing
    explains any more, before anybody is told of it."""
    waiting = {
        each.row.id
        for each in flips
        if each.row.state == HealthState.UNREACHABLE and each.state == HealthState.DOWN
    }
    recovered = [
        each.row.id
        for each in flips
        if each.row.state in (HealthState.DOWN, HealthState.UNREACHABLE)
        and each.row.own in (HealthState.UP, HealthState.DEGRADED)
    ]
    waiting |= {
        key for key in graph.below(recovered) if key in rows and rows[key].own == HealthState.DOWN
    }
    reprobe(check_ids=waiting, now=now)


def _entry(each: Judged, rows: Mapping[UUID, Row]) -> Entry:
    return Entry(
        Topic.HEALTH,
        "state_changed",
        str(each.row.id),
        each.state,
        each.row.service,
        {
            "name": each.row.name,
            "from_state": each.row.state,
            "culprit": rows[each.culprit].name if each.culprit else None,
            "since": each.since.isoformat(),
        },
    )


def windows_follow(*, now: datetime) -> bool:
    """Evaluate where a maintenance window began or ended since; whether one did."""
    checks = CheckStatus.objects.filter(check_row__enabled=True)
    windows = windows_now(now)
    if not windows:
        # Most of the time; then no more is read than whether one has just ended.
        stirred = checks.filter(state=HealthState.MAINTENANCE).exists()
    else:
        covered = covered_by(windows)
        stirred = any(
            covered(key, str(service)) != (state == HealthState.MAINTENANCE)
            for key, service, state in checks.values_list(
                "check_row_id", "check_row__service_id", "state"
            )
        )
    if stirred:
        with transaction.atomic():
            graph_evaluate(now=now)
    return stirred
