"""Rules as people make, change, switch and delete them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from alerting.choices import AlertState, Origin
from alerting.domain.alerts import AlertChange
from alerting.domain.rules.conditions import Wrong
from alerting.models import Alert, AlertRule, RuleProgress
from alerting.services.alerts import alerts_apply
from alerting.services.locks import names_lock
from alerting.services.rules.faults import RULE_FAULTY, fault_end
from alerting.services.rules.form import RuleForm, form_check, form_read
from alerting.services.rules.progress import goes_on, progress_go_on
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, FieldError, Invalid, NotFound

MOST_RULES: Final = 500
FIELDS: Final = tuple(RuleForm.model_fields)
_OBJECT: Final = "alert_rule"
# Parts of addresses, and the name of what is said about rules themselves.
_RESERVED: Final = ("new", "trial", RULE_FAULTY)


def rule_create(*, fields: Mapping[str, Any], actor: Actor, now: datetime) -> AlertRule:
    """Make a rule of `fields` (see `RuleForm`). What holds already is alerted at the next turn.

    Raises `Invalid` with a reason for each field: a name that is unknown, a label without a value,
    a text that fails.
    """
    name = printable(str(fields.get("name", ""))[:100])
    with (
        refusals_audited(actor=actor, action="rule.create", object_type=_OBJECT, object_id=name),
        transaction.atomic(),
    ):
        form = rule_form(fields)
        if form.name in _RESERVED:
            raise Invalid.field("name", f"{form.name} is taken by the site; choose another.")
        names_lock(AlertRule)
        if AlertRule.objects.filter(name=form.name).exists():
            raise Invalid.field("name", f"There is a rule {form.name} already.")
        if AlertRule.objects.count() >= MOST_RULES:
            raise Invalid(f"There are {MOST_RULES} rules, and no room for more.")
        rule = AlertRule.objects.create(
            **form.fields(),
            origin=Origin.PERSON,
            changed_by_person=True,
            created_at=now,
            changed_at=now,
            changed_by=actor.name,
        )
        _record("create", rule, actor, None)
        _tell(rule, "created", actor)
    return rule


def rule_update(
    *,
    name: str,
    fields: Mapping[str, Any],
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> AlertRule:
    """Change the given fields of a rule. Where its words alone change, its alerts go on; else it is
    evaluated anew, and those that do not hold by its new form end.

    Raises `NotFound`, `Conflict` and `Invalid`.
    """
    with (
        refusals_audited(actor=actor, action="rule.update", object_type=_OBJECT, object_id=name),
        transaction.atomic(),
    ):
        rule = _found(name, if_match, fields)
        before = rule_shown(rule)
        if fields.get("name", name) != name:
            raise Invalid.field("name", "A rule keeps its name, as its alerts go by it.")
        # What cannot work any more can still be switched off.
        off_alone = dict(fields) == {"enabled": False}
        form = rule_form({**before, **fields}, check=not off_alone)
        if form.fields() == before:
            return rule
        for field, value in form.fields().items():
            setattr(rule, field, value)
        rule.version += 1
        rule.changed_by_person = True
        rule.changed_at, rule.changed_by = now, actor.name
        rule.save()
        if goes_on(before, rule_shown(rule)):
            progress_go_on(rule)
        _record("update", rule, actor, before)
        if rule.fault:
            # The new form has been tried on examples; what still fails will be said again.
            fault_end(rule, now=now)
        if not rule.enabled:
            _end_alerts(rule, "the rule was switched off", now)
        _tell(rule, "changed" if rule.enabled else "switched_off", actor)
    return rule


def rule_delete(*, name: str, if_match: int | None = None, actor: Actor, now: datetime) -> None:
    """Delete a rule that a person made; its alerts end and stay for the record.

    Raises `NotFound`, `Conflict`, and `Invalid` for a shipped rule, which would be made again at
    the next start.
    """
    with (
        refusals_audited(actor=actor, action="rule.delete", object_type=_OBJECT, object_id=name),
        transaction.atomic(),
    ):
        rule = _found(name, if_match, {})
        if rule.origin == Origin.SHIPPED:
            raise Invalid("A shipped rule can be switched off, not deleted.")
        if rule.fault:
            fault_end(rule, now=now)
        _record("delete", rule, actor, rule_shown(rule))
        _end_alerts(rule, "the rule was deleted", now)
        _tell(rule, "deleted", actor)
        rule.delete()


def rule_form(fields: Mapping[str, Any], *, check: bool = True) -> RuleForm:
    """The form of a rule, checked for whether it can be evaluated; raises `Invalid`."""
    try:
        form = form_read(dict(fields))
        if check:
            form_check(form)
    except Wrong as wrong:
        errors = [FieldError(field, text) for field, text in wrong.errors]
        told = "; ".join(f"{field}: {text}" for field, text in wrong.errors[:3])
        raise Invalid(f"This rule cannot be evaluated: {told}", errors) from None
    return form


def rule_shown(rule: AlertRule) -> dict[str, Any]:
    """The fields of a rule that people set, as they stand."""
    return {name: getattr(rule, name) for name in FIELDS}


def _found(name: str, if_match: int | None, proposed: Mapping[str, Any]) -> AlertRule:
    rule = AlertRule.objects.select_for_update().filter(name=name).first()
    if rule is None:
        raise NotFound(f"There is no alert rule {name}.")
    if if_match is not None and if_match != rule.version:
        raise Conflict(
            f"Rule {name} was changed by {rule.changed_by} since: it is at version {rule.version}.",
            current={**rule_shown(rule), "version": rule.version},
            proposed=dict(proposed),
        )
    return rule


def _end_alerts(rule: AlertRule, why: str, now: datetime) -> None:
    """What the rule's alerts wait for will not be looked at any more."""
    RuleProgress.objects.filter(rule=rule).delete()
    open_ones = Alert.objects.filter(rule=rule).exclude(state=AlertState.RESOLVED)
    alerts_apply(
        [
            AlertChange(
                happening="resolve",
                at=now,
                labels=alert.labels,
                rule_name=alert.rule_name,
                severity=alert.severity,
                started_at=alert.started_at,
                facts={"ended_because": why},
            )
            for alert in open_ones
        ],
        now=now,
    )


def _record(verb: str, rule: AlertRule, actor: Actor, before: dict[str, Any] | None) -> None:
    audit_record(
        actor=actor,
        action=f"rule.{verb}",
        object_type=_OBJECT,
        object_id=rule.name,
        before=before,
        after=None if verb == "delete" else rule_shown(rule),
    )


def _tell(rule: AlertRule, what: str, actor: Actor) -> None:
    payload = {"rule": rule.name, "actor": actor.name, "version": rule.version}
    journal.append([journal.Entry(Topic.ALERTS, "rule.changed", str(rule.pk), what, "", payload)])
