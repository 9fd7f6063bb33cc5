"""Maintenance windows: planned, changed, ended before their time, and taken back.

The windows alone say which time was maintenance. So what is written here about past time lowers
`CheckStatus.minutes_from` of the checks concerned, and their sums are worked out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Least

from health.choices import MaintenanceKind
from health.domain.windows import occurrences
from health.models import Check, CheckStatus, Maintenance, Service
from health.selectors.maintenance import rule_of
from health.services.check_fields import text_read
from health.services.editing import GraphEdit, graph_editing
from health.services.maintenance_fields import (
    LONGEST_AGO,
    MOST_TEXT,
    SCOPE,
    TEXTS,
    TIMES,
    names_read,
    reason_read,
    texts_read,
    window_read,
)
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.journal import Entry
from resilience_site.core.problems import Conflict, Invalid, NotFound

_OBJECT: Final = "maintenance"
# What lies further back is told by no figure; a window may have begun a little before it was stored.
_PAST: Final = LONGEST_AGO + timedelta(hours=1)

Row = TypeVar("Row", Service, Check)


def maintenance_create(
    *,
    name: Any,
    kind: Any,
    reason: Any,
    starts_at: Any = None,
    ends_at: Any = None,
    weekdays: Any = (),
    start_time: Any = None,
    cron: Any = "",
    duration_seconds: Any = None,
    timezone: Any = "UTC",
    services: Any = (),
    checks: Any = (),
    public_text: Any = "",
    actor: Actor,
    now: datetime,
) -> Maintenance:
    """Plan a window over the services and checks of these names, or over everything.

    It may lie in the past, by at most 90 days. Raises `Invalid` that names the field.
    """
    given = {
        "name": name, "kind": kind, "reason": reason, "starts_at": starts_at, "ends_at": ends_at,
        "weekdays": weekdays, "start_time": start_time, "cron": cron,
        "duration_seconds": duration_seconds, "timezone": timezone, "public_text": public_text,
    }  # fmt: skip
    with _change(actor, "create", printable(str(name)[:200]), now) as edit:
        fields = window_read(given, now)
        window = Maintenance.objects.create(**fields, actor=actor.name, created_at=now)
        _cover(window, {"services": services, "checks": checks})
        _sums_again(window, now)
        _record(edit, "create", "created", window, actor, before=None, after=_shown(window))
    return window


def maintenance_update(
    *,
    maintenance_id: UUID,
    changes: Mapping[str, Any],
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Maintenance:
    """Change a window that has not been ended; `changes` holds fields of `maintenance_create`.

    The past of a recurring window stays as it was, unless `starts_at` is changed: what it was so
    far is kept as a window of its own that has ended. Raises `NotFound`, `Conflict` and `Invalid`.
    """
    with _change(actor, "update", maintenance_id, now) as edit:
        window = _window(maintenance_id, if_match, changes)
        before = _shown(window)
        given = _given(window, changes)
        if not set(changes) & {*TIMES, *SCOPE}:
            _assign(window, texts_read(given))
        else:
            keeps_past = window.kind != MaintenanceKind.SINGLE and "starts_at" not in changes
            if keeps_past and window.starts_at is not None and window.starts_at < now:
                given["starts_at"] = now
            fields = window_read(given, now)
            if keeps_past:
                _past_keep(window, now)
            else:
                _sums_again(window, now)
            _assign(window, fields)
            if set(changes) & set(SCOPE):
                _cover(window, changes)
            _sums_again(window, now)
        _record(edit, "update", "updated", window, actor, before=before, after=_shown(window))
    return window


def maintenance_end(
    *,
    maintenance_id: UUID,
    reason: Any = "",
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Maintenance:
    """End a window now, and never let it begin again.

    Raises `NotFound`, `Conflict`, and `Invalid` for one that is over.
    """
    with _change(actor, "end", maintenance_id, now) as edit:
        window = _window(maintenance_id, if_match, {"ended_at": now})
        said = text_read("reason", reason, MOST_TEXT)
        if window.ends_at is not None and window.ends_at <= now:
            raise Invalid("The window is over already.")
        before = _shown(window)
        _assign(window, {"ended_at": now})
        after = _shown(window)
        _record(edit, "end", "ended", window, actor, before=before, after=after, reason=said)
    return window


def maintenance_delete(
    *,
    maintenance_id: UUID,
    reason: Any,
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Take a window back as if it had never been: what it covered counts again.

    Raises `NotFound`, `Conflict`, and `Invalid` without a reason.
    """
    with _change(actor, "delete", maintenance_id, now) as edit:
        said = reason_read(reason)
        window = _window(maintenance_id, if_match, {}, ended_too=True)
        before = _shown(window)
        _sums_again(window, now)
        _record(edit, "delete", "deleted", window, actor, before=before, after=None, reason=said)
        window.delete()


@contextmanager
def _change(actor: Actor, verb: str, object_id: object, now: datetime) -> Iterator[GraphEdit]:
    with (
        refusals_audited(
            actor=actor, action=f"maintenance.{verb}", object_type=_OBJECT, object_id=object_id
        ),
        graph_editing(now=now) as edit,
    ):
        yield edit


def _window(
    maintenance_id: UUID,
    if_match: int | None,
    proposed: Mapping[str, Any],
    *,
    ended_too: bool = False,
) -> Maintenance:
    window = Maintenance.objects.select_for_update().filter(id=maintenance_id).first()
    if window is None:
        raise NotFound(f"There is no maintenance window {maintenance_id}.")
    if if_match is not None and if_match != window.version:
        raise Conflict(
            f"The window has changed: it is at version {window.version}, and you saw {if_match}.",
            current={"version": window.version, **_shown(window)},
            proposed={key: _plain(value) for key, value in proposed.items()},
        )
    if window.ended_at is not None and not ended_too:
        raise Invalid("The window was ended; plan a new one.")
    return window


def _given(window: Maintenance, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a window with the changes put over them."""
    strange = sorted(set(changes) - {*TEXTS, *TIMES, *SCOPE})
    if strange:
        raise Invalid.field(strange[0], f"A window has no field {strange[0]!r}.")
    if changes.get("kind", window.kind) != window.kind:
        raise Invalid.field("kind", "The kind of a window stays; end this one and plan a new one.")
    return {field: changes.get(field, getattr(window, field)) for field in (*TEXTS, *TIMES)}


def _assign(window: Maintenance, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        setattr(window, field, value)
    window.version += 1
    window.save()


def _cover(window: Maintenance, given: Mapping[str, Any]) -> None:
    """Let a saved window cover the services and checks of these names, or everything where there
    are none; what is not given stays."""
    if "services" in given:
        window.services.set(_named("services", Service.objects.all(), given["services"]))
    if "checks" in given:
        window.checks.set(_named("checks", Check.objects.all(), given["checks"]))
    window.everything = not window.services.exists() and not window.checks.exists()
    window.save(update_fields=["everything"])


def _named(field: str, rows: QuerySet[Row], given: Any) -> list[Row]:
    names = names_read(field, given)
    found = list(rows.filter(name__in=names))
    missing = sorted(set(names) - {str(each) for each in found})
    if missing:
        raise Invalid.field(field, f"There is no {field.removesuffix('s')} {missing[0]!r}.")
    return found


def _past_keep(window: Maintenance, now: datetime) -> None:
    """Keep what a recurring window was until now as a window that has ended, if it ever was."""
    if next(occurrences(rule_of(window), now - _PAST, now), None) is None:
        return
    services, checks = list(window.services.all()), list(window.checks.all())
    past = Maintenance.objects.get(id=window.id)
    past.id, past.ended_at = uuid4(), now
    past.save(force_insert=True)
    past.services.set(services)
    past.checks.set(checks)


def _sums_again(window: Maintenance, now: datetime) -> None:
    """Have the sums of what a window covered before now worked out again."""
    first = next(occurrences(rule_of(window), now - _PAST, now), None)
    if first is None:
        return
    covered = Q() if window.everything else Q(check_row__in=window.checks.all()) | Q(
        check_row__service__in=window.services.all()
    )  # fmt: skip
    minute = max(first.starts_at, now - _PAST).replace(second=0, microsecond=0)
    rows = CheckStatus.objects.filter(covered, minutes_from__gt=minute)
    CheckStatus.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
        minutes_from=Least(F("minutes_from"), minute)
    )


def _record(
    edit: GraphEdit,
    verb: str,
    done: str,
    window: Maintenance,
    actor: Actor,
    *,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str = "",
) -> None:
    audit_record(
        actor=actor,
        action=f"maintenance.{verb}",
        object_type=_OBJECT,
        object_id=window.id,
        reason=reason or window.reason,
        until=window.ends_at if verb in ("create", "update") else None,
        before=before,
        after=after,
    )
    payload = {
        "name": window.name, "kind": window.kind, "version": window.version,
        "everything": window.everything or bool(before and before["everything"]),
        "services": _touched(window, before),
    }  # fmt: skip
    edit.entries.append(
        Entry(Topic.MAINTENANCE, f"maintenance.{done}", str(window.id), payload=payload)
    )


def _touched(window: Maintenance, before: dict[str, Any] | None) -> list[str]:
    """The services that it covers, or of which it covers a check, and those that it did before."""
    covered = window.services.values_list("name", flat=True)
    of_checks = window.checks.values_list("service_id", flat=True)
    return sorted({*covered, *of_checks, *(before["services"] if before else ())})


def _shown(window: Maintenance) -> dict[str, Any]:
    """A window for the audit trail."""
    return {
        **{field: _plain(getattr(window, field)) for field in (*TEXTS, *TIMES, "ended_at")},
        "everything": window.everything,
        "services": sorted(window.services.values_list("name", flat=True)),
        "checks": sorted(window.checks.values_list("name", flat=True)),
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | time) else value
