"""What may happen to an alert, as whoever raises alerts says it: rules, the site, other systems."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

# `begin`: the condition holds, but not yet for long enough. `fire`: it does. `refresh`: it still
# holds, and `facts` are newer. `resolve`: it is over.
Happening = Literal["begin", "fire", "refresh", "resolve"]


def labels_fingerprint(labels: Mapping[str, str]) -> str:
    """SHA-256 of the sorted labels, as hex: equal labels are one alert."""
    ordered = json.dumps(sorted(labels.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(ordered.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class AlertChange:
    """One thing that happens to the alert of `labels`, at `at`.

    `labels` hold `alertname` and, where there is one, `service` and `severity`, so that routes and
    silences can match them. `started_at` is when the condition began to hold, which may be before
    `at`. `annotations` (`summary`, `details`, `runbook_url`) are kept from when the alert fires; of
    another system's alert, from when it was told of last.
    """

    happening: Happening
    at: datetime
    labels: Mapping[str, str]
    rule_name: str
    severity: str
    started_at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""
    # A value of `AlertSource`.
    source: str = "rule"
    rule_id: UUID | None = None

    @property
    def fingerprint(self) -> str:
        return labels_fingerprint(self.labels)
