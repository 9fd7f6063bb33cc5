"""Joining two incidents that turned out to have one cause: the older one takes in the younger."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from alerting.choices import EntryKind, IncidentState
from alerting.domain.incidents import SEVERITIES
from alerting.models import Alert, Incident, IncidentEntry, IncidentKey, Silence
from alerting.services.incident_entries import entries_add, entry

_MOST_SERVICES: Final = 50
_TAKEN: Final = ("assigned_to", "public_incident_id", "culprit", "cause", "impact")


def incident_merge(kept: Incident, gone: Incident, *, now: datetime) -> None:
    """Move all that `gone` has to `kept`, which the caller dates by its alerts and stores; `gone`
    is stored here.

    An address of the younger one leads to the older from now on.
    """
    Alert.objects.filter(incident=gone).update(incident=kept)
    keys = IncidentKey.objects.filter(incident=gone).values_list("key", flat=True)
    IncidentKey.objects.bulk_create(
        [IncidentKey(incident=kept, key=key) for key in keys], ignore_conflicts=True
    )
    held = IncidentEntry.objects.filter(incident=kept).values("ref")
    IncidentEntry.objects.filter(incident=gone).exclude(kind=EntryKind.STATE).exclude(
        ref__in=held
    ).update(incident=kept)
    text = f"Joined with the incident “{gone.title}”, which has the same cause."
    entries_add([entry(kept.id, EntryKind.STATE, now, text, ref=f"merged:{gone.id}")])
    _silences_lead(kept, gone, now)
    _take(kept, gone)
    gone.state, gone.ended_at, gone.changed_at = IncidentState.RESOLVED, now, now
    gone.merged_into = kept
    gone.public_incident_id, gone.public_follows = None, False
    gone.version += 1
    gone.save()


def _silences_lead(kept: Incident, gone: Incident, now: datetime) -> None:
    """Have silences that name `gone` name `kept`, unless this is more severe than what was silenced:
    a page must not be held by what somebody said of a ticket."""
    if SEVERITIES.index(kept.severity) < SEVERITIES.index(gone.severity):
        return
    named = Silence.objects.filter(ends_at__gt=now, matchers__contains=[{"label": "incident"}])
    for silence in named.order_by("id").select_for_update(no_key=True):
        # Also within a pattern that lists several of them: its id means itself there.
        leading = [
            {**each, "value": each["value"].replace(str(gone.id), str(kept.id))}
            if each["label"] == "incident"
            else each
            for each in silence.matchers
        ]
        if leading != silence.matchers:
            silence.matchers = leading
            silence.save(update_fields=["matchers"])


def _take(kept: Incident, gone: Incident) -> None:
    if SEVERITIES.index(gone.severity) < SEVERITIES.index(kept.severity):
        kept.severity, kept.title = gone.severity, gone.title
    kept.services = list(dict.fromkeys([*kept.services, *gone.services]))[:_MOST_SERVICES]
    kept.cursor = 0
    if kept.acknowledged_at is None and gone.acknowledged_at is not None:
        kept.state = IncidentState.ACKNOWLEDGED
        kept.acknowledged_at, kept.acknowledged_by = gone.acknowledged_at, gone.acknowledged_by
    if kept.public_incident_id is None:
        kept.public_follows = gone.public_follows
    for name in _TAKEN:
        if not getattr(kept, name):
            setattr(kept, name, getattr(gone, name))
