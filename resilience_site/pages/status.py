"""The public status page with its feed and its JSON: what users may know.

It asks for no login and no script, and reads the store at most once a second, whoever asks.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from health.domain.public import DEGRADED, MAINTENANCE, MAJOR, OPERATIONAL, PARTIAL
from health.selectors.public import public_days
from resilience_site.core.formatting import machine
from resilience_site.core.problems import Unavailable, problem_response
from resilience_site.pages.public_status import Days, PublicPage, last_days, past_days, public_page
from resilience_site.pages.status_bars import DAYS, Bars, bars_of, legend
from resilience_site.pages.status_facts import facts
from resilience_site.pages.status_feed import Feed, add_entries
from resilience_site.probes.remember import Remembered, StillWaitingError

READ_SECONDS: Final = 1
DAYS_SECONDS: Final = 60
# A notice is to be seen within five seconds, also behind a cache and on a page that stays open:
# all three times may go by one after the other.
MAX_AGE: Final = 1
REFRESH_SECONDS: Final = 3
RETRY_AFTER: Final = 10
_FEED_TYPE: Final = "application/rss+xml; charset=utf-8"


@dataclass(frozen=True)
class Summary:
    """The whole in one sentence for people."""

    sentence: str
    tone: str
    icon: str


SUMMARIES: Final[dict[str, Summary]] = {
    OPERATIONAL: Summary("All systems operational", "ok", "check-circle"),
    MAINTENANCE: Summary("Maintenance under way", "info", "wrench-screwdriver"),
    DEGRADED: Summary("Degraded service", "warn", "exclamation-triangle"),
    PARTIAL: Summary("Partial outage", "bad", "exclamation-circle"),
    MAJOR: Summary("Major outage", "bad", "x-circle"),
}
# What is not known must not be called well.
_NOT_ALL_KNOWN: Final = Summary("No problems known", "idle", "question-mark-circle")


@dataclass(frozen=True)
class _Days:
    """The days of each public service, as seconds and as drawn bars, by public name."""

    told: Days
    bars: Mapping[str, Bars]


@dataclass(frozen=True)
class _Reading:
    """What the store said at a moment; None where it did not answer."""

    at: datetime
    page: PublicPage | None
    days: _Days


_NO_DAYS: Final = _Days({}, {})


def _read_days() -> _Days:
    now = datetime.now(UTC)
    told, days = public_days(now, DAYS), last_days(now, DAYS)
    return _Days(told, {name: bars_of(days, each, name) for name, each in told.items()})


# Bars change by the minute at most, and take more to read than all the rest.
_days = Remembered(_read_days, seconds=DAYS_SECONDS)


def read(now: datetime) -> _Reading:
    """Ask the store for all that the page tells."""
    return _Reading(now, public_page(now), _days.get())


def _read() -> _Reading:
    try:
        return read(datetime.now(UTC))
    except (DatabaseError, InterfaceError):
        # Remembered like an answer: a store that is down is not asked by each visitor.
        return _Reading(datetime.now(UTC), None, _NO_DAYS)


_remembered = Remembered(_read, seconds=READ_SECONDS)


def forget() -> None:
    """Read the store anew at the next request."""
    _days.forget()
    _remembered.forget()
    _rendered.clear()


def _reading() -> _Reading:
    try:
        return _remembered.get()
    except StillWaitingError:
        return _Reading(datetime.now(UTC), None, _NO_DAYS)


@require_safe
def status_page(request: HttpRequest) -> HttpResponseBase:
    """The page, or its facts as JSON for those who accept only that."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response = status_json(request)
        response.headers["Vary"] = "Accept"
        return response
    reading = _reading()
    refreshing = request.GET.get("refresh") != "off"
    if reading.page is None:
        html = render_to_string("status/unreadable.html", _refresh(refreshing))
        response = HttpResponse(html, status=503)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        response.headers["Cache-Control"] = "no-store"
    else:
        response = _cacheable(request, HttpResponse(_html(reading, reading.page, refreshing)))
    response.headers["Vary"] = "Accept"
    return response


def _refresh(refreshing: bool) -> dict[str, Any]:
    return {"refreshing": refreshing, "refresh_seconds": REFRESH_SECONDS}


# The last page that was rendered, with and without refreshing, and what it was made of.
_rendered: dict[bool, tuple[object, str]] = {}
_rendering = threading.Lock()


def _html(reading: _Reading, page: PublicPage, refreshing: bool) -> str:
    """The page of a reading, rendered once for everybody until what it tells is something else."""
    shown = replace(page, at=_minute(page.at))
    made_of = (shown, reading.days)
    with _rendering:
        known = _rendered.get(refreshing)
        if known is None or known[0] != made_of:
            context = {**_context(shown, reading.days.bars), **_refresh(refreshing)}
            known = (made_of, render_to_string("status/page.html", context))
            _rendered[refreshing] = known
        return known[1]


def _context(page: PublicPage, bars: Mapping[str, Bars]) -> dict[str, Any]:
    days = last_days(page.at, DAYS)
    return {
        "summary": summary_of(page),
        "counted": _counted(page),
        "page": page,
        "services": [
            # One that has just got its public name has no days for a minute.
            (service, bars.get(service.name) or bars_of(days, {}, service.name))
            for service in page.services
        ],
        "days": DAYS,
        "legend": legend(),
        "past": past_days(page),
        "at": page.at,
    }


def summary_of(page: PublicPage) -> Summary:
    """The sentence of the whole."""
    if page.state == OPERATIONAL and page.unmeasured:
        return _NOT_ALL_KNOWN
    return SUMMARIES[page.state]


def _counted(page: PublicPage) -> str:
    """What there is to read, in one line."""
    counts = (
        (len(page.open_incidents), "incident", "open"),
        (len(page.open_outages), "outage", "going on"),
        (len(page.notices.current), "notice", "in force"),
        (len(page.maintenance.under_way), "maintenance", "under way"),
    )
    parts = [
        f"{count} {noun}{'' if count == 1 or noun == 'maintenance' else 's'} {verb}"
        for count, noun, verb in counts
        if count
    ]
    if page.unmeasured:
        noun = "service" if page.unmeasured == 1 else "services"
        parts.append(f"the state of {page.unmeasured} {noun} is not known now")
    text = ", ".join(parts) or "no incident is open and no service is announced as degraded"
    return text[0].upper() + text[1:]


@require_safe
def status_json(request: HttpRequest) -> HttpResponseBase:
    """The same facts for machines."""
    reading = _reading()
    if reading.page is None:
        return problem_response(_unavailable(), request.path)
    page = reading.page
    document = {
        "status": page.state,
        "sentence": summary_of(page).sentence,
        "updated_at": machine(_minute(reading.at)),
        **facts(page, reading.days.told, last_days(reading.at, DAYS)),
    }
    body = orjson.dumps(document)
    return _cacheable(request, HttpResponse(body, content_type="application/json"))


@require_safe
def status_feed(request: HttpRequest) -> HttpResponseBase:
    """Notices, incidents and maintenance as RSS 2.0, last begun first; an entry keeps its identity
    when it changes or ends."""
    reading = _reading()
    if reading.page is None:
        return problem_response(_unavailable(), request.path)
    page, changed_at = reading.page, reading.page.changed_at
    feed = Feed(
        title="Service status",
        link=request.build_absolute_uri(reverse("status")),
        description="Incidents, maintenance and notices of degraded services",
        language="en",
        feed_url=request.build_absolute_uri(request.path),
        ttl=1,
    )
    feed.built_at = changed_at or _minute(reading.at)
    add_entries(feed, page, request.build_absolute_uri(reverse("status")))
    response = HttpResponse(feed.writeString("utf-8"), content_type=_FEED_TYPE)
    return _cacheable(request, response, changed_at)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _cacheable(
    request: HttpRequest, response: HttpResponse, changed_at: datetime | None = None
) -> HttpResponseBase:
    """The response, or 304 where the asker has it. It tells times by the minute, so that it stays
    the same for that long unless a notice changes."""
    digest = hashlib.blake2b(response.content, digest_size=12).hexdigest()
    response.headers["ETag"] = f'"{digest}"'
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE}"
    seconds = None
    if changed_at is not None:
        seconds = int(changed_at.timestamp())
        response.headers["Last-Modified"] = http_date(seconds)
    known = get_conditional_response(
        request, etag=response.headers["ETag"], last_modified=seconds, response=response
    )
    return known or response


def _unavailable() -> Unavailable:
    return Unavailable("The status cannot be read now.", retry_after=RETRY_AFTER)
