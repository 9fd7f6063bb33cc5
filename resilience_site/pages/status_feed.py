"""The feed of the public status page: what is told of, each under one identity for good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.utils.feedgenerator import Rss201rev2Feed

from breakers.choices import Level
from breakers.selectors.notices import PublicNotice
from health.choices import IncidentStage
from health.selectors.public import IncidentTold, MaintenanceTold
from resilience_site.pages.public_status import PublicPage

LEVELS: Final[dict[str, str]] = {
    Level.REDUCED: "reduced service",
    Level.ESSENTIAL: "essential functions only",
    Level.OFFLINE: "unavailable",
}


class Feed(Rss201rev2Feed):
    """A feed that says when its content changed last; Django's would say now while it is empty."""

    built_at: datetime

    def latest_post_date(self) -> datetime:
        return self.built_at


@dataclass(frozen=True)
class _Entry:
    """One item; `identity` stays the same whatever becomes of it, `anchor` is its place on the
    page."""

    title: str
    text: str
    at: datetime
    changed_at: datetime
    identity: str
    anchor: str
    category: str


def add_entries(feed: Feed, page: PublicPage, address: str) -> None:
    """Put all that `page` tells of into `feed`, last begun first; `address` is the page's own."""
    entries = [*_notices(page), *_incidents(page), *_maintenance(page)]
    for entry in sorted(entries, key=lambda each: (each.at, each.identity), reverse=True):
        feed.add_item(
            title=entry.title,
            link=f"{address}#{entry.anchor}",
            description=entry.text,
            pubdate=entry.at,
            updateddate=entry.changed_at,
            unique_id=entry.identity,
            unique_id_is_permalink=False,
            categories=[entry.category],
        )


def _notices(page: PublicPage) -> Iterator[_Entry]:
    for notice in (*page.notices.current, *page.notices.past):
        yield _Entry(
            title=f"{notice.name}: {LEVELS.get(notice.level, notice.level)}",
            text=f"{notice.text} ({_times(notice)})".strip(),
            at=notice.started_at,
            changed_at=notice.changed_at,
            identity=notice.id.urn,
            anchor=f"n-{notice.id}",
            category="resolved" if notice.ended_at else "ongoing",
        )


def _incidents(page: PublicPage) -> Iterator[_Entry]:
    for incident in page.incidents:
        named = f" ({', '.join(incident.services)})" if incident.services else ""
        steps = [
            f"{_minute(each.at)}, {IncidentStage(each.stage).label}: {each.text}"
            for each in incident.updates
        ]
        yield _Entry(
            title=f"Incident: {incident.title}{named}",
            text="\n\n".join([*steps, _times(incident)]),
            at=incident.started_at,
            changed_at=incident.changed_at,
            identity=incident.id.urn,
            anchor=f"i-{incident.id}",
            category="resolved" if incident.ended_at else "ongoing",
        )


def _maintenance(page: PublicPage) -> Iterator[_Entry]:
    plan = page.maintenance
    for category, spans in (
        ("ongoing", plan.under_way), ("scheduled", plan.upcoming), ("resolved", plan.past),
    ):  # fmt: skip
        for span in spans:
            yield _Entry(
                title=f"Maintenance{_of(span)}",
                text=f"{span.text} (From {_minute(span.started_at)} to {_minute(span.ended_at)})",
                at=min(span.started_at, span.announced_at),
                changed_at=span.changed_at,
                identity=f"urn:maintenance:{span.key}",
                anchor=f"m-{span.key}",
                category=category,
            )


def _of(span: MaintenanceTold) -> str:
    if span.everything:
        return ": all services"
    return f": {', '.join(span.services)}" if span.services else ""


def _times(told: PublicNotice | IncidentTold) -> str:
    if told.ended_at is None:
        return f"Ongoing since {_minute(told.started_at)}"
    return f"From {_minute(told.started_at)} to {_minute(told.ended_at)}"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
