"""Patterns that people put together, and part again.

A merge is kept as a link from a pattern to the one that it was put into; `merged_into` follows the
links to their end, so that it never chains. A pattern that brought members of its own takes them
along, and back when it is parted. What a person parted, the machine leaves apart.

The journal is told `pattern.merged` and `pattern.parted` (topic patterns, key the pattern that is
shown), each with the payload `{"pattern_id", "into_id", "origin", "reason"}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from analytics.choices import MergeOrigin
from analytics.domain.fingerprints import OTHERS_RULE
from analytics.models import ErrorPattern, PatternMerge
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.choices import Topic
from resilience_site.core.problems import Conflict, Invalid

# That of `pattern_merging`: whoever changes what is together waits for the other.
_LOCK = 0x6D65726765


def pattern_merge(
    *, pattern_id: UUID, into_id: UUID, actor: Actor, reason: str, now: datetime
) -> ErrorPattern:
    """Show a pattern as part of another one; returns that one, or what it is part of itself.

    Doing so again changes nothing. Raises `ErrorPattern.DoesNotExist` for the first, `Invalid` where
    the second is not there, is of another service or either is of all kinds, and `Conflict` where
    the first is part of a third one, or the second of the first.
    """
    with transaction.atomic():
        _lock()
        pattern, into = _both(pattern_id, into_id)
        if OTHERS_RULE in (pattern.rule, into.rule):
            raise Invalid.field(
                "body.into",
                "Errors for whose patterns there was no room have nothing in common: they stay by "
                "themselves.",
            )
        root_id = into.merged_into or into.id
        if root_id == pattern.id:
            raise Conflict(
                "These are together already, the other way round: part them first."
                if into.id != pattern.id
                else "A pattern cannot become part of itself.",
                current={"merged_into": into.merged_into},
                proposed={"into": into_id},
            )
        if pattern.merged_into == root_id:
            return ErrorPattern.objects.get(id=root_id)
        if pattern.merged_into is not None:
            raise Conflict(
                f"This pattern is part of {pattern.merged_into} already: part them first.",
                current={"merged_into": pattern.merged_into},
                proposed={"into": into_id},
            )
        if pattern.service != into.service:
            raise Invalid.field(
                "body.into",
                f"Patterns of different services stay apart: {pattern.service}, {into.service}.",
            )
        PatternMerge.objects.create(
            pattern_id=pattern.id, into_id=root_id, origin=MergeOrigin.PERSON, reason=reason,
            actor=actor.name, made_at=now, undone_by="",
        )  # fmt: skip
        _show_as(root_id, [pattern.id], family=pattern.id)
        root = ErrorPattern.objects.get(id=root_id)
        _record(pattern, root, "merge", actor, reason, None, str(root_id))
        journal.append(_entries("pattern.merged", pattern, root, MergeOrigin.PERSON, reason))
    return root


def pattern_unmerge(*, pattern_id: UUID, actor: Actor, reason: str, now: datetime) -> ErrorPattern:
    """Part a pattern from the one that it is shown as part of, whoever put them together.

    Raises `ErrorPattern.DoesNotExist`, and `Conflict` where it is part of none.
    """
    with transaction.atomic():
        _lock()
        pattern = ErrorPattern.objects.get(id=pattern_id)
        if pattern.merged_into is None:
            raise Conflict(
                "This pattern is not part of another one.",
                current={"merged_into": None},
                proposed={"merged_into": None},
            )
        root = ErrorPattern.objects.get(id=pattern.merged_into)
        standing = PatternMerge.objects.filter(pattern_id=pattern.id, undone_at__isnull=True)
        origin = standing.values_list("origin", flat=True).first() or MergeOrigin.PERSON
        standing.update(undone_at=now, undone_by=actor.name)
        own = _brought_along(pattern.id)
        _show_as(None, [pattern.id])
        _show_as(pattern.id, own)
        pattern.merged_into = None
        _record(pattern, root, "unmerge", actor, reason, str(root.id), None)
        journal.append(_entries("pattern.parted", pattern, root, origin, reason))
    return pattern


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _both(pattern_id: UUID, into_id: UUID) -> tuple[ErrorPattern, ErrorPattern]:
    pattern = ErrorPattern.objects.get(id=pattern_id)
    try:
        return pattern, ErrorPattern.objects.get(id=into_id)
    except ErrorPattern.DoesNotExist:
        raise Invalid.field("body.into", f"There is no pattern {into_id}.") from None


def _show_as(into: UUID | None, ids: Iterable[UUID], family: UUID | None = None) -> None:
    """Let patterns, and those that are shown as part of `family`, be shown as part of one."""
    wanted = Q(id__in=list(ids))
    if family is not None:
        wanted |= Q(merged_into=family)
    # Locked in the order of ids, as ingest does.
    rows = ErrorPattern.objects.select_for_update().filter(wanted).order_by("id")
    ErrorPattern.objects.filter(id__in=[row.id for row in rows]).update(merged_into=into)


def _brought_along(pattern_id: UUID) -> set[UUID]:
    """The patterns whose standing links lead to this one."""
    found: set[UUID] = set()
    ends = {pattern_id}
    while ends:
        links = PatternMerge.objects.filter(into_id__in=ends, undone_at__isnull=True)
        ends = set(links.values_list("pattern_id", flat=True)) - found - {pattern_id}
        found |= ends
    return found


def _record(
    pattern: ErrorPattern,
    root: ErrorPattern,
    verb: str,
    actor: Actor,
    reason: str,
    before: str | None,
    after: str | None,
) -> None:
    audit_record(
        actor=actor,
        action=f"pattern.{verb}",
        object_type="pattern",
        object_id=str(pattern.id),
        reason=reason,
        before={"merged_into": before},
        after={"merged_into": after, "with": str(root.id)},
    )


def _entries(
    kind: str, pattern: ErrorPattern, root: ErrorPattern, origin: str, reason: str
) -> list[journal.Entry]:
    payload: dict[str, Any] = {
        "pattern_id": str(pattern.id),
        "into_id": str(root.id),
        "origin": str(origin),
        "reason": reason,
    }
    # An open page of either listens to its own key.
    return [
        journal.Entry(Topic.PATTERNS, kind, str(root.id), str(root.state), root.service, payload),
        journal.Entry(
            Topic.PATTERNS, "pattern.seen", str(pattern.id), str(pattern.state), pattern.service
        ),
    ]
