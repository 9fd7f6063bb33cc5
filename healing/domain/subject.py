"""What a run acts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Subject:
    """What is acted on: the run's target, its service, and what the trigger told of it.

    `check_id` is the triggering check, where there is one; `trigger` the run's `trigger` JSON.
    """

    kind: str
    name: str
    service: str
    check_id: UUID | None = None
    trigger_kind: str = ""
    trigger_key: str = ""
    trigger: Mapping[str, Any] = field(default_factory=dict)
