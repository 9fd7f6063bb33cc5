"""A rule that cannot be evaluated, or whose texts fail, is itself alerted."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from alerting.choices import AlertSource, Severity
from alerting.domain.alerts import AlertChange
from alerting.domain.runbooks import runbook_path
from alerting.models import AlertRule
from alerting.services.alerts import alerts_apply
from alerting.services.rules.machines import Told
from resilience_site.core import journal
from resilience_site.core.choices import Topic

# How faults begin that keep a rule from being evaluated; others are of its texts.
CANNOT: Final = "It cannot be evaluated"
RULE_FAULTY: Final = "rule_faulty"


def fault_settle(rule: AlertRule, told: Told, *, evaluated: bool, now: datetime) -> None:
    """Keep, say and alert what is wrong with a rule, or that nothing is any more.

    A fault of its texts is over once they succeed, any other once the rule is `evaluated`. Call it
    within the evaluation's transaction.
    """
    if told.fault:
        if told.fault != rule.fault:
            fault_begin(rule, told.fault, now=now)
    elif rule.fault:
        texts_worked = any(change.happening == "fire" for change in told.changes)
        if texts_worked or (evaluated and rule.fault.startswith(CANNOT)):
            fault_end(rule, now=now)


def fault_begin(rule: AlertRule, fault: str, *, now: datetime) -> None:
    """The rule is faulty from now on, or otherwise than it was."""
    rule.fault, rule.faulty_since = fault, rule.faulty_since or now
    # Alerts before the journal, as all that write both.
    alerts_apply([_change(rule, "fire", now)], now=now)
    _write(rule)


def fault_end(rule: AlertRule, *, now: datetime) -> None:
    """Nothing is wrong with the rule any more."""
    alerts_apply([_change(rule, "resolve", now)], now=now)
    rule.fault, rule.faulty_since = "", None
    _write(rule)


def _write(rule: AlertRule) -> None:
    # Not `save`: a person may be changing the rest of the row.
    AlertRule.objects.filter(pk=rule.pk).update(fault=rule.fault, faulty_since=rule.faulty_since)
    payload = {"rule": rule.name, "fault": rule.fault}
    state = "faulty" if rule.fault else "ok"
    journal.append([journal.Entry(Topic.ALERTS, "rule.faulty", str(rule.pk), state, "", payload)])


def _change(rule: AlertRule, happening: str, now: datetime) -> AlertChange:
    return AlertChange(
        happening="fire" if happening == "fire" else "resolve",
        at=now,
        labels={"alertname": RULE_FAULTY, "rule": rule.name, "severity": Severity.TICKET.value},
        rule_name=RULE_FAULTY,
        severity=Severity.TICKET,
        started_at=rule.faulty_since or now,
        annotations={
            "summary": f"Alert rule {rule.name} is faulty",
            "details": f"{rule.fault} Its alerts go out in a plain form or not at all: mend it.",
            "runbook_url": runbook_path(RULE_FAULTY),
        },
        facts={"rule": rule.name, "fault": rule.fault, "link": f"/alerts/rules/{rule.name}"},
        source=AlertSource.SITE,
    )
