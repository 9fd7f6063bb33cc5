"""Looking for the cause of incidents and for what they touched: soon after they began, every few
minutes while they are open, and once when they are over.

It takes seconds of the database, so it holds no lock meanwhile and writes at its end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce

from alerting.choices import EntryKind, IncidentState, Severity
from alerting.domain.cause import probable_cause, spikes
from alerting.domain.incidents import NEAR
from alerting.models import Incident, IncidentEntry, IncidentKey
from alerting.selectors.incident_clues import (
    chains_of,
    clues_of,
    error_minutes,
    impact_of,
    window_of,
)
from alerting.selectors.incident_following import NAMES, titles
from alerting.services.alone import alone
from alerting.services.incident_entries import entries_renew, entry
from alerting.services.incident_journal import CHANGED, incident_told
from resilience_site.core import journal
from resilience_site.core.formatting import exact, machine, three_digits
from resilience_site.core.timerange import TimeRange

EVERY: Final = timedelta(minutes=3)
# Chains and spans of what failed first are complete about then.
SETTLE: Final = timedelta(seconds=20)
_AT_ONCE: Final = 3
_OVER: Final = Q(state=IncidentState.RESOLVED)
# Pages that are not over come first, then what somebody works on.
_URGENCY: Final = Case(
    When(~_OVER & Q(severity=Severity.PAGE), then=Value(0)),
    When(state=IncidentState.ACKNOWLEDGED, then=Value(1)),
    When(~_OVER, then=Value(2)),
    default=Value(3),
)
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x6578616D696E65
# So sure a cause joins the incident with others of it.
_NAMED: Final = 0.6
_MOST_SERVICES: Final = 50
_SPIKES_OF: Final = 5
_MOST_SPIKES: Final = 10
_NORMAL: Final = timedelta(hours=1)
# Of longer incidents, the rises of the last hours are looked for.
_RISES: Final = timedelta(hours=6)

logger = logging.getLogger(__name__)


def incidents_examine(*, now: datetime) -> int:
    """Examine those that are due, the most urgent first; how many."""
    # It may take long, and is work for one.
    with alone(_LOCK) as got:
        due = _due(now) if got else []
        for incident in due:
            try:
                incident_examine(incident, now=now)
            except Exception as error:
                # The others are not to wait for one that cannot be read.
                logger.exception("incident %s could not be examined", incident.id)
                _note_failure(incident, error, now)
    return len(due)


def _note_failure(incident: Incident, error: Exception, now: datetime) -> None:
    """Say on the page that nothing could be found out, and why; what is known stays."""
    missing = [f"It could not be worked out: {type(error).__name__}."]
    cause = {**incident.cause, "missing": missing}
    Incident.objects.filter(id=incident.id).update(examined_at=now, cause=cause)


def incident_examine(incident: Incident, *, now: datetime) -> None:
    """Find the probable cause and the impact of one incident, and tell when they changed."""
    clues, missing = clues_of(incident, now)
    cause = probable_cause(clues)
    if cause:
        cause["missing"] = missing
        if _stands(incident, cause, now):
            cause = incident.cause
    culprit = str(cause.get("service", ""))
    impact = impact_of(incident, culprit, now)
    lines = [*_spikes(incident, culprit, now), *_first_chains(incident, now)]
    with transaction.atomic():
        held = Incident.objects.select_for_update(no_key=True).filter(id=incident.id).first()
        if held is None or held.merged_into_id is not None:
            return
        entries_renew(lines)
        changed = _take(held, cause, culprit, impact, now)
        held.examined_at = now
        held.save()
        if changed:
            journal.append([incident_told(held, CHANGED, cause=cause.get("text", ""))])


def _due(now: datetime) -> list[Incident]:
    """Those to examine now, of the equally urgent those first that were never examined. One of them is
    whichever has waited longest, so that none waits for ever while more urgent ones keep coming.
    """
    # While more alerts join it, too: the first message of it is to carry what can be found by then.
    settled = Q(changed_at__lte=now - SETTLE) | Q(started_at__lte=now - SETTLE)
    never = Q(examined_at=None) & settled
    again = Q(examined_at__lte=now - EVERY) & ~_OVER
    last = _OVER & Q(ended_at__lte=now - SETTLE, examined_at__lt=F("ended_at"))
    last |= _OVER & Q(examined_at=None)
    rows = Incident.objects.filter(never | again | last, merged_into=None)
    found = rows.order_by(_URGENCY, F("examined_at").asc(nulls_first=True), "-started_at")
    due = list(found[:_AT_ONCE])
    if len(due) == _AT_ONCE:
        others = rows.exclude(pk__in=[each.pk for each in due[:-1]])
        due[-1:] = others.order_by(Coalesce("examined_at", "started_at"), "id")[:1]
    return due


def _take(
    held: Incident, cause: dict[str, Any], culprit: str, impact: dict[str, Any], now: datetime
) -> bool:
    """Whether what people see of it changed."""
    before = (held.cause, held.impact, held.culprit)
    if cause:
        held.cause, held.culprit = cause, culprit
    if held.culprit != before[2]:
        # It may have ended, and nobody else gives it a name again.
        over = held.state == IncidentState.RESOLVED
        held.title = titles([held], None if over else now - NAMES).get(held.id, held.title)
    if impact:
        held.impact = impact
    touched = [culprit, *impact.get("services", [])]
    services = list(dict.fromkeys([*held.services, *filter(None, touched)]))[:_MOST_SERVICES]
    if services != held.services:
        held.services, held.cursor = services, 0
    if culprit and cause["confidence"] >= _NAMED:
        IncidentKey.objects.get_or_create(incident=held, key=f"root:{culprit}"[:300])
    if (held.cause, held.impact, held.culprit) == before:
        return False
    held.version += 1
    held.changed_at = max(now, held.changed_at)
    return True


def _stands(incident: Incident, cause: dict[str, Any], now: datetime) -> bool:
    """Whether what was found is surer than this: all that tells of a beginning is known soon after
    it, and what of that is no longer stored later, or came to be since, does not turn it round."""
    found = incident.cause.get("confidence", 0.0)
    if now < incident.started_at + NEAR + EVERY or not incident.culprit:
        return False
    same = incident.culprit == cause["service"]
    return bool(found > cause["confidence"] if same else found >= cause["confidence"])


def _spikes(incident: Incident, culprit: str, now: datetime) -> Iterable[IncidentEntry]:
    """The rises of errors of its services; their lines grow with them."""
    whole = window_of(incident, now)
    within = TimeRange(max(whole.since, whole.until - _RISES), whole.until)
    normal = TimeRange(whole.since - _NORMAL, whole.since)
    minutes = _NORMAL / timedelta(minutes=1)
    for service in list(filter(None, dict.fromkeys([culprit, *incident.services])))[:_SPIKES_OF]:
        mean = sum(error_minutes(service, normal).values()) / minutes
        found = spikes(error_minutes(service, within), mean)
        for each in found[:_MOST_SPIKES]:
            length = round((each.until - each.since) / timedelta(minutes=1))
            text = (
                f"{each.errors:,} errors of {service} in {length} min, at most {each.peak:,} a "
                f"minute ({exact(each.peak_at)[11:16]} UTC); {three_digits(each.normal)} a minute "
                "in the hour before"
            )
            ends = f"since={machine(each.since)}&until={machine(each.until)}"
            yield entry(
                incident.id, EntryKind.ERRORS, each.since, text,
                ref=f"errors:{machine(each.since)}:{service}",
                link=f"/errors?service={quote(service, safe='')}&{ends}",
            )  # fmt: skip


def _first_chains(incident: Incident, now: datetime) -> Iterable[IncidentEntry]:
    """Of each service in which chains of errors began, the first."""
    rows = chains_of(incident, window_of(incident, now))
    firsts = rows.order_by("root_cause_service", "started_at").distinct("root_cause_service")
    for chain in firsts[:_SPIKES_OF]:
        crossed = [each for each in chain.services if each != chain.root_cause_service]
        over = f", seen in {', '.join(crossed[:5])}" if crossed else ""
        what = ": ".join(filter(None, [chain.root_cause_type, chain.root_cause_message]))
        text = f"First chain of errors from {chain.root_cause_service}{over}: {what}"
        key = chain.trace_id or chain.correlation_id or str(chain.id)
        yield entry(
            incident.id, EntryKind.ERRORS, chain.started_at, text,
            ref=f"chain:{chain.root_cause_service}", link=f"/chains/{quote(key, safe='')}",
        )  # fmt: skip
