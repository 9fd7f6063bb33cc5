"""The public status page with its feed and its JSON: what users may know.

It asks for no login and no script, and reads the store at most once a second, whoever asks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.feedgenerator import Rss201rev2Feed
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from breakers.choices import Level
from breakers.selectors.notices import PublicNotice, PublicStatus, public_status
from resilience_site.core.formatting import machine
from resilience_site.core.problems import Unavailable, problem_response
from resilience_site.probes.remember import Remembered, StillWaitingError

READ_SECONDS: Final = 1
MAX_AGE: Final = 2
# A notice is to be seen within five seconds on a page that stays open, too.
REFRESH_SECONDS: Final = 3
RETRY_AFTER: Final = 10
_FEED_TYPE: Final = "application/rss+xml; charset=utf-8"


@dataclass(frozen=True)
class Summary:
    """The whole in one word for machines and one sentence for people."""

    word: str
    sentence: str
    tone: str
    icon: str


_OUTAGE: Final = Summary("partial_outage", "Partial outage", "bad", "x-circle")
SUMMARIES: Final[dict[str, Summary]] = {
    Level.NORMAL: Summary("operational", "All systems operational", "ok", "check-circle"),
    Level.REDUCED: Summary("degraded", "Degraded service", "warn", "exclamation-triangle"),
    Level.ESSENTIAL: _OUTAGE,
    Level.OFFLINE: _OUTAGE,
}
LEVELS: Final[dict[str, str]] = {
    Level.REDUCED: "reduced service",
    Level.ESSENTIAL: "essential functions only",
    Level.OFFLINE: "unavailable",
}


@dataclass(frozen=True)
class _Reading:
    """What the store said at a moment; None where it did not answer."""

    at: datetime
    status: PublicStatus | None


def _read() -> _Reading:
    now = datetime.now(UTC)
    try:
        return _Reading(now, public_status(now))
    except (DatabaseError, InterfaceError):
        # Remembered like an answer: a store that is down is not asked by each visitor.
        return _Reading(datetime.now(UTC), None)


_remembered = Remembered(_read, seconds=READ_SECONDS)


def forget() -> None:
    """Read the store anew at the next request."""
    _remembered.forget()


def _reading() -> _Reading:
    try:
        return _remembered.get()
    except StillWaitingError:
        return _Reading(datetime.now(UTC), None)


@require_safe
def status_page(request: HttpRequest) -> HttpResponseBase:
    """The page, or its facts as JSON for those who accept only that."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response = status_json(request)
        response.headers["Vary"] = "Accept"
        return response
    reading = _reading()
    refresh = {
        "refreshing": request.GET.get("refresh") != "off",
        "refresh_seconds": REFRESH_SECONDS,
    }
    if reading.status is None:
        response = HttpResponse(render_to_string("status/unreadable.html", refresh), status=503)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        response.headers["Cache-Control"] = "no-store"
    else:
        html = render_to_string(
            "status/page.html",
            {
                "summary": SUMMARIES[reading.status.level],
                "status": reading.status,
                "at": reading.at,
                **refresh,
            },
        )
        response = _cacheable(request, HttpResponse(html))
    response.headers["Vary"] = "Accept"
    return response


@require_safe
def status_json(request: HttpRequest) -> HttpResponseBase:
    """The same facts for machines."""
    reading = _reading()
    if reading.status is None:
        return problem_response(_unavailable(), request.path)
    summary = SUMMARIES[reading.status.level]
    document = {
        "status": summary.word,
        "sentence": summary.sentence,
        "updated_at": machine(_minute(reading.at)),
        "notices": [_notice(notice) for notice in reading.status.current],
        "past_notices": [_notice(notice) for notice in reading.status.past],
    }
    body = orjson.dumps(document)
    return _cacheable(request, HttpResponse(body, content_type="application/json"))


@require_safe
def status_feed(request: HttpRequest) -> HttpResponseBase:
    """The notices as RSS 2.0, last begun first; an entry keeps its identity when it ends."""
    reading = _reading()
    if reading.status is None:
        return problem_response(_unavailable(), request.path)
    page = request.build_absolute_uri(reverse("status"))
    feed = _Feed(
        title="Service status",
        link=page,
        description="Notices of degraded services",
        language="en",
        feed_url=request.build_absolute_uri(request.path),
        ttl=1,
    )
    feed.built_at = reading.status.changed_at or _minute(reading.at)
    notices = [*reading.status.current, *reading.status.past]
    for notice in sorted(notices, key=lambda each: each.started_at, reverse=True):
        feed.add_item(
            title=f"{notice.name}: {LEVELS.get(notice.level, notice.level)}",
            link=f"{page}#n-{notice.id}",
            description=f"{notice.text} ({_times(notice)})".strip(),
            pubdate=notice.started_at,
            updateddate=notice.changed_at,
            unique_id=notice.id.urn,
            unique_id_is_permalink=False,
            categories=["resolved" if notice.ended_at else "ongoing"],
        )
    response = HttpResponse(feed.writeString("utf-8"), content_type=_FEED_TYPE)
    return _cacheable(request, response, reading.status.changed_at)


class _Feed(Rss201rev2Feed):
    """A feed that says when its content changed last; Django's would say now while it is empty."""

    built_at: datetime

    def latest_post_date(self) -> datetime:
        return self.built_at


def _times(notice: PublicNotice) -> str:
    began = f"{notice.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if notice.ended_at is None:
        return f"Ongoing since {began}"
    return f"From {began} to {notice.ended_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _notice(notice: PublicNotice) -> dict[str, Any]:
    return {
        "id": str(notice.id),
        "name": notice.name,
        "level": notice.level,
        "text": notice.text,
        "started_at": machine(notice.started_at),
        "ended_at": None if notice.ended_at is None else machine(notice.ended_at),
    }


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
