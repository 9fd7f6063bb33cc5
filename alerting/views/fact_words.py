"""What a rule saw, in words: its facts without those that only machines need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from resilience_site.core.formatting import duration, three_digits

# Ids, links and names of the journal's own, and what the page shows elsewhere.
_INNER: Final = frozenset(
    {
        "topic", "kind", "key", "state", "entry", "link", "trace_id", "outage", "slo", "id", "run",
        "command", "sender_key", "service", "title", "metric",
        "metrics", "unit", "evidence", "reasons", "text", "output", "template", "blast_radius",
        "runbook_url", "short_seconds", "name", "outcome", "settled_at", "failed_at",
        "lead_seconds", "failing", "gone", "lost", "delivery_id", "group_id", "alert_ids",
    }
)  # fmt: skip
_WORDS: Final[Mapping[str, str]] = {
    "at": "Last seen",
    "bad": "Bad",
    "before": "State before",
    "confirmed_at": "Confirmed",
    "count": "Seen",
    "culprit": "Most of it begins in",
    "due_at": "Expected by",
    "ended_because": "Ended, as",
    "expected": "Expected",
    "external_url": "Its system",
    "failures": "Failures in a row",
    "from_state": "State before",
    "horizon_seconds": "Within",
    "in_hour": "In the last hour",
    "instance": "Instance",
    "last_heard": "Last heard",
    "last_received_at": "Last received",
    "made_at": "Foretold",
    "members": "Instances",
    "method": "Foretold by",
    "minutes": "Minutes with signs of it, of the 60 before",
    "of_kind": "What kind",
    "receiver": "Receiver there",
    "received_from": "Received from",
    "total": "Out of",
    "why": "The last time",
    "window_seconds": "Over",
}
_TIMES: Final = frozenset(
    {"at", "confirmed_at", "due_at", "first_seen", "last_heard", "last_received_at", "last_seen",
     "made_at", "since", "started_at"}
)  # fmt: skip
_SHARES: Final = frozenset({"probability", "confidence", "objective", "failure_rate"})
# Names that the house writes with underscores.
_NAMES: Final = frozenset({"before", "from_state", "method", "mitigation", "of_kind", "reason"})


def fact_pairs(facts: Mapping[str, Any]) -> list[tuple[str, str | datetime]]:
    """The facts of an alert, each with its words; what is nested is left to the API."""
    unit = str(facts.get("unit") or "")
    found: list[tuple[str, str | datetime]] = []
    subject = facts.get("title") or facts.get("metric")
    if isinstance(subject, str) and subject:
        found.append(("Figure", _name(subject)))
    for name, value in sorted(facts.items()):
        if value in (None, "", [], {}) or isinstance(value, dict) or name in _INNER:
            continue
        label = _WORDS.get(name, name.removesuffix("_seconds").replace("_", " ").capitalize())
        found.append((label, _value(name, value, unit)))
    return found


def _value(name: str, value: Any, unit: str) -> str | datetime:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, bool):
        shown: str | datetime = "yes" if value else "no"
    elif name in _TIMES and isinstance(value, str):
        shown = _moment(value)
    elif number and (name.endswith("_seconds") or name == "seconds"):
        shown = duration(value)
    elif number and (name in _SHARES or (unit == "1" and name in _FIGURES)):
        shown = f"{value * 100:.4g} %"
    elif number and name in _FIGURES:
        shown = f"{three_digits(value)} {unit}".strip()
    elif number:
        shown = f"{value:,}" if isinstance(value, int) else three_digits(value)
    elif isinstance(value, list):
        shown = ", ".join(map(str, value))
    else:
        shown = _name(str(value)) if name in _NAMES else str(value)
    return shown


_FIGURES: Final = frozenset({"value", "expected", "threshold", "median", "lower", "upper"})


def _name(text: str) -> str:
    return text.replace("_", " ")


def _moment(text: str) -> str | datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return found if found.tzinfo else text
