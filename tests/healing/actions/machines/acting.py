"""What one execution of an action gets, with a real clock and a deadline of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from healing.actions.base import Context, Subject
from health.checks.addresses import Addresses


def context(
    *,
    seconds: float = 60.0,
    before: Mapping[str, Any] | None = None,
    private: bool = True,
    service: str = "planner-mcp",
    key: str = "step-1",
) -> Context:
    """A step that has `seconds` left."""
    return Context(
        subject=Subject("service", service, service),
        key=key,
        started_at=datetime.now(UTC),
        deadline=time.monotonic() + seconds,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        pause=time.sleep,
        addresses=Addresses(allow_private=private),
        actor="test",
        before=before or {},
    )
