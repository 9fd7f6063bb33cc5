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
from alerting.models import AlertRule
from alerting.selectors.runbooks import runbook_exists
from alerting.services.rules.form import RuleForm, form_check, form_read
from alerting.services.rules.progress import goes_on, progress_go_on

FILE: Final = Path(__file__).parents[2] / "rules.yaml"
_ACTOR: Final = "this site"


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
            same_moments = goes_on(vars(rule), form.fields())
            for field, value in form.fields().items():
                setattr(rule, field, value)
            rule.shipped_digest, rule.version = digest, rule.version + 1
            if same_moments:
                progress_go_on(rule)
            rule.changed_at, rule.changed_by = now, _ACTOR
            rule.save()
            changes.append(f"brought alert rule {name} up to date")
    return changes


def _runbook(name: str) -> dict[str, str]:
    """A shipped rule says where its runbook stands, unless it says otherwise."""
    return {"runbook_url": runbook_path(name)} if runbook_exists(name) else {}


def _digest(form: RuleForm) -> str:
    text = json.dumps(_plain(form), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(form: RuleForm) -> dict[str, Any]:
    return form.model_dump(mode="json")
