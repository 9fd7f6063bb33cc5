"""What the site knows of the cause and the reach of an incident: failing checks, chains of errors,
the ranking of its window, and what its errors touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from django.db.models import Count, Max, QuerySet

from alerting.domain.cause import Clue, within_reach
from alerting.domain.incidents import NEAR
from alerting.models import Alert, Incident
from alerting.selectors.callees import services_called
from alerting.selectors.surroundings import FEWEST_CHAINS
from analytics.models import CorrelationChain
from analytics.selectors import rollups
from analytics.selectors.causes import baseline_of, root_cause
from analytics.selectors.impact import window_impact
from health.choices import HealthState
from health.models import CheckStatus
from resilience_site.core.formatting import exact
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange

# Before the first alert, its condition held for a while, and the cause before that.
BEFORE: Final = timedelta(minutes=5)
# Of longer incidents the beginning tells of the cause.
LONGEST: Final = timedelta(hours=2)
_MOST_CHAINS: Final = 5_000
_MOST_SUSPECTS: Final = 3
_MOST_EVIDENCE: Final = 4


def window_of(incident: Incident, now: datetime) -> TimeRange:
    """The time of an incident, from a little before it began."""
    since = incident.started_at - BEFORE
    until = max(incident.ended_at or now, incident.started_at + timedelta(minutes=1))
    return TimeRange(since, until)


def cause_window(incident: Incident, now: datetime) -> TimeRange:
    """The part of its time that tells of its cause: around the beginnings of its alerts. What fails
    later, while one of them still stands, is the cause of others."""
    whole = window_of(incident, now)
    begun = Alert.objects.filter(incident=incident).aggregate(last=Max("started_at"))["last"]
    last = max(begun or incident.started_at, incident.started_at)
    return TimeRange(whole.since, min(whole.until, last + NEAR, whole.since + LONGEST))


def clues_of(incident: Incident, now: datetime) -> tuple[list[Clue], list[str]]:
    """What speaks for which service as the cause, and what could not be asked, in sentences."""
    within = cause_window(incident, now)
    clues = [
        *_checks(incident),
        *_chains(incident, within),
        *_breakers(incident),
        *_alerts(incident),
    ]
    if not incident.services:
        return clues, []
    try:
        found = root_cause(within, baseline_of(within))
    except Invalid as refused:
        return clues, [f"The services were not ranked: {refused.detail}"]
    # The whole site is ranked: what the incident's services have nothing to do with is left out.
    near = within_reach(incident.services, found.calls)
    suspects = [each for each in found.items if each.service in near]
    for suspect in suspects[:_MOST_SUSPECTS]:
        for n, each in enumerate(suspect.evidence[:_MOST_EVIDENCE]):
            share = suspect.score if n == 0 else 0.0
            clues.append(Clue("ranking", suspect.service, share, each.text, each.link))
    return clues, [*found.missing, *([found.folded] if found.folded else [])]


def _checks(incident: Incident) -> Iterable[Clue]:
    """The failing checks that the incident's alerts point at."""
    named = incident.keys.filter(key__startswith="check:").values_list("key", flat=True)
    ids = [each for key in named if (each := _uuid(key.partition(":")[2])) is not None]
    rows = CheckStatus.objects.filter(check_row_id__in=ids).select_related("check_row")
    blamed = Counter(
        CheckStatus.objects.filter(culprit_id__in=ids).values_list("culprit_id", flat=True)
    )
    for row in rows:
        check = row.check_row
        below = blamed[check.id]
        also = f"; it explains {below} more failing check{'s'[: below != 1]}" if below else ""
        if row.own_state == HealthState.DOWN:
            said = f"check {check.name} fails since {exact(row.own_since)}{also}"
        else:
            said = f"check {check.name} failed, and is {row.state} now"
        share = 1.0 if below else 0.8
        yield Clue("check", check.service_id, share, said, f"/health/checks/{check.id}")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def chains_of(incident: Incident, within: TimeRange) -> QuerySet[CorrelationChain]:
    """The chains of errors that crossed the incident's services in its time."""
    return CorrelationChain.objects.filter(
        opened_on__gte=within.since.date(),
        started_at__gte=within.since,
        started_at__lt=within.until,
        services__overlap=list(incident.services) or [""],
    )


def _chains(incident: Incident, within: TimeRange) -> Iterable[Clue]:
    newest = chains_of(incident, within).order_by("-started_at").values("id")[:_MOST_CHAINS]
    rows = CorrelationChain.objects.filter(
        id__in=newest, opened_on__gte=within.since.date()
    ).values_list("root_cause_service")
    counts = dict(rows.order_by().annotate(Count("id")))
    total = sum(counts.values())
    for service, count in counts.items():
        if count >= FEWEST_CHAINS:
            text = f"{count:,} of {total:,} chains of errors in its time began there"
            link = f"/chains?root_service={quote(service, safe='')}"
            yield Clue("chains", service, count / total, text, link)


def _breakers(incident: Incident) -> Iterable[Clue]:
    """The breakers of the incident's alerts that stand before a service that is known: what their
    callers suffer from begins behind them."""
    rows = Alert.objects.filter(incident=incident, labels__has_key="breaker")
    firsts = rows.order_by("service", "labels__breaker", "started_at").distinct(
        "service", "labels__breaker"
    )
    opened = [(each.service, str(each.labels["breaker"]), each.started_at) for each in firsts]
    called = services_called({breaker for _, breaker, _ in opened})
    for service, breaker, at in opened:
        if (behind := called.get(breaker)) and behind != service:
            text = f"breaker {breaker} of {service} opened at {exact(at)}"
            link = f"/breakers?service={quote(service, safe='')}"
            yield Clue("breaker", behind, 1.0, text, link, explains=service)


def _alerts(incident: Incident) -> Iterable[Clue]:
    rows = Alert.objects.filter(incident=incident).exclude(service="").values_list("service")
    counts = dict(rows.order_by().annotate(Count("id")))
    total = sum(counts.values())
    for service, count in counts.items():
        text = f"alerts of {service}: {count:,} of {total:,}"
        yield Clue("alerts", service, count / total, text)


# --- Reach ------------------------------------------------------------------------------------


def impact_of(incident: Incident, culprit: str, now: datetime) -> dict[str, Any]:
    """What the errors of an incident touched, as `impact` of the API: those of the culprit, or of
    the service of its alerts with the most of them. Empty without a service."""
    within = window_of(incident, now)
    names = [each for each in dict.fromkeys([culprit, *incident.services]) if each]
    if not names:
        return {}
    errors = rollups.error_totals(within)
    service = max(
        names, key=lambda each: (each == culprit and bool(errors.get(each)), errors.get(each, 0))
    )
    found = window_impact(within, now, service)
    return {
        "since": found.within.since.isoformat(),
        "until": found.within.until.isoformat(),
        "service": found.service,
        "errors": found.errors,
        "requests": found.requests,
        # Those of them that no fallback answered.
        "requests_lost": max(0, found.requests - found.served_degraded),
        "served_degraded": found.served_degraded,
        "examined": found.examined,
        "approximate": found.approximate,
        "users": found.users,
        "tiers": list(found.tiers),
        "requests_by_tier": found.tiers,
        "services": found.services,
        "calls": found.calls,
        "share_of_traffic": found.share_of_traffic,
        "error_budget_spent": found.budget.spent,
        "budget": {
            "service": found.budget.service,
            "days": found.budget.days,
            "target": found.budget.target,
            "calls": found.budget.calls,
            "allowed": found.budget.allowed,
            "failed": found.budget.failed,
        },
        "blast_radius": found.blast_radius,
        "words": {
            "share": found.share_text,
            "spent": found.spent_text,
            "allowed": found.allowed_text,
            "target": found.target_text,
        },
    }


def error_minutes(service: str, within: TimeRange) -> Mapping[datetime, int]:
    """Stored errors of a service in each minute of a range that had any."""
    return dict(rollups.error_counts(within, service=service, step=timedelta(minutes=1)))
