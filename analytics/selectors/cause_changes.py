"""Changes of state in a range: releases, restarts, settings, checks and breakers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef
from django.http import QueryDict
from django.urls import reverse

from analytics.domain.causes.incident import CALLERS_BREAKER, Change
from analytics.models import Release
from resilience_site.core.breaker_reasons import reason_words
from resilience_site.core.choices import Topic
from resilience_site.core.models import JournalEntry
from resilience_site.core.querystrings import query_with
from resilience_site.core.timerange import TimeRange

# What goes wrong in a window may have begun shortly before it.
LEAD = timedelta(minutes=5)
MOST_ENTRIES = 500
_KINDS = (
    "failure_confirmed", "state_changed", "breaker.transition", "override.set", "policy.changed",
    "toggle.set", "degraded.set",
)  # fmt: skip
_TOPICS = (Topic.HEALTH, Topic.BREAKERS, Topic.BULKHEADS, Topic.TOGGLES, Topic.DEGRADED)


def changes_read(
    within: TimeRange,
    instances: Mapping[str, Mapping[str, float]],
    instances_before: Mapping[str, Mapping[str, float]],
    unheard: Collection[tuple[str, str]] = (),
) -> list[Change]:
    """What changed in a range or shortly before, by time. A restart is seen as an instance that
    was not there in the normal window, of a service that was. `unheard` are callers with what they
    call that sends no telemetry: a breaker named after it speaks of it, not of the caller.
    """
    since = within.since - LEAD
    changes = [
        *_releases(since, within.until),
        *_journal(since, within.until, unheard),
        *_restarts(instances, instances_before),
    ]
    return sorted(changes, key=lambda each: (each.at, each.service))


def _clock(at: datetime | float) -> str:
    moment = datetime.fromtimestamp(at, UTC) if isinstance(at, float) else at.astimezone(UTC)
    return f"{moment:%H:%M:%S} UTC"


def _releases(since: datetime, until: datetime) -> Iterable[Change]:
    # The first version of a service that is new itself replaced nothing.
    earlier = Release.objects.filter(
        service=OuterRef("service"), first_seen__lt=OuterRef("first_seen")
    ).exclude(version=OuterRef("version"))
    new = Release.objects.filter(Exists(earlier), first_seen__gte=since, first_seen__lt=until)
    for release in new.order_by("first_seen")[:MOST_ENTRIES]:
        yield Change(
            release.service,
            "release",
            release.first_seen.timestamp(),
            f"version {release.version} was first seen at {_clock(release.first_seen)}",
        )


def _restarts(
    instances: Mapping[str, Mapping[str, float]], before: Mapping[str, Mapping[str, float]]
) -> Iterable[Change]:
    for service, seen in instances.items():
        known = before.get(service)
        if not known:
            continue
        for instance, at in sorted(seen.items()):
            if instance not in known:
                text = (
                    f"instance {instance[:60]} spoke first at {_clock(at)}; in the normal window "
                    f"{len(known)} other{'' if len(known) == 1 else 's'} did"
                )
                yield Change(service, "restart", at, text)


def _journal(
    since: datetime, until: datetime, unheard: Collection[tuple[str, str]]
) -> Iterable[Change]:
    entries = JournalEntry.objects.filter(
        at__gte=since, at__lt=until, topic__in=_TOPICS, kind__in=_KINDS
    ).order_by("id")[:MOST_ENTRIES]
    for entry in entries:
        found = _words(entry)
        if found is not None and entry.service:
            service, (kind, text, link) = entry.service, found
            if kind == "breaker" and (behind := _behind(entry, unheard)) is not None:
                kind, text, service = CALLERS_BREAKER, f"{text} in {service}", behind
            at = entry.at.timestamp()
            yield Change(service, kind, at, f"{text} at {_clock(entry.at)}", link)


def _behind(entry: JournalEntry, unheard: Collection[tuple[str, str]]) -> str | None:
    """The silent service that a caller's breaker is named after, None where there is none."""
    called = {_plain(callee): callee for caller, callee in unheard if caller == entry.service}
    return called.get(_plain(str(entry.payload.get("name", ""))))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _words(entry: JournalEntry) -> tuple[str, str, str] | None:
    """Kind of change, what happened, and where to look; None for changes to the better."""
    payload = entry.payload
    name = payload.get("name", "")
    reason = f' ("{str(payload["reason"])[:80]}")' if payload.get("reason") else ""
    if entry.kind == "failure_confirmed":
        check = payload["check"]["name"]
        return "health", f"the failure of check {check} was confirmed", _link("health:board")
    if entry.kind == "state_changed":
        if entry.state not in ("down", "degraded") or payload.get("culprit") not in (None, name):
            return None
        return "health", f"check {name} became {entry.state}", _link("health:board")
    if entry.kind == "breaker.transition":
        if entry.state != "open":
            return None
        text = f"breaker {name} opened{_why_it_opened(payload)}"
        return "breaker", text, _link("breakers", entry.service)
    if entry.topic == Topic.BULKHEADS:
        text = f"bulkhead {name} got other limits{reason}"
        return "config", text, _link("bulkheads", entry.service)
    if entry.kind in ("override.set", "policy.changed"):
        what = "was overridden" if entry.kind == "override.set" else "got another policy"
        return "config", f"breaker {name} {what}{reason}", _link("breakers", entry.service)
    if entry.kind == "toggle.set":
        return "config", f"toggle {entry.key} was set{reason}", _link("toggles")
    return "config", f"degraded mode became {entry.state}{reason}", _link("degraded")


def _why_it_opened(payload: Mapping[str, Any]) -> str:
    reason = str(payload.get("reason") or "")[:80]
    return f" ({reason_words(reason, str(payload.get('from_state')))})" if reason else ""


def _link(page: str, service: str = "") -> str:
    return reverse(page) + (query_with(QueryDict(), service=service) if service else "")
