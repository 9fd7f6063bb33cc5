"""Decoded telemetry as the decoders hand it over, for tests of the store."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections

from analytics.domain.telemetry import (
    Decoded,
    LogRecord,
    MetricPoint,
    Resource,
    SpanEvent,
    SpanRecord,
)

# The beginning of a minute, so that what happens seconds later falls into the same one.
NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
_numbers = itertools.count(1)
STACK = 'Traceback (most recent call last):\n  File "/app/plans.py", line 9, in load\nKeyError: x'


def ns(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000


def resource(service: str = "planner", instance: str = "planner-1", **attributes: Any) -> Resource:
    return Resource(
        service, "test", instance, "1.0", "python", "", {"service.name": service, **attributes}
    )


def new_trace() -> str:
    return f"{next(_numbers):032x}"


def new_span() -> str:
    return f"{next(_numbers):016x}"


def exception(
    type_: str = "KeyError", message: str = "no plan x", stack: str = STACK
) -> dict[str, Any]:
    return {
        "exception.type": type_,
        "exception.message": message,
        "exception.stacktrace": stack,
    }


def log(
    body: Any = "plan 7 loaded",
    *,
    at: datetime = NOW,
    severity: int = 9,
    trace: str = "",
    span: str = "",
    event_name: str = "",
    source: Resource | None = None,
    **attributes: Any,
) -> LogRecord:
    return LogRecord(
        source or resource(), "app", ns(at), ns(at), severity, "", event_name, body, attributes,
        trace, span,
    )  # fmt: skip


def exception_log(trace: str = "", span: str = "", *, at: datetime = NOW, **kind: Any) -> LogRecord:
    record = log("it failed", at=at, severity=17, trace=trace, span=span)
    return record._replace(attributes=exception(**kind))


def span_record(
    trace: str,
    span: str,
    *,
    at: datetime = NOW,
    exceptions: list[dict[str, Any]] | None = None,
    failed: bool = True,
    source: Resource | None = None,
) -> SpanRecord:
    events = [SpanEvent("exception", ns(at) + 5_000_000, e) for e in exceptions or []]
    return SpanRecord(
        source or resource(), "app", trace, span, "", "load plan", 2, ns(at), ns(at) + 10_000_000,
        2 if failed else 0, "", {}, events, [],
    )  # fmt: skip


def point(
    name: str = "requests",
    value: float | None = None,
    *,
    kind: str = "sum",
    temporality: int = 2,
    monotonic: bool = True,
    start: datetime = NOW - timedelta(seconds=30),
    at: datetime = NOW,
    source: Resource | None = None,
    attributes: dict[str, Any] | None = None,
    count: int = 0,
    total: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    distribution: dict[str, Any] | None = None,
) -> MetricPoint:
    return MetricPoint(
        source or resource(), "app", name, "1", kind, temporality, monotonic, ns(start), ns(at),
        attributes or {}, value, count, total, minimum, maximum, distribution,
    )  # fmt: skip


def batch(*items: Any) -> Decoded:
    return Decoded(list(items), [])


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run each on a thread and a database connection of its own, all set off at one moment."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)
    failures: list[BaseException] = []

    def run(index: int, work: Callable[[], Any]) -> None:
        try:
            barrier.wait(60)
            results[index] = work()
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if failures:
        raise failures[0]
    return results
