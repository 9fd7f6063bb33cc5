"""What guardrails go by, read from the database as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.db.models.aggregates import Aggregate
from django.db.models.fields import BooleanField

from analytics.domain.slos.budgets import spending
from analytics.selectors.slos import budget_counts, slo_list
from healing.choices import OPEN, UNSUCCESSFUL, RunState, TriggerKind
from healing.domain.budgets import DAY, spent
from healing.domain.definition import Definition
from healing.domain.judging import Culprit, GroupHealth, OpenRun, Situation
from healing.domain.subject import Subject
from healing.models import HealingRun, HealingSwitch, HealingTarget, Quarantine, Workflow
from healing.selectors.switches import ALL, released_at, stop_among
from health.choices import HealthState
from health.models import CheckStatus
from health.selectors.maintenance import windows_now

_NO_CHECK: Final = UUID(int=0)
_ENDED: Final = sorted({RunState.SUCCEEDED, *UNSUCCESSFUL})
_FAILING: Final = (HealthState.DOWN, HealthState.UNREACHABLE)


class _AnyOf(Aggregate):
    function = "bool_or"
    output_field = BooleanField()


@dataclass(frozen=True)
class Cap:
    """How far variables of the configuration let a workflow go, and which one says so."""

    mode: str
    reason: str = ""


def situation_of(
    *,
    workflow: Workflow,
    definition: Definition,
    subject: Subject,
    wanted_mode: str,
    by_person: bool,
    cap: Cap,
    now: datetime,
    run: HealingRun | None = None,
) -> Situation:
    """What holds for healing `subject` by `workflow` at `now`. `run` is left out of what is
    counted: it is the one that is judged. A constant number of queries."""
    guards = definition.guards
    others = _others(run)
    groups = dict(HealingTarget.objects.values_list("service", "group"))
    group = groups.get(subject.service, ALL)
    switches = list(HealingSwitch.objects.all())
    quarantine = _last_quarantine(subject)
    active = list(
        others.filter(state__in=sorted(OPEN)).values(
            "id", "workflow", "state", "target_kind", "target", "service"
        )
    )
    # A run that waits for a person holds its target, and does nothing meanwhile.
    acting = [each for each in active if each["state"] != RunState.WAITING_APPROVAL]
    began, ended = _past_runs(others, subject, workflow.name, guards.cooldown_seconds, now)
    in_force = quarantine if quarantine is not None and quarantine.ended_at is None else None
    left, objective = _budget_left(subject.service, now)
    return Situation(
        now=now,
        guards=guards,
        service=subject.service,
        target=subject.name,
        workflow_mode=workflow.mode,
        enabled=workflow.enabled,
        wanted_mode=wanted_mode,
        by_person=by_person,
        cap=cap.mode,
        cap_reason=cap.reason,
        stop=stop_among(switches, group, now),
        maintenance=_windows(subject, now),
        open_run=_open_run(active, subject),
        last_ended=ended,
        quarantined_since=in_force.since if in_force else None,
        quarantine_reason=in_force.reason if in_force else "",
        spent=spent(began, now, quarantine.ended_at if quarantine else None),
        active_of_service=sum(each["service"] == subject.service for each in acting),
        active=len(acting),
        group=_group(group, groups, subject.service, acting, switches, now),
        failed_in_a_row=_failed_in_a_row(others, workflow, guards.failures_to_approve),
        budget_left=left,
        objective=objective,
        culprit=_culprit(subject),
    )


def _others(run: HealingRun | None) -> Any:
    rows = HealingRun.objects.filter(dry_run=False)
    return rows if run is None else rows.exclude(id=run.id)


def _windows(subject: Subject, now: datetime) -> tuple[str, ...]:
    check_id = subject.check_id or _NO_CHECK
    windows = windows_now(now)
    return tuple(each.name for each in windows if each.covers(check_id, subject.service))


def _last_quarantine(subject: Subject) -> Quarantine | None:
    rows = Quarantine.objects.filter(target_kind=subject.kind, target=subject.name)
    return rows.order_by("-since", "-id").first()


def _open_run(active: Iterable[dict[str, Any]], subject: Subject) -> OpenRun | None:
    wanted = (subject.kind, subject.name)
    for each in active:
        if (each["target_kind"], each["target"]) == wanted:
            return OpenRun(str(each["id"]), each["workflow"], each["state"])
    return None


def _past_runs(
    others: Any, subject: Subject, workflow: str, cooldown: float, now: datetime
) -> tuple[list[datetime], datetime | None]:
    """When runs that acted on the target began in the last day, and when the last one ended, if
    that matters for the cooldown: one of the same workflow, or one that did not heal. What another
    workflow healed is no reason to leave another failure as it is. What clears away after a heal is
    no heal: the two are counted apart."""
    rows = list(
        others.filter(target_kind=subject.kind, target=subject.name, started_at__isnull=False)
        .filter(Q(started_at__gt=now - DAY) | Q(ended_at__gt=now - timedelta(seconds=cooldown)))
        .values_list("started_at", "ended_at", "workflow", "state", "trigger_kind")
    )
    ended = (
        end
        for _, end, name, state, _ in rows
        if end and (name == workflow or state != RunState.SUCCEEDED)
    )
    after = subject.trigger_kind == TriggerKind.HEALED
    counted = [began for began, *_, kind in rows if (kind == TriggerKind.HEALED) == after]
    return counted, max(ended, default=None)


def _failed_in_a_row(others: Any, workflow: Workflow, most: int) -> int:
    """The last runs that acted since the mode was set, as far as none of them healed for good."""
    rows = others.filter(
        workflow=workflow.name,
        started_at__isnull=False,
        ended_at__gt=workflow.mode_changed_at,
        state__in=_ENDED,
    )
    last: Sequence[tuple[str, Any]] = list(
        rows.order_by("-ended_at").values_list("state", "failed_again_at")[:most]
    )
    failed = [state != RunState.SUCCEEDED or again is not None for state, again in last]
    return failed.index(False) if False in failed else len(failed)


# --- Health --------------------------------------------------------------------------------------


def services_failing() -> dict[str, bool]:
    """Every service with checks that are on: whether its own probes say that it is down. One in
    maintenance does not count as failing; one query."""
    rows = (
        CheckStatus.objects.filter(check_row__enabled=True)
        .values_list("check_row__service")
        .annotate(
            failing=_AnyOf(
                Q(own_state=HealthState.DOWN, check_row__critical=True)
                & ~Q(state=HealthState.MAINTENANCE)
            )
        )
        .order_by()
    )
    return dict(rows)


def members_of(group: str, groups: dict[str, str], failing: dict[str, bool]) -> set[str]:
    """The services of a group: those whose targets name it, or all that have checks."""
    if group == ALL:
        return set(failing)
    return {service for service, of in groups.items() if of == group}


def _group(
    group: str,
    groups: dict[str, str],
    service: str,
    acting: Iterable[dict[str, Any]],
    switches: Iterable[HealingSwitch],
    now: datetime,
) -> GroupHealth:
    failing = services_failing()
    members = members_of(group, groups, failing) | {service}
    return GroupHealth(
        name=group,
        size=len(members),
        failing=sum(failing.get(each, False) for each in members),
        healing=frozenset(each["service"] for each in acting if each["service"] in members),
        released=any(each.group == group and released_at(each, now) for each in switches),
    )


def _culprit(subject: Subject) -> Culprit | None:
    """What makes the target unreachable, if it is: by the triggering check, else by all checks
    whose failure is the service's. Where the service itself is to blame, it is healed."""
    rows = CheckStatus.objects.filter(
        Q(check_row__service=subject.service) | Q(check_row=subject.check_id),
        check_row__enabled=True,
    ).values_list(
        "check_row_id",
        "check_row__name",
        "check_row__critical",
        "state",
        "culprit__name",
        "culprit__service",
    )
    asked = list(rows.order_by("check_row__name"))
    own = [each for each in asked if each[0] == subject.check_id]
    failing = own or [each for each in asked if each[2] and each[3] in _FAILING]
    foreign = [
        Culprit(check or "", str(service or ""), name)
        for _, name, _, state, check, service in failing
        if state == HealthState.UNREACHABLE and str(service or "") != subject.service
    ]
    return foreign[0] if foreign and len(foreign) == len(failing) else None


def _budget_left(service: str, now: datetime) -> tuple[float | None, str]:
    """The least that is left of the error budgets of a service, and of which objective."""
    slos = list(slo_list().filter(service=service, enabled=True))
    if not slos:
        return None, ""
    counts = budget_counts(slos, now)
    known = [
        (left, str(each))
        for each in slos
        if (left := spending(each.terms, counts[each.id]).left) is not None
    ]
    if not known:
        return None, ""
    return min(known)
