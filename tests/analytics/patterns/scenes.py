"""Errors of patterns at chosen times, and what the journal was told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from analytics.models import ErrorPattern
from analytics.services.ingest import store_spans
from analytics.services.pattern_decisions import Terms, pattern_decide
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind
from tests.analytics.figures.history import write_errors
from tests.analytics.store.telemetry import (
    batch,
    exception,
    new_span,
    new_trace,
    resource,
    span_record,
)

NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PERSON = Actor(ActorKind.USER, "olga")


def fail(
    type_: str = "TimeoutError",
    *,
    at: datetime = NOW,
    version: str = "1.0",
    message: str = "no answer from graph",
    times: int = 1,
    stack: str = "",
    service: str = "planner",
) -> ErrorPattern:
    """Errors of one kind arrive when they happen; returns their pattern."""
    source = resource(service)._replace(version=version)
    spans = [
        span_record(
            new_trace(), new_span(), at=at, source=source,
            exceptions=[exception(type_, message, stack)],
        )
        for _ in range(times)
    ]  # fmt: skip
    store_spans(batch(*spans), received_at=at + timedelta(seconds=1))
    return ErrorPattern.objects.filter(type=type_, service=service).latest("last_seen")


def history(pattern: ErrorPattern, hours: int, each: int, until: datetime = NOW) -> None:
    """As many errors in each of the hours before, as far as figures tell."""
    start = until.replace(minute=5)
    write_errors(
        pattern.service, pattern.id, [(start - n * HOUR, each) for n in range(1, hours + 1)]
    )
    ErrorPattern.objects.filter(id=pattern.id).update(first_seen=start - (hours + 1) * HOUR)


def decide(pattern: ErrorPattern, decision: str, at: datetime = NOW, **terms: Any) -> ErrorPattern:
    return pattern_decide(
        pattern_id=pattern.id, decision=decision, actor=PERSON, reason="as agreed", now=at,
        terms=Terms(**terms),
    )  # fmt: skip


def told(pattern_id: UUID, kind: str) -> list[dict[str, Any]]:
    """The payloads of the journal's entries of a kind about a pattern."""
    entries = journal.read(0, ["patterns"])
    return [e.payload for e in entries if e.kind == kind and e.key == str(pattern_id)]
