"""Patterns of errors, what people decide about them, and which are shown as one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ninja import Query, Router

from analytics.api.errors import DEFAULT_RANGE
from analytics.models import ErrorPattern
from analytics.schemas.patterns import (
    DecisionIn,
    IgnoreIn,
    MergeIn,
    PatternDetailOut,
    PatternOut,
    PatternQuery,
    ResolveIn,
    TrendOut,
)
from analytics.selectors import errors, patterns
from analytics.selectors.pattern_families import family_ids
from analytics.selectors.pattern_history import pattern_week
from analytics.selectors.pattern_releases import pattern_releases, version_span
from analytics.selectors.pattern_why import PatternWhy, pattern_why
from analytics.selectors.rollups import pattern_counts
from analytics.services.pattern_decisions import Terms, pattern_decide
from analytics.services.pattern_merges import pattern_merge, pattern_unmerge
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import TimeRange, parse_range

_TREND_BINS = 24
# Of the errors that examples of what varies come from.
_EXAMPLES = 50
_READ, _OPERATE = ApiAuth(Scope.READ), ApiAuth(Scope.OPERATE)

router = Router(tags=["patterns"])


def _patterns_out(found: list[ErrorPattern]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    day = TimeRange(now - DEFAULT_RANGE, now)
    ids = [pattern.id for pattern in found]
    counts = pattern_counts(ids, day, _TREND_BINS)
    spans = version_span(ids)
    return [
        {
            **{name: getattr(pattern, name, None) for name in PatternOut.model_fields},
            "first_version": spans.get(pattern.id, (None, None))[0],
            "last_version": spans.get(pattern.id, (None, None))[1],
            "trend": TrendOut(window_seconds=day.length.total_seconds(), counts=counts[pattern.id]),
        }
        for pattern in found
    ]


def _pattern_out(pattern_id: UUID) -> dict[str, Any]:
    return _patterns_out([_found(lambda: patterns.pattern_get(pattern_id), pattern_id)])[0]


def _found(read: Callable[[], ErrorPattern], pattern_id: UUID) -> ErrorPattern:
    try:
        return read()
    except ErrorPattern.DoesNotExist:
        raise NotFound(f"There is no pattern {pattern_id}.") from None


@router.get("/patterns", auth=_READ, response=PageOut[PatternOut])
def pattern_list(request: ApiRequest, query: Query[PatternQuery]) -> Page:
    """Groups of like errors, last seen first; all that are kept by default. Those that were put into
    another one stand with it."""
    within = None
    if query.since or query.until:
        within = parse_range(query.since, query.until, now=datetime.now(UTC))
    wanted = patterns.PatternFilter(query.service, query.type, query.state or "", query.q, within)
    page = patterns.pattern_list(
        wanted=wanted, sort=query.sort, limit=query.limit, cursor=query.cursor
    )
    return Page(_patterns_out(page.items), page.next_cursor)


@router.get("/patterns/{uuid:pattern_id}", auth=_READ, response=PatternDetailOut)
def pattern_detail(request: ApiRequest, pattern_id: UUID) -> dict[str, Any]:
    """One pattern: why its errors are together (`why`), and what it may do before it escalates."""
    now = datetime.now(UTC)
    pattern = _found(lambda: patterns.pattern_get(pattern_id), pattern_id)
    week = pattern_week(pattern_id, family_ids(pattern_id), pattern.first_seen, now)
    newest = errors.error_list(
        wanted=errors.ErrorFilter(pattern=pattern_id),
        within=TimeRange(now - DEFAULT_RANGE, now + timedelta(minutes=10)),
        limit=_EXAMPLES,
    )
    releases = pattern_releases([pattern_id]).get(pattern_id, [])
    return {
        **_patterns_out([pattern])[0],
        "why": _why_out(pattern_why(pattern, [error.message for error in newest.items])),
        "limit": {
            "value": week.limit.value,
            "in_hour": week.in_hour,
            "words": week.limit.words,
        },
        "versions": releases,
    }


def _why_out(why: PatternWhy) -> dict[str, Any]:
    return {
        "rule": why.rule,
        "version": why.version,
        "sentences": why.sentences,
        "exceptions": why.exceptions,
        "variables": [each._asdict() for each in why.variables],
        "members": [
            {
                **{
                    name: getattr(each.pattern, name)
                    for name in ("id", "type", "template", "count")
                },
                **{
                    name: getattr(each.merge, name, None)
                    for name in ("origin", "actor", "reason", "made_at")
                },
            }
            for each in why.members
        ],
    }


def _decide(
    request: ApiRequest, pattern_id: UUID, decision: str, body: DecisionIn | None, terms: Terms
) -> dict[str, Any]:
    _found(
        lambda: pattern_decide(
            pattern_id=pattern_id, decision=decision, actor=request.auth,
            reason=body.reason if body else "",
            now=datetime.now(UTC), terms=terms,
        ),
        pattern_id,
    )  # fmt: skip
    return _pattern_out(pattern_id)


@router.post("/patterns/{uuid:pattern_id}/resolve", auth=_OPERATE, response=PatternOut)
def pattern_resolve(
    request: ApiRequest, pattern_id: UUID, body: ResolveIn | None = None
) -> dict[str, Any]:
    """Say that a pattern is mended; a later error of it makes it regressed, where `in_version` names
    a version only one of that or of a later version."""
    terms = Terms(in_version=body.in_version) if body else Terms()
    return _decide(request, pattern_id, "resolve", body, terms)


@router.post("/patterns/{uuid:pattern_id}/ignore", auth=_OPERATE, response=PatternOut)
def pattern_ignore(
    request: ApiRequest, pattern_id: UUID, body: IgnoreIn | None = None
) -> dict[str, Any]:
    """Keep counting a pattern without calling attention to it: for a time, until so many more came,
    until it escalates, whichever is first; without any of these until it is reopened."""
    terms = Terms()
    if body:
        length = None if body.for_ is None else timedelta(seconds=body.for_)
        terms = Terms("", length, body.until_count, body.until_escalating)
    return _decide(request, pattern_id, "ignore", body, terms)


@router.post("/patterns/{uuid:pattern_id}/reopen", auth=_OPERATE, response=PatternOut)
def pattern_reopen(
    request: ApiRequest, pattern_id: UUID, body: DecisionIn | None = None
) -> dict[str, Any]:
    """Take back a resolve or an ignore."""
    return _decide(request, pattern_id, "reopen", body, Terms())


@router.post("/patterns/{uuid:pattern_id}/merge", auth=_OPERATE, response=PatternOut)
def pattern_merge_into(request: ApiRequest, pattern_id: UUID, body: MergeIn) -> dict[str, Any]:
    """Show a pattern as part of another one of its service; answers that one. It can be undone, and
    new errors of either are counted there from then on."""
    root = _found(
        lambda: pattern_merge(
            pattern_id=pattern_id, into_id=body.into, actor=request.auth, reason=body.reason,
            now=datetime.now(UTC),
        ),
        pattern_id,
    )  # fmt: skip
    return _pattern_out(root.id)


@router.post("/patterns/{uuid:pattern_id}/unmerge", auth=_OPERATE, response=PatternOut)
def pattern_part(
    request: ApiRequest, pattern_id: UUID, body: DecisionIn | None = None
) -> dict[str, Any]:
    """Part a pattern from the one that it is shown as part of; they are not put together again by
    the site itself."""
    _found(
        lambda: pattern_unmerge(
            pattern_id=pattern_id, actor=request.auth, reason=body.reason if body else "",
            now=datetime.now(UTC),
        ),
        pattern_id,
    )  # fmt: skip
    return _pattern_out(pattern_id)
