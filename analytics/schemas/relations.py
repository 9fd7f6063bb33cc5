"""What precedes what, in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Schema

from analytics.choices import DirectedBy, PatternState


class PatternShortOut(Schema):
    """A pattern as others refer to it."""

    id: UUID
    service: str
    type: str
    template: str
    state: PatternState


class RelationOut(Schema):
    """That spells of one pattern are followed by spells of another, over the range `since` to `until`.

    `support` counts the `before_spells` that were followed within `within_seconds`, `confidence` is
    their share, `expected` the share by chance, `lift` the one over the other.
    """

    before_id: UUID
    after_id: UUID
    support: int
    confidence: float
    lift: float
    lag_seconds: float
    before_spells: int
    after_spells: int
    expected: float
    within_seconds: int
    directed_by: DirectedBy
    since: datetime
    until: datetime


class RelatedOut(RelationOut):
    """`pattern` is the other one; `order` says whether it comes before or after."""

    order: Literal["before", "after"]
    pattern: PatternShortOut


class PatternSeenOut(PatternShortOut):
    """A pattern with its errors in the range asked for."""

    count: int
    first_seen: datetime
    last_seen: datetime


class RelationsOut(Schema):
    """`patterns` had errors in the range; `relations` are those found over the last day, of which
    `left_out` were too many to list."""

    since: datetime
    until: datetime
    patterns: list[PatternSeenOut]
    relations: list[RelationOut]
    left_out: int
