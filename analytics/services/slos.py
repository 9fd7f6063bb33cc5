"""Service level objectives: set, changed, deleted, and made for services that have none.

The journal's topic slos (key: the objective's id, service: its service) tells of each: `slo.created`,
`slo.changed`, `slo.deleted`, with the fields as they are then. Refusals are in the audit trail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from analytics.choices import SloKind, SloOrigin, SloSource
from analytics.models import Slo
from analytics.selectors.series import known_longest
from analytics.selectors.slos import slo_list
from analytics.services.former_slos import former_keep
from analytics.services.slo_fields import (
    CHANGEABLE,
    LEAST_CALLS,
    LEAST_RUNS,
    LEAST_SECONDS,
    kind_read,
    numbers_read,
    reach_check,
    reason_read,
    service_read,
    source_read,
    together_check,
)
from health.models import Check
from health.selectors import service_list
from health.selectors.availability import target
from health.services.catalogue import service_ensure
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.journal import Entry
from resilience_site.core.problems import Conflict, Invalid, NotFound

MOST_SLOS: Final = 2_000
# Services that get an objective of their own accord; the ones known longest where there are more.
MOST_DEFAULTS: Final = 500
DEFAULT_DAYS: Final = 30
# Three failed probes, where they are further apart than half a minute.
_PROBES: Final = 3
_OBJECT: Final = "slo"
_RECENT: Final = timedelta(days=2)
_LOCK: Final = 0x736C6F73
_SITE: Final = Actor.system("objectives")
_SHOWN: Final = ("service", "kind", "source", *CHANGEABLE, "origin")
# Each service is looked up by its own index, up to its first row.
_WITH_CALLS: Final = """
SELECT name FROM unnest(%(names)s::text[]) AS asked (name)
WHERE EXISTS (SELECT FROM analytics_callrolluphour AS h WHERE h.service = asked.name
        AND h.operation = '' AND h.hour >= %(since)s)
    OR EXISTS (SELECT FROM analytics_callrollup AS m WHERE m.service = asked.name
        AND m.operation = '' AND m.minute >= %(recent)s)
"""


def slo_create(
    *,
    service: Any,
    kind: Any = SloKind.AVAILABILITY,
    objective: Any,
    window_days: Any = DEFAULT_DAYS,
    source: Any = None,
    threshold_ms: Any = None,
    min_bad: Any = None,
    enabled: Any = True,
    reason: Any = "",
    actor: Actor,
    now: datetime,
) -> Slo:
    """Set an objective; its service comes into the catalogue if it is not there.

    Without a `source` it is measured by checks where the service has those and no calls. Without
    `min_bad` the guard is 10 calls, as many seconds as three probes take, or more runs than two of
    each check. Raises `Invalid` that names the field, and `Conflict` where there is the same
    objective already.
    """
    with _change(actor, "create", str(service)[:200]):
        name, of, why = service_read(service), kind_read(kind), reason_read(reason)
        by = _source_of(name, now) if source is None else source_read(source)
        given = {
            "objective": objective, "window_days": window_days, "threshold_ms": threshold_ms,
            "enabled": enabled,
            "min_bad": _least(name, of, by) if min_bad is None else min_bad,
        }  # fmt: skip
        fields = numbers_read(given)
        together_check(of, by, fields["threshold_ms"])
        if by == SloSource.CHECKS:
            reach_check(fields["threshold_ms"], _longest(name, "timeout_seconds"))
        if slo_list().count() >= MOST_SLOS:
            raise Invalid(f"There are {MOST_SLOS} objectives already; delete some first.")
        row = Slo(
            service=name, kind=of, source=by, **fields, origin=SloOrigin.PERSON, created_at=now,
            created_by=actor.name, changed_at=now, changed_by=actor.name,
        )  # fmt: skip
        _same_check(row)
        entries: list[Entry] = []
        service_ensure(name=name, now=now, entries=entries)
        row.save(force_insert=True)
        _record("create", row, actor, why, before=None, after=_shown(row))
        journal.append([*entries, _entry("slo.created", row)])
    return row


def slo_change(
    *,
    slo_id: UUID,
    changes: Mapping[str, Any],
    reason: Any = "",
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Slo:
    """Change how much is promised, over which window, the guard, or whether it is watched.

    What a person changed is that person's: it no longer follows the site's target. Raises
    `NotFound`, `Invalid`, and `Conflict` where the row has changed since `if_match`.
    """
    with _change(actor, "change", slo_id):
        row, why = _held(slo_id, if_match, changes), reason_read(reason)
        for fixed in ("service", "kind", "source"):
            if changes.get(fixed, getattr(row, fixed)) != getattr(row, fixed):
                raise Invalid.field(
                    fixed, f"The {fixed} of an objective stays; delete it and set another one."
                )
        strange = sorted(set(changes) - {"service", "kind", "source", *CHANGEABLE})
        if strange:
            raise Invalid.field(strange[0], f"An objective has no field {strange[0]!r} to change.")
        before = _shown(row)
        for name, value in numbers_read(changes).items():
            setattr(row, name, value)
        together_check(row.kind, row.source, row.threshold_ms)
        if row.source == SloSource.CHECKS and row.threshold_ms != before["threshold_ms"]:
            reach_check(row.threshold_ms, _longest(row.service, "timeout_seconds"))
        _same_check(row)
        row.origin = SloOrigin.PERSON
        _save(row, actor, now)
        _record("change", row, actor, why, before=before, after=_shown(row))
        journal.append([_entry("slo.changed", row)])
    return row


def slo_delete(
    *,
    slo_id: UUID,
    reason: Any = "",
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Delete an objective; one that the site made is not made again. Raises `NotFound`, `Invalid`
    and `Conflict`."""
    with _change(actor, "delete", slo_id):
        row, why = _held(slo_id, if_match, {}), reason_read(reason)
        row.deleted_at, row.enabled = now, False
        _save(row, actor, now)
        _record("delete", row, actor, why, before=_shown(row), after=None)
        journal.append([_entry("slo.deleted", row)])


def slo_defaults_make(*, now: datetime) -> int:
    """Give an availability objective to each service that has calls or critical checks and never
    had one, and let those that nobody changed follow the site's target; how many were written."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return 0
        followed = _defaults_follow(now)
        made = Slo.objects.bulk_create(_defaults_missing(now), ignore_conflicts=True)
        for row in made:
            _record("create", row, _SITE, _WHY, before=None, after=_shown(row))
        entries = [_entry("slo.changed", row) for row in followed]
        journal.append([*entries, *(_entry("slo.created", row) for row in made)])
    return len(followed) + len(made)


_WHY: Final = "the site's availability target"


def _defaults_follow(now: datetime) -> list[Slo]:
    aim = round(target(), 6)
    rows = slo_list().filter(origin=SloOrigin.DEFAULT).exclude(objective=aim)
    found = list(rows.select_for_update())
    for row in found:
        before = _shown(row)
        row.objective = aim
        _save(row, _SITE, now)
        _record("change", row, _SITE, _WHY, before=before, after=_shown(row))
    return found


def _defaults_missing(now: datetime) -> list[Slo]:
    """Objectives for services that never had one of availability, deleted ones included."""
    had = set(Slo.objects.filter(kind=SloKind.AVAILABILITY).values_list("service", flat=True))
    heard = service_list().filter(last_seen__gte=now - timedelta(days=DEFAULT_DAYS))
    checked = _with_checks() - had
    calling = _with_calls(set(heard.values_list("name", flat=True)) - had, now)
    missing = sorted(calling | checked)
    room = max(0, min(MOST_DEFAULTS, MOST_SLOS) - len(had))
    if len(missing) > room:
        missing = known_longest(missing, room)
    return [
        Slo(
            service=name, kind=SloKind.AVAILABILITY, source=source, objective=round(target(), 6),
            window_days=DEFAULT_DAYS, min_bad=_least(name, SloKind.AVAILABILITY, source), origin=SloOrigin.DEFAULT,
            created_at=now, created_by=_SITE.name, changed_at=now, changed_by=_SITE.name,
        )
        for name in missing
        for source in [SloSource.TRACES if name in calling else SloSource.CHECKS]
    ]  # fmt: skip


def _with_calls(names: Collection[str], now: datetime) -> set[str]:
    """Those of the services that were called within the window of a default objective."""
    if not names:
        return set()
    values: dict[str, Any] = {
        "names": sorted(names), "since": now - timedelta(days=DEFAULT_DAYS), "recent": now - _RECENT,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_WITH_CALLS, values)
        return {row[0] for row in cursor.fetchall()}


def _with_checks() -> set[str]:
    rows = Check.objects.filter(critical=True, enabled=True).order_by()
    return set(rows.values_list("service__name", flat=True).distinct())


def _source_of(service: str, now: datetime) -> SloSource:
    unheard = not _with_calls([service], now)
    return SloSource.CHECKS if unheard and service in _with_checks() else SloSource.TRACES


def _least(service: str, kind: str, source: str) -> int:
    """The guard where nobody says another one."""
    if source == SloSource.TRACES:
        return LEAST_CALLS
    if kind == SloKind.LATENCY:
        # Whatever slows two rounds of all its checks down calls nobody.
        return max(LEAST_RUNS, 2 * _probing(service).count() + 1)
    return max(LEAST_SECONDS, round(_PROBES * (_longest(service, "interval_seconds") or 0.0)))


def _probing(service: str) -> QuerySet[Check]:
    """What objectives of checks are measured by."""
    return Check.objects.filter(service_id=service, critical=True, enabled=True)


def _longest(service: str, field: str) -> float | None:
    found: float | None = _probing(service).aggregate(longest=Max(field))["longest"]
    return found


# --- Rows ----------------------------------------------------------------------------------------


@contextmanager
def _change(actor: Actor, verb: str, object_id: object) -> Iterator[None]:
    with (
        refusals_audited(
            actor=actor, action=f"slo.{verb}", object_type=_OBJECT,
            object_id=printable(str(object_id)),
        ),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):  # fmt: skip
        # One writer at a time: whether there is the same objective already depends on all rows.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        yield


def _held(slo_id: UUID, if_match: int | None, proposed: Mapping[str, Any]) -> Slo:
    row = slo_list().select_for_update().filter(id=slo_id).first()
    if row is None:
        raise NotFound(f"There is no objective {slo_id}.")
    if if_match is not None and if_match != row.version:
        raise Conflict(
            f"The objective has changed: it is at version {row.version}, and you saw {if_match}.",
            current={"version": row.version, **_shown(row)},
            proposed=dict(proposed),
        )
    return row


def _same_check(row: Slo) -> None:
    same = slo_list().filter(
        service=row.service, kind=row.kind, source=row.source, window_days=row.window_days,
        threshold_ms=row.threshold_ms,
    ).exclude(id=row.id)  # fmt: skip
    found = same.first()
    if found is not None:
        raise Conflict(
            f"{row.service} has an objective of {row.kind} over {row.window_days} days already; "
            "change that one.",
            current={"id": found.id, "version": found.version, **_shown(found)},
            proposed=_shown(row),
        )


def _save(row: Slo, actor: Actor, now: datetime) -> None:
    former_keep(row, now)
    row.version += 1
    row.changed_at, row.changed_by = now, actor.name
    row.save()


def _record(
    verb: str,
    row: Slo,
    actor: Actor,
    reason: str,
    *,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    audit_record(
        actor=actor, action=f"slo.{verb}", object_type=_OBJECT, object_id=row.id, reason=reason,
        before=before, after=after,
    )  # fmt: skip


def _entry(kind: str, row: Slo) -> Entry:
    return Entry(
        Topic.SLOS, kind, str(row.id), "on" if row.enabled else "off", row.service,
        {"version": row.version, **_shown(row)},
    )  # fmt: skip


def _shown(row: Slo) -> dict[str, Any]:
    """An objective for the audit trail and the journal."""
    return {name: getattr(row, name) for name in _SHOWN}
