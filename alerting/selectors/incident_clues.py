"""What the site knows of the cause and the reach of an incident: failing checks, chains of errors,
the ranking of its window, and what its errors touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Left

from alerting.domain.cause import Clue, within_reach
from alerting.domain.incidents import MOST_WORDS, NEAR
from alerting.models import Alert, Incident
from alerting.selectors.callees import services_called
from alerting.selectors.catalogue import strangers
from alerting.selectors.incident_beginning import BEFORE, Beginning, beginning_of
from alerting.selectors.surroundings import FEWEST_CHAINS
from analytics.models import CorrelationChain, ErrorPattern, ErrorRollup
from analytics.selectors import rollups
from analytics.selectors.causes import baseline_of, root_cause
from analytics.selectors.impact import window_impact
from health.choices import HealthState
from health.models import CheckStatus, Outage
from resilience_site.core.formatting import exact
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange

_MOST_CHAINS: Final = 5_000
_MOST_SUSPECTS: Final = 3
_MOST_EVIDENCE: Final = 4
_MOST_PATTERNS: Final = 100
_MOST_OUTPUT: Final = 160


def window_of(incident: Incident, now: datetime) -> TimeRange:
    """The time of an incident, from a little before it began."""
    since = incident.started_at - BEFORE
    until = max(incident.ended_at or now, incident.started_at + timedelta(minutes=1))
    return TimeRange(since, until)


def cause_window(incident: Incident, now: datetime) -> TimeRange:
    """The part of its time that tells of its cause: around its beginning. What fails later, while it
    still stands, is the cause of something else."""
    whole = window_of(incident, now)
    return TimeRange(whole.since, min(whole.until, incident.started_at + NEAR))


def clues_of(incident: Incident, now: datetime) -> tuple[list[Clue], list[str]]:
    """What speaks for which service as the cause, and what could not be asked, in sentences.

    What explains only other calls than the one that it began with says little.
    """
    began = beginning_of(incident)
    clues, missing = _clues(incident, began, cause_window(incident, now))
    return [replace(each, beside=each.service in began.elsewhere) for each in clues], missing


def _clues(incident: Incident, began: Beginning, within: TimeRange) -> tuple[list[Clue], list[str]]:
    clues = [
        *_checks(incident, began),
        *_errors(began, within),
        *_chains(incident, began, within),
        *_breakers(incident, began),
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
            if suspect.service == began.service and began.others_named(each.text):
                continue
            share = suspect.score if n == 0 else 0.0
            clues.append(Clue("ranking", suspect.service, share, each.text, each.link))
    return clues, [*found.missing, *([found.folded] if found.folded else [])]


def _checks(incident: Incident, began: Beginning) -> Iterable[Clue]:
    """The checks that failed as the incident began: those that its alerts point at, and those of the
    service of the call that it began with, and of the one behind this."""
    named = incident.keys.filter(key__startswith="check:").values_list("key", flat=True)
    ids = [each for key in named if (each := _uuid(key.partition(":")[2])) is not None]
    of = Q(check_row_id__in=ids) | Q(check_row__service_id__in={began.service, began.called} - {""})
    rows = list(CheckStatus.objects.filter(of).select_related("check_row"))
    outages = _outages([each.check_row_id for each in rows], began)
    alerted = set(
        Alert.objects.filter(incident=incident, started_at__lte=began.until).values_list(
            "labels__check_id", flat=True
        )
    )
    blamed = Counter(
        CheckStatus.objects.filter(culprit_id__in=ids).values_list("culprit_id", flat=True)
    )
    for row in rows:
        check, outage = row.check_row, outages.get(row.check_row_id)
        pointed_at = check.id in ids
        words = f"{check.name} {outage.output if outage else row.last_output}"[:MOST_WORDS]
        if check.service_id == began.service and began.others_named(words):
            continue
        if outage is not None and (pointed_at or not outage.culprit):
            said = _failed(check.name, outage)
        elif not pointed_at:
            continue
        elif row.own_state == HealthState.DOWN and row.own_since <= began.until:
            said = f"check {check.name} fails since {exact(row.own_since)}"
        elif str(check.id) in alerted:
            said = f"check {check.name} failed, and is {row.state} now"
        else:
            continue
        below = blamed[check.id] if row.own_state == HealthState.DOWN else 0
        also = f"; it explains {below} more failing check{'s'[: below != 1]}" if below else ""
        share = 1.0 if below or began.is_named(words) else 0.8
        yield Clue("check", check.service_id, share, said + also, f"/health/checks/{check.id}")


def _outages(checks: Sequence[UUID], began: Beginning) -> Mapping[UUID, Outage]:
    """Of each of the checks the first failure that fits the beginning."""
    rows = Outage.objects.filter(
        Q(ended_at=None) | Q(ended_at__gte=began.at - BEFORE),
        check_row__in=checks,
        started_at__lte=began.until,
    )
    firsts = rows.order_by("check_row_id", "started_at").distinct("check_row_id")
    return {each.check_row_id: each for each in firsts}


def _failed(name: str, outage: Outage) -> str:
    said = f"check {name} fails since {exact(outage.started_at)}"
    if outage.ended_at is not None:
        since, until = exact(outage.started_at), exact(outage.ended_at)[11:]
        said = f"check {name} failed from {since} to {until}"
    output = " ".join(outage.output.split())
    return f"{said}: {output[:_MOST_OUTPUT]}" if output else said


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _errors(began: Beginning, within: TimeRange) -> Iterable[Clue]:
    """The errors of the service that name the call that it began with."""
    if not began.name:
        return
    rows = ErrorRollup.objects.filter(
        service=began.service, minute__gte=within.since, minute__lt=within.until
    ).order_by()
    counts = dict(rows.values_list("pattern_id").annotate(Sum("errors")))
    most = sorted(counts, key=lambda each: (-counts[each], each))[:_MOST_PATTERNS]
    patterns = ErrorPattern.objects.in_bulk(most)
    named = [
        found
        for each in most
        if (found := patterns.get(each)) and began.is_named(f"{found.type} {found.template}")
    ]
    if not named:
        return
    count, total = sum(counts[each.id] for each in named), sum(counts.values())
    said = " ".join(f"{named[0].type}: {named[0].template}".split())[:_MOST_OUTPUT]
    text = f"{count:,} of {total:,} errors of {began.service} name {began.name}, most: {said}"
    behind = began.called or began.service
    yield Clue("errors", behind, count / total, text, f"/patterns/{named[0].id}")


def chains_of(incident: Incident, within: TimeRange) -> QuerySet[CorrelationChain]:
    """The chains of errors that crossed the incident's services in its time."""
    return CorrelationChain.objects.filter(
        opened_on__gte=within.since.date(),
        started_at__gte=within.since,
        started_at__lt=within.until,
        services__overlap=list(incident.services) or [""],
    )


def _chains(incident: Incident, began: Beginning, within: TimeRange) -> Iterable[Clue]:
    newest = chains_of(incident, within).order_by("-started_at").values("id")[:_MOST_CHAINS]
    rows = CorrelationChain.objects.filter(id__in=newest, opened_on__gte=within.since.date())
    said = rows.order_by().annotate(said=Left("root_cause_message", _MOST_OUTPUT))
    counts: Counter[str] = Counter()
    total = 0
    for service, error, words, count in said.values_list(
        "root_cause_service", "root_cause_type", "said"
    ).annotate(Count("id")):
        total += count
        # What names another call of the service is of that one.
        if service != began.service or not began.others_named(f"{error} {words}"):
            counts[service] += count
    for service, count in counts.items():
        if count >= FEWEST_CHAINS:
            text = f"{count:,} of {total:,} chains of errors in its time began there"
            link = f"/chains?root_service={quote(service, safe='')}"
            yield Clue("chains", service, count / total, text, link)


def _breakers(incident: Incident, began: Beginning) -> Iterable[Clue]:
    """The breakers of the incident's first alerts that stand before a service that is known: what
    their callers suffer from begins behind them."""
    rows = Alert.objects.filter(
        incident=incident, labels__has_key="breaker", started_at__lte=began.until
    )
    firsts = rows.order_by("service", "labels__breaker", "started_at").distinct(
        "service", "labels__breaker"
    )
    opened = [(each.service, str(each.labels["breaker"]), each.started_at) for each in firsts]
    called = services_called({breaker for _, breaker, _ in opened})
    for service, breaker, at in opened:
        if (behind := called.get(breaker)) and behind != service:
            text = f"breaker {breaker} of {service} opened at {exact(at)}"
            link = f"/breakers?service={quote(service, safe='')}"
            explains = "" if behind in began.elsewhere else service
            yield Clue("breaker", behind, 1.0, text, link, explains=explains)


def _alerts(incident: Incident) -> Iterable[Clue]:
    rows = Alert.objects.filter(incident=incident).exclude(service="")
    rows = rows.filter(started_at__lte=incident.started_at + NEAR)
    counts = dict(rows.order_by().values_list("service").annotate(Count("id")))
    total = sum(counts.values())
    for service, count in counts.items():
        text = f"alerts of {service}: {count:,} of {total:,}"
        yield Clue("alerts", service, count / total, text)


# --- Reach ------------------------------------------------------------------------------------


def impact_of(incident: Incident, culprit: str, now: datetime) -> dict[str, Any]:
    """What the errors of an incident touched, as `impact` of the API: those of the culprit, or of
    the service of its alerts with the most of them. Empty without a service of the catalogue: of
    others nothing is known, which is not that nothing was lost."""
    within = _whole_minutes(window_of(incident, now), now)
    named = list(dict.fromkeys([culprit, *incident.services]))
    strange = strangers(named)
    names = [each for each in named if each and each not in strange]
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
        # The budget's window, and that of who calls whom, end then.
        "as_of": now.isoformat(),
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
            "unit": found.budget.unit,
        },
        "blast_radius": found.blast_radius,
        "words": {
            "share": found.share_text,
            "spent": found.spent_text,
            "allowed": found.allowed_text,
            "target": found.target_text,
        },
    }


def _whole_minutes(within: TimeRange, now: datetime) -> TimeRange:
    """The minutes that a range touches: calls are counted by these, and errors are to be as well."""
    since = within.since.replace(second=0, microsecond=0)
    end = within.until.replace(second=0, microsecond=0)
    until = end if end == within.until else min(end + timedelta(minutes=1), now)
    return TimeRange(since, max(until, within.until))


def error_minutes(service: str, within: TimeRange) -> Mapping[datetime, int]:
    """Stored errors of a service in each minute of a range that had any."""
    return dict(rollups.error_counts(within, service=service, step=timedelta(minutes=1)))
