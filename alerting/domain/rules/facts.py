"""What an alert keeps of what its condition saw, small enough to stand in its row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from alerting.domain.rules.fields import Entry

# Characters of JSON of all that one entry says; more is cut to its plain values.
MOST_PAYLOAD: Final = 8_000
_MOST_TEXT: Final = 1_000


def event_facts(entry: Entry, count: int, window: timedelta | None) -> dict[str, Any]:
    """The entry's payload with what it is of: `topic, kind, key, state, entry, at, count, link`,
    and `window_seconds` where entries were counted."""
    facts: dict[str, Any] = {
        **bounded(entry.payload),
        "topic": entry.topic,
        "kind": entry.kind,
        "key": entry.key,
        "state": entry.state,
        "entry": entry.id,
        "at": entry.at.isoformat(),
        "count": count,
        "link": link_of(entry),
    }
    if "kind" in entry.payload:
        # The entry's own kind is that of the journal; what it calls its kind stays readable.
        facts["of_kind"] = entry.payload["kind"]
    if window is not None:
        facts["window_seconds"] = int(window.total_seconds())
    return facts


def bounded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload, or what is plain of it where it is large."""
    if len(json.dumps(payload, default=str)) <= MOST_PAYLOAD:
        return dict(payload)
    plain = {name: _cut(each) for name, each in payload.items() if not _nested(each)}
    kept: dict[str, Any] = {}
    room = MOST_PAYLOAD
    for name, each in plain.items():
        room -= len(name) + len(str(each))
        if room < 0:
            break
        kept[name] = each
    return kept


def link_of(entry: Entry) -> str:
    """The path of the screen that shows what the entry is about, empty where there is none."""
    payload = entry.payload
    match entry.topic:
        case "breakers":
            found = f"/breakers/{_part(entry.key)}"
        case "retries" | "fallbacks" | "bulkheads":
            found = f"/{entry.topic}"
        case "health":
            found = f"/health/checks/{_part(entry.key)}"
        case "patterns":
            found = f"/patterns/{_part(entry.key)}"
        case "chains":
            found = f"/chains/{_part(str(payload.get('trace_id') or entry.key))}"
        case "anomalies":
            found = f"/trends?service={_part(entry.service)}"
        case "predictions":
            found = f"/predictions?service={_part(entry.service)}"
        case "releases" | "services":
            found = f"/services/{_part(entry.key)}"
        case "healing":
            run = entry.kind.startswith("run.")
            found = f"/healing/runs/{_part(entry.key)}" if run else "/healing"
        case "deliveries":
            delivery = str(payload.get("delivery_id") or "")
            found = f"/alerts/channels/{_part(entry.key)}" if entry.key else ""
            found = f"/alerts/deliveries/{_part(delivery)}" if delivery else found
        case "site":
            found = "/site-health"
        case _:
            found = ""
    return found


def _part(text: str) -> str:
    return quote(text, safe="")


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _cut(value: Any) -> Any:
    return value[:_MOST_TEXT] if isinstance(value, str) else value
