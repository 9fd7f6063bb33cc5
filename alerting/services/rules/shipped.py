"""The rules that the site comes with: one YAML file, applied at every start."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from django.db import transaction

from alerting.choices import Origin
from alerting.domain.runbooks import runbook_path
from alerting.models import AlertRule, RuleProgress
from alerting.selectors.runbooks import runbook_exists
from alerting.services.rules.form import RuleForm, form_check, form_read

FILE: Final = Path(__file__).parents[2] / "rules.yaml"
_ACTOR: Final = "this site"
# What decides when an alert begins and ends, and which one it is.
_EVALUATED: Final = (
    "condition", "for_seconds", "keep_firing_seconds", "labels", "severity", "enabled",
)  # fmt: skip


@lru_cache(maxsize=1)
def rules_shipped() -> dict[str, RuleForm]:
    """By name; raises `Wrong` where the file holds a rule that cannot be."""
    found = {}
    for name, fields in yaml.safe_load(FILE.read_text(encoding="utf-8")).items():
        form = form_read({"name": name, **_runbook(name), **fields})
        form_check(form)
        found[name] = form
    return found


@transaction.atomic
def rules_ship(*, now: datetime) -> list[str]:
    """Make the shipped rules, and bring those up to date that no person has changed; what it did.

    A rule that a person changed or switched off stays as it is.
    """
    known = {rule.name: rule for rule in AlertRule.objects.select_for_update()}
    changes = []
    for name, form in rules_shipped().items():
        digest = _digest(form)
        rule = known.get(name)
        if rule is None:
            AlertRule.objects.create(
                **form.fields(), origin=Origin.SHIPPED, shipped_digest=digest,
                created_at=now, changed_at=now, changed_by=_ACTOR,
            )  # fmt: skip
            changes.append(f"made alert rule {name}")
        elif (
            rule.origin == Origin.SHIPPED
            and not rule.changed_by_person
            and rule.shipped_digest != digest
        ):
            goes_on = all(getattr(rule, name) == form.fields()[name] for name in _EVALUATED)
            for field, value in form.fields().items():
                setattr(rule, field, value)
            rule.shipped_digest, rule.version = digest, rule.version + 1
            if goes_on:
                _go_on(rule)
            rule.changed_at, rule.changed_by = now, _ACTOR
            rule.save()
            changes.append(f"brought alert rule {name} up to date")
    return changes


def _go_on(rule: AlertRule) -> None:
    """Let what is open stay open: the rule tells of the same moments, in other words.

    Where an evaluator is just at it, waiting could be for each other; it begins anew then.
    """
    rows = RuleProgress.objects.select_for_update(skip_locked=True)
    progress = rows.filter(rule=rule, rule_version=rule.version - 1).first()
    if progress is not None:
        progress.rule_version = rule.version
        progress.save(update_fields=["rule_version"])


def _runbook(name: str) -> dict[str, str]:
    """A shipped rule says where its runbook stands, unless it says otherwise."""
    return {"runbook_url": runbook_path(name)} if runbook_exists(name) else {}


def _digest(form: RuleForm) -> str:
    text = json.dumps(_plain(form), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(form: RuleForm) -> dict[str, Any]:
    return form.model_dump(mode="json")
