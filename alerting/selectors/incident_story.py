"""The timeline of an incident as people read it: what says the same stands there once, and an alert
of which nobody was told says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from alerting.choices import EntryKind
from alerting.domain.folding import folded
from alerting.domain.timeline import Line
from alerting.models import Alert, IncidentEntry
from alerting.selectors.incidents import MOST_ENTRIES, incident_timeline

# All that a timeline has, but for what people have noted without an end: kinds are bounded.
WHOLE: Final = 6_000
_ALERT: Final = "/alerts/"


def incident_story(
    incident_id: UUID, kinds: Iterable[str] = (), limit: int = MOST_ENTRIES
) -> list[Line]:
    """The newest `limit` entries, of some `kinds` or (empty) of all, the oldest first; what says the
    same in a moment, or tells one message to many, is one line. Two queries."""
    entries = incident_timeline(incident_id, kinds, limit)
    held = _why_untold(incident_id) if any(each.kind == EntryKind.ALERT for each in entries) else {}
    return folded(_line(each, held) for each in entries)


def _why_untold(incident_id: UUID) -> Mapping[str, str]:
    """The alerts of which nobody was told, by their addresses, with why."""
    rows = Alert.objects.filter(incident_id=incident_id, told_at=None).exclude(suppressed_by=[])
    held: Iterable[tuple[UUID, Sequence[Mapping[str, str]]]] = rows.order_by().values_list(
        "id", "suppressed_by"
    )
    return {f"{_ALERT}{each}": "; ".join(why["text"] for why in whys) for each, whys in held}


def _line(entry: IncidentEntry, held: Mapping[str, str]) -> Line:
    line = Line(entry.at, str(entry.kind), entry.text, entry.link, entry.actor)
    if entry.kind == EntryKind.ALERT and (why := held.get(entry.link)):
        return replace(line, text=f"{line.text} (nobody was told: {why})", held=True)
    return line
