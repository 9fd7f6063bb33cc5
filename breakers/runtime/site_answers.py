"""What the site says of errors: its chains, patterns and impact, as the correlator's own classes.

An answer that is not as documented counts as none (`SiteSilent`): a newer site may say it otherwise.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from breakers.runtime.error_events import (
    LONGEST_TEXT,
    CorrelatedErrors,
    ErrorEvent,
    ErrorPattern,
    ImpactReport,
    Precedence,
)
from breakers.runtime.site_reader import SiteReader, SiteSilent

# Of one question; each is a request.
MOST_CHAINS = 20
_AT_ONCE = 5
# One failure is told of by this process and by telemetry at not quite the same moment.
_SAME = timedelta(seconds=5)

T = TypeVar("T")


@contextmanager
def as_documented(what: str) -> Any:
    """Take an answer without the fields that it should have as no answer."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SiteSilent(f"the site's answer about {what} is not as expected ({error!r})") from None


def _event(found: Mapping[str, Any]) -> ErrorEvent:
    return ErrorEvent(
        type=str(found["type"]),
        message=str(found["message"])[:LONGEST_TEXT],
        occurred_at=datetime.fromisoformat(found["occurred_at"]),
        correlation_id=found["correlation_id"] or "",
        service=found["service"],
        operation=found["operation"],
        context=found["attributes"],
        id=str(found["id"]),
        trace_id=found["trace_id"] or "",
        span_id=found["span_id"] or "",
    )


async def chains(reader: SiteReader, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The site's chains of trace or correlation ids, by id; those that it does not know are left
    out. Raises SiteSilent."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def ask(key: str) -> Mapping[str, Any] | None:
        async with limit:
            return await reader.get(f"chains/{key}")

    answers = await asyncio.gather(*(ask(key) for key in keys[:MOST_CHAINS]))
    return {key: found for key, found in zip(keys, answers, strict=False) if found is not None}


def widened(group: CorrelatedErrors, found: Mapping[str, Any]) -> CorrelatedErrors:
    """The group with what the site knows of its chain: errors of other services, and the cause."""
    with as_documented("a chain"):
        told = [_event(each) for each in found["events"]]
        root = found["root_cause"] and _event(found["root_cause"])
    own = [_same(each, group.events) or each for each in told]
    events = {event.id: event for event in (*group.events, *own)}
    known = root and (_same(root, group.events) or root)
    ordered = sorted(events.values(), key=lambda event: event.occurred_at)
    return replace(group, events=tuple(ordered), known_root=known)


def _same(told: ErrorEvent, events: Iterable[ErrorEvent]) -> ErrorEvent | None:
    """The event of this process that the site's is about, if any."""
    for event in events:
        if (
            _bare(event.type) == _bare(told.type)
            and event.service in ("", told.service)
            and abs(event.occurred_at - told.occurred_at) <= _SAME
        ):
            return event
    return None


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


async def patterns(
    reader: SiteReader, since: datetime, operations: Callable[[str], tuple[str, ...]]
) -> list[ErrorPattern]:
    """The patterns of all services since then, most frequent first; `operations` are those that
    this process knows of a type. Raises SiteSilent."""
    found = await reader.get("relations", since=since.isoformat())
    if found is None:
        raise SiteSilent(f"{reader.url} knows no relations of patterns: it is an older version")
    with as_documented("patterns"):
        before: dict[str, list[Precedence]] = defaultdict(list)
        for each in found["relations"]:
            before[each["after_id"]].append(
                Precedence(each["before_id"], each["confidence"], each["lift"], each["lag_seconds"])
            )
        return [
            ErrorPattern(
                type=each["type"],
                template=each["template"],
                count=each["count"],
                first_seen=datetime.fromisoformat(each["first_seen"]),
                last_seen=datetime.fromisoformat(each["last_seen"]),
                operations=operations(_bare(each["type"])),
                id=each["id"],
                service=each["service"],
                state=each["state"],
                preceded_by=tuple(before[each["id"]]),
                source="site",
            )
            for each in found["patterns"]
        ]


async def stored(reader: SiteReader, error: ErrorEvent) -> ErrorEvent | None:
    """The site's record of an error that this process tracked, by its ids. Raises SiteSilent."""
    query = {"limit": "100", "since": (error.occurred_at - _SAME).isoformat()}
    if error.trace_id:
        query["trace_id"] = error.trace_id
    elif error.correlation_id:
        query["correlation_id"] = error.correlation_id
    else:
        return None
    found = await reader.get("errors", **query)
    with as_documented("errors"):
        told = [_event(each) for each in (found or {"items": []})["items"]]
    return next((each for each in told if _same(each, [error])), None)


async def impact(reader: SiteReader, error_id: str, local: ImpactReport | None) -> ImpactReport:
    """The site's report about one of its errors, with what this process adds.

    Raises SiteSilent, and KeyError where the site knows no such error.
    """
    found, error = await asyncio.gather(
        reader.get(f"errors/{error_id}/impact"), reader.get(f"errors/{error_id}")
    )
    if found is None or error is None:
        raise KeyError(f"no error with the id {error_id!r} is known, neither here nor to the site")
    with as_documented("impact"):
        told = _event(error)
        return ImpactReport(
            error=local.error if local else told,
            related=local.related if local else (),
            services=tuple(found["services"]),
            operations=local.operations if local else tuple(filter(None, [told.operation])),
            requests=found["requests"],
            users=found["users"],
            tiers=tuple(found["tiers"]),
            share_of_traffic=found["share_of_traffic"],
            error_budget_spent=found["error_budget_spent"],
            blast_radius=tuple(found["blast_radius"]),
            served_degraded=found["served_degraded"],
            source="site",
        )
