"""How far a rule has come, where it is changed while its alerts go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from alerting.choices import AlertState
from alerting.domain.alerts import labels_fingerprint
from alerting.domain.rules.lifecycle import moment_read
from alerting.models import Alert, AlertRule, RuleProgress
from alerting.services.rules.machines import Told, alert_labels

# What decides when an alert begins and ends, and which one it is.
_EVALUATED: Final = (
    "condition", "for_seconds", "keep_firing_seconds", "labels", "severity", "enabled",
)  # fmt: skip


def goes_on(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a rule tells of the same moments by its new fields, in other words at most."""
    return all(before[name] == after[name] for name in _EVALUATED)


def progress_go_on(rule: AlertRule) -> None:
    """Let what is open stay open, and evaluate the rule's new version from where its former one
    stopped.

    Where an evaluator is just at it, waiting could be for each other; it begins anew then.
    """
    rows = RuleProgress.objects.select_for_update(skip_locked=True)
    progress = rows.filter(rule=rule, rule_version=rule.version - 1).first()
    if progress is not None:
        progress.rule_version = rule.version
        progress.save(update_fields=["rule_version"])


def carried_of(rule: AlertRule, state: Mapping[str, Any]) -> frozenset[str]:
    """Which of the alerts that fire by the rule's former version (its evaluation stood at `state`)
    are the same by the new one: these go on where they are held, and do not fire anew."""
    firing = Alert.objects.filter(rule=rule, state=AlertState.FIRING)
    held = set(firing.values_list("fingerprint", flat=True))
    return frozenset(
        key
        for key, track in state.get("alerts", {}).items()
        if track["fired_at"]
        and labels_fingerprint(alert_labels(rule, track["labels"], Told())) in held
    )


def carried_since(rule: AlertRule) -> frozenset[str]:
    """Those that went on as the rule became what it is."""
    rows = RuleProgress.objects.filter(rule=rule.pk, rule_version=rule.version)
    return frozenset(rows.values_list("state__carried", flat=True).first() or ())


def in_force_since(rule: AlertRule) -> datetime | None:
    """From when on its alerts fire by what it is; None for one that is not stored, or whose
    evaluation knows of no such moment."""
    if rule.changed_at is None:
        return None
    rows = RuleProgress.objects.filter(rule=rule.pk, rule_version=rule.version)
    found = rows.values_list("state__in_force", flat=True).first()
    if found is None and not rows.exists():
        # Saved just now.
        return rule.changed_at
    return moment_read(found)
