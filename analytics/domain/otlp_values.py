"""What both OTLP encodings share: limits, clean texts, resources, and what is refused and why.

Limits are in characters and entries. What exceeds them is cut, not refused: a shortened error
tells more than none.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from analytics.domain.telemetry import Attributes, Decoded, Rejection, Resource

MAX_TEXT = 16 * 1024
MAX_BYTES = MAX_TEXT // 4 * 3  # as base64 they are a third longer
MAX_STACK = 64 * 1024
MAX_NAME = 500
MAX_SERVICE = 200
MAX_ATTRIBUTES = 256
MAX_ELEMENTS = 256
MAX_EVENTS = 256
MAX_LINKS = 256
MAX_BUCKETS = 4096
MAX_DEPTH = 16
STACK = "exception.stacktrace"
TOO_DEEP = "(nested too deep)"
UNKNOWN_SERVICE = "unknown"
NO_RECORDED_VALUE = 1

KINDS = 5
STATUS_CODES = 2
SEVERITIES = 24
TEMPORALITIES = 2

_ZERO_TRACE = "0" * 32
_ZERO_SPAN = "0" * 16

BAD_TRACE_ID = "trace id must be 16 bytes (32 hex digits in JSON), not all zero"
BAD_SPAN_ID = "span id must be 8 bytes (16 hex digits in JSON), not all zero"
BAD_PARENT_ID = "parent span id must be 8 bytes (16 hex digits in JSON), or absent for a root span"
BAD_LOG_TRACE_ID = "trace id of a log record must be 16 bytes (32 hex digits in JSON), or absent"
BAD_LOG_SPAN_ID = "span id of a log record must be 8 bytes (16 hex digits in JSON), or absent"
NO_START = "start time is missing: set start_time_unix_nano"
BAD_UNIT = "time is not in nanoseconds since 1970-01-01 UTC: check the unit"
NO_METRIC_NAME = "metric has no name"
NO_VALUE = "number data point has neither an integer nor a double value"
BAD_BUCKETS = "bucket counts must be one more than explicit bounds"
MANY_BUCKETS = f"more than {MAX_BUCKETS} buckets: use fewer bounds or a smaller scale"
MANY_QUANTILES = f"more than {MAX_BUCKETS} quantiles in a summary"
BAD_LINKS = "links without a valid trace id and span id were left out"
MANY_EVENTS = f"only the first {MAX_EVENTS} events of a span are kept"
MANY_LINKS = f"only the first {MAX_LINKS} links of a span are kept"


class DecodeError(ValueError):
    """The whole request cannot be read; the message tells the sender why."""


class Figures(NamedTuple):
    """What the kinds of metric points have in common; `MetricPoint` says what each field means."""

    value: float | None
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    sum: float | None
    minimum: float | None
    maximum: float | None
    distribution: dict[str, Any] | None


class Refusals:
    """Counts what is refused, by reason; `oldest_ns` tells other units from nanoseconds."""

    def __init__(self, now_ns: int) -> None:
        # Microseconds are a thousandth of what they should be: anything this early is in them,
        # or in something coarser still.
        self.oldest_ns = now_ns // 100
        self._counts: dict[str, int] = {}

    def refuse(self, reason: str, count: int = 1) -> None:
        """Note refused items; a count of 0 makes a warning of it."""
        self._counts[reason] = self._counts.get(reason, 0) + count

    def decoded(self, items: list[Any]) -> Decoded:
        """The result of a request."""
        return Decoded(items, [Rejection(n, reason) for reason, n in self._counts.items()])

    def span(self, trace_id: str, span_id: str, parent_id: str, start_ns: int) -> str:
        """Why a span has to be refused, or ""."""
        if len(trace_id) != 32 or trace_id == _ZERO_TRACE:
            return BAD_TRACE_ID
        if len(span_id) != 16 or span_id == _ZERO_SPAN:
            return BAD_SPAN_ID
        if parent_id and len(parent_id) != 16:
            return BAD_PARENT_ID
        if start_ns < self.oldest_ns:
            return BAD_UNIT if start_ns else NO_START
        return ""

    def log(self, trace_id: str, span_id: str, time_ns: int, observed_ns: int) -> str:
        """Why a log record has to be refused, or "". It may lack both ids and times."""
        if trace_id and len(trace_id) != 32:
            return BAD_LOG_TRACE_ID
        if span_id and len(span_id) != 16:
            return BAD_LOG_SPAN_ID
        if 0 < (time_ns or observed_ns) < self.oldest_ns:
            return BAD_UNIT
        return ""

    def point(self, kind: str, name: str, time_ns: int, figures: Figures) -> str:
        """Why a metric point has to be refused, or "". It may lack its time."""
        if not name:
            return NO_METRIC_NAME
        if 0 < time_ns < self.oldest_ns:
            return BAD_UNIT
        if kind in ("gauge", "sum"):
            return NO_VALUE if figures.value is None else ""
        return _bucket_refusal(figures.distribution or {})


def _bucket_refusal(distribution: dict[str, Any]) -> str:
    if "counts" in distribution:
        counts, bounds = distribution["counts"], distribution["bounds"]
        if len(counts) > MAX_BUCKETS:
            return MANY_BUCKETS
        return "" if len(counts) == len(bounds) + 1 else BAD_BUCKETS
    for sign in ("positive", "negative"):
        if sign in distribution and len(distribution[sign]["counts"]) > MAX_BUCKETS:
            return MANY_BUCKETS
    if len(distribution.get("quantiles", ())) > MAX_BUCKETS:
        return MANY_QUANTILES
    return ""


def given(hex_id: str) -> str:
    """An optional id; some clients write all zeros for none."""
    return "" if hex_id in (_ZERO_TRACE, _ZERO_SPAN) else hex_id


def is_link(trace_id: str, span_id: str) -> bool:
    """Whether both ids can name a span."""
    return (
        len(trace_id) == 32
        and len(span_id) == 16
        and trace_id != _ZERO_TRACE
        and span_id != _ZERO_SPAN
    )


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """A text that the store can hold: without NUL and halves of surrogate pairs, cut to a
    limit."""
    if "\0" in text:
        text = text.replace("\0", "")
    if len(text) > limit:
        text = text[:limit]
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Names:
    """Cleans the names of a request; the same ones come again and again."""

    def __init__(self) -> None:
        self.clean: set[str] = set()

    def name(self, name: str) -> str:
        """A clean name of bounded length."""
        if name in self.clean:
            return name
        name = clean(name, MAX_NAME)
        self.clean.add(name)
        return name


def number(value: float) -> float | str:
    """A double as an attribute value: JSON has no words for those that are not finite."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def first(attributes: Attributes, limit: int = MAX_ATTRIBUTES) -> Attributes:
    """At most so many attributes."""
    if len(attributes) <= limit:
        return attributes
    return {key: attributes[key] for key in list(attributes)[:limit]}


def resource_of(attributes: Attributes) -> Resource:
    """The resource that clean attributes describe."""

    def read(key: str) -> str:
        value = attributes.get(key)
        return "" if value is None else str(value)[:MAX_SERVICE]

    service = read("service.name").strip()
    if service.startswith("unknown_service"):
        # What SDKs write where nobody named the service.
        service = ""
    return Resource(
        service=service or UNKNOWN_SERVICE,
        environment=read("deployment.environment.name") or read("deployment.environment"),
        instance=read("service.instance.id"),
        version=read("service.version"),
        language=read("telemetry.sdk.language"),
        criticality=read("service.criticality"),
        attributes=attributes,
    )
