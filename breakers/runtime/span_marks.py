"""What a request carries, also told on the span that is open where it comes in."""

from __future__ import annotations

import sys

CORRELATION_ID = "correlation.id"
TIER = "resilience.tier"


def mark_span(name: str, value: str) -> None:
    """Put an attribute on the open span, if the program traces and the value says something."""
    # Only a program that traces has this loaded; one that does not needs no span.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None and value:
        trace.get_current_span().set_attribute(name, value)
