"""What matchers see of stored alerts, and what of it the database can sort out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db.models import Q

from alerting.domain.matchers import Matcher
from alerting.domain.pipeline import labels_matched
from alerting.models import Alert

# The columns that `alert_labels` and `alert_check` need, and those of a line about an alert.
LABEL_COLUMNS: Final = (
    "id", "rule_name", "source", "labels", "severity", "service", "incident", "fired_at",
)  # fmt: skip
LINE_COLUMNS: Final = (*LABEL_COLUMNS, "state", "started_at", "annotations")
_WORDS = re.compile(r"[A-Za-z0-9_ -]+(?:\|[A-Za-z0-9_ -]+)*", re.ASCII)


def alert_labels(alert: Alert) -> dict[str, str]:
    """The labels of an alert with what the site knows of it, as matchers see them."""
    return labels_matched(
        alert.labels,
        rule=alert.rule_name,
        severity=alert.severity,
        service=alert.service,
        source=alert.source,
        incident=str(alert.incident_id or ""),
    )


def alert_check(alert: Alert) -> UUID | None:
    """The check that an alert is about, as its labels name it."""
    text = alert.labels.get("check_id")
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None


def matcher_columns(matchers: Iterable[Matcher]) -> Q:
    """What every alert that matches fulfils, as far as columns can say it; others may as well."""
    fulfils = ~Q(pk__in=[])
    for matcher in matchers:
        values = _values(matcher)
        if values and matcher.label == "severity":
            fulfils &= Q(severity__in=values)
        elif values and matcher.label == "alertname":
            fulfils &= Q(rule_name__in=values) | Q(labels__alertname__in=values)
        elif values and matcher.label == "service":
            fulfils &= Q(service__in=values) | Q(service="", labels__service__in=values)
    return fulfils


def _values(matcher: Matcher) -> list[str]:
    """The only values that a matcher takes, empty where they cannot be listed."""
    if matcher.op == "=" and matcher.value:
        return [matcher.value]
    if matcher.op == "=~" and _WORDS.fullmatch(matcher.value):
        return matcher.value.split("|")
    return []
