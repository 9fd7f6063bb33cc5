"""What people decide about a pattern: resolve it, ignore it for a while, open it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from analytics.choices import PatternState
from analytics.models import ErrorPattern
from analytics.selectors.pattern_families import family_count, family_ids
from analytics.selectors.pattern_releases import version_newest
from analytics.services.patterns import told
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.problems import Conflict, Invalid

DECISIONS: Final = {
    "resolve": PatternState.RESOLVED,
    "ignore": PatternState.IGNORED,
    "reopen": PatternState.ONGOING,
}
# What `in_version` says for the version that runs now.
NOW_RUNNING: Final = "now"
LONGEST_IGNORED: Final = timedelta(days=366)


@dataclass(frozen=True)
class Terms:
    """What a decision depends on; empty fields do not limit it.

    `in_version` belongs to a resolve: the version of the service that has the mend, or `now` for the
    one that was seen first last. The others belong to an ignore, which ends with the first of them:
    after a time, after so many more errors, or when the pattern escalates.
    """

    in_version: str = ""
    ignore_for: timedelta | None = None
    until_count: int | None = None
    until_escalating: bool = False


def pattern_decide(
    *,
    pattern_id: UUID,
    decision: str,
    actor: Actor,
    reason: str,
    now: datetime,
    terms: Terms = Terms(),
) -> ErrorPattern:
    """Resolve, ignore or reopen a pattern; deciding the same again renews it.

    Raises `ErrorPattern.DoesNotExist`, `KeyError` for another decision, `Invalid` for terms that
    cannot be and `Conflict` where the pattern is shown as part of another one.
    """
    state = DECISIONS[decision]
    _check(decision, terms)
    with transaction.atomic():
        pattern = ErrorPattern.objects.select_for_update().get(id=pattern_id)
        if pattern.merged_into is not None:
            raise Conflict(
                f"This pattern is shown as part of {pattern.merged_into}: decide about that one, or "
                "part them first.",
                current={"merged_into": pattern.merged_into},
                proposed={"decision": decision},
            )
        before = _kept(pattern)
        version = terms.in_version
        if version == NOW_RUNNING:
            version = version_newest(pattern.service, family_ids(pattern_id))
        pattern.state = state
        pattern.state_changed_at = now
        pattern.state_reason = _words(actor, reason)
        pattern.resolved_in_version = version
        pattern.ignored_until = None if terms.ignore_for is None else now + terms.ignore_for
        pattern.ignored_until_count = (
            None if terms.until_count is None else family_count(pattern_id) + terms.until_count
        )
        pattern.ignored_until_escalating = terms.until_escalating
        pattern.save(update_fields=[*before, "state_changed_at", "state_reason"])
        audit_record(
            actor=actor,
            action=f"pattern.{decision}",
            object_type="pattern",
            object_id=str(pattern_id),
            reason=reason,
            until=pattern.ignored_until,
            before=_said(before),
            after=_said(_kept(pattern)),
        )
        journal.append(
            [
                told(
                    f"pattern.{decision}", pattern, before=before["state"], reason=reason,
                    limit=pattern.escalates_above,
                )
            ]
        )  # fmt: skip
    return pattern


def _check(decision: str, terms: Terms) -> None:
    if terms.in_version and decision != "resolve":
        raise Invalid.field("body.in_version", "Only a resolve names a version.")
    if decision != "ignore" and terms != Terms(in_version=terms.in_version):
        raise Invalid.field("body", "Only an ignore has an end of its own.")
    if terms.ignore_for is not None and not timedelta() < terms.ignore_for <= LONGEST_IGNORED:
        raise Invalid.field("body.for", f"Ignore for up to {LONGEST_IGNORED.days} days.")
    if terms.until_count is not None and not 0 < terms.until_count < 10**12:
        raise Invalid.field("body.until_count", "Say how many more errors: 1 or more.")


def _kept(pattern: ErrorPattern) -> dict[str, Any]:
    return {
        "state": str(pattern.state),
        "resolved_in_version": pattern.resolved_in_version,
        "ignored_until": pattern.ignored_until,
        "ignored_until_count": pattern.ignored_until_count,
        "ignored_until_escalating": pattern.ignored_until_escalating,
    }


def _said(kept: dict[str, Any]) -> dict[str, Any]:
    """What of it says anything, as JSON holds it."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in kept.items()
        if value
    }


def _words(actor: Actor, reason: str) -> str:
    return f"decided by {actor.name}: {reason}" if reason else f"decided by {actor.name}"
