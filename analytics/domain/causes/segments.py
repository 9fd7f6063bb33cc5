"""Traces, cut into what each service did in answer to one call."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from analytics.domain.causes.incident import Call, Line

# What a failed span counts as.
FAILED = "status error: "
# Handlers of errors are named after them in most languages; not every tracer sets a status.
_FAILS = re.compile(r"error|exception", re.IGNORECASE)
_Key = tuple[str, str]


class Segment:
    """The spans of one service that one call to it set going, and what was seen meanwhile.

    `events` counts log events, calls to other services and own operations; `errors` those events
    that are failures.
    """

    __slots__ = (
        "above", "began", "errors", "events", "operation", "service", "trace_id", "waited_ns",
        "worked_ns",
    )  # fmt: skip

    def __init__(self, trace_id: str, service: str, operation: str) -> None:
        self.trace_id = trace_id
        self.service = service
        self.operation = operation
        self.above: Segment | None = None
        # When it was called: by the caller's clock where the caller has a span for it, then by
        # its own. Only those with the same caller can be put in order by it.
        self.began = (0, 0)
        self.events: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.waited_ns: int | None = None
        self.worked_ns = 0


def segments_of(calls: Sequence[Call], lines: Iterable[Line]) -> list[Segment]:
    """The segments of all traces. `waited_ns` is the call gap: how much longer the caller's span
    was than all that it called, at least 0 whatever the clocks; None where no caller is known.
    `worked_ns` is the time that no child span accounts for, of spans that called no service.
    """
    spans = {(call.trace_id, call.span_id): call for call in calls}
    homes = _homes(spans)
    below: Counter[_Key] = Counter()
    for call in spans.values():
        below[call.trace_id, call.parent_id] += call.duration_ns
    calling = {
        (call.trace_id, call.parent_id)
        for key, call in spans.items()
        if homes.get((call.trace_id, call.parent_id), homes[key]) is not homes[key]
    }
    for key, call in spans.items():
        home = homes[key]
        if key not in calling:
            home.worked_ns += max(0, call.duration_ns - below[key])
        parent = spans.get((call.trace_id, call.parent_id))
        entered = parent is None or homes[call.trace_id, call.parent_id] is not home
        if call.failed or _FAILS.search(call.operation):
            home.errors[f"{FAILED}{call.operation}"] += 1
        elif not entered:
            home.events[f"step {call.operation}"] += 1
        if entered and parent is not None:
            caller = homes[call.trace_id, call.parent_id]
            home.above = caller
            home.began = (parent.start_ns, call.start_ns)
            home.waited_ns = max(0, parent.duration_ns - below[call.trace_id, call.parent_id])
            caller.events[f"call to {call.service}"] += 1
    _attach(lines, homes)
    return list({id(home): home for home in homes.values()}.values())


def _homes(spans: dict[_Key, Call]) -> dict[_Key, Segment]:
    """Which segment each span belongs to; a cycle of parents counts as entered where it is cut."""
    homes: dict[_Key, Segment] = {}
    for start in spans:
        way: list[_Key] = []
        met: set[_Key] = set()
        key = start
        while True:
            home = homes.get(key)
            if home is not None:
                break
            call = spans[key]
            way.append(key)
            met.add(key)
            above = (call.trace_id, call.parent_id)
            parent = spans.get(above)
            if parent is None or parent.service != call.service or above in met:
                home = Segment(call.trace_id, call.service, call.operation)
                break
            key = above
        for each in way:
            homes[each] = home
    return homes


def _attach(lines: Iterable[Line], homes: dict[_Key, Segment]) -> None:
    """Count log records at the segment of their span, else at their service's only one."""
    only: dict[_Key, Segment | None] = {}
    for (trace_id, _), home in homes.items():
        place = (trace_id, home.service)
        only[place] = home if only.get(place, home) is home else None
    for line in lines:
        found = homes.get((line.trace_id, line.span_id))
        if found is None or found.service != line.service:
            found = only.get((line.trace_id, line.service))
        if found is None:
            continue
        into = found.errors if line.severe else found.events
        into[line.event] += line.records
