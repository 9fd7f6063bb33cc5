"""Re-probe: run the checks of the target now, for what seems to fail may be well already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.steering import waited
from health.models import Check, CheckStatus
from health.services.reprobes import JUST_RUN, reprobe


@dataclass(frozen=True)
class ReprobeParameters:
    """`check` by its name; without it the check that triggered the run, or else every enabled
    check of the service."""

    check: str = ""


@action("reprobe", "Run checks now")
class Reprobe(Action[ReprobeParameters]):
    """Makes checks due, and waits until each has run; what they say is for the verification."""

    Parameters = ReprobeParameters
    safe_to_leave = True
    repeatable = True

    def effect(self, parameters: ReprobeParameters, context: Context) -> str:
        checks = _checks(parameters, context)
        return f"Runs {_named(checks)} now, and more often for half a minute"

    def act(self, parameters: ReprobeParameters, context: Context) -> Done:
        checks = _checks(parameters, context)
        ids = [check.id for check in checks]
        began = context.now()
        reprobe(check_ids=ids, now=began)

        def all_run() -> list[CheckStatus] | None:
            # One that ran right before is not run once more.
            run = _statuses(checks).filter(last_run_at__gte=began - JUST_RUN)
            found = list(run)
            return found if len(found) == len(ids) else None

        found = waited(all_run, context)
        if found is None:
            raise ActionFailed(f"Not every check was run in time: {_late(checks, began)}")
        lines = [_line(each) for each in found]
        return Done("\n".join(lines), {"statuses": {str(e.pk): e.last_status for e in found}})

    def finished(self, parameters: ReprobeParameters, context: Context) -> bool | None:
        checks = _checks(parameters, context)
        return not _statuses(checks).exclude(last_run_at__gte=context.started_at).exists()


def _checks(parameters: ReprobeParameters, context: Context) -> list[Check]:
    enabled = Check.objects.filter(enabled=True).select_related("status").order_by("name")
    subject = context.subject
    if parameters.check:
        found = list(enabled.filter(name=parameters.check))
        missing = f"There is no enabled check {parameters.check!r}"
    else:
        found = list(enabled.filter(id=subject.check_id)) if subject.check_id else []
        found = found or list(enabled.filter(service__name=subject.service))
        missing = f"{subject.service} has no enabled checks"
    if not found:
        raise ActionFailed(missing, permanent=True)
    return found


def _statuses(checks: Sequence[Check]) -> QuerySet[CheckStatus]:
    return CheckStatus.objects.filter(check_row__in=checks).select_related("check_row")


def _late(checks: Sequence[Check], began: datetime) -> str:
    late = _statuses(checks).exclude(last_run_at__gte=began - JUST_RUN)
    return ", ".join(sorted(each.check_row.name for each in late))


def _line(status: CheckStatus) -> str:
    words = f": {status.last_output}" if status.last_output else ""
    return f"{status.check_row.name} is {status.last_status}{words}"


def _named(checks: Sequence[Check]) -> str:
    noun = "the check" if len(checks) == 1 else f"{len(checks)} checks:"
    return f"{noun} {', '.join(check.name for check in checks)}"
