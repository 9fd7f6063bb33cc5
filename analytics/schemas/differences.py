"""What the API says of what changed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Schema


class DifferenceQuery(Schema):
    since: str | None = None
    until: str | None = None
    baseline_since: str | None = None
    baseline_until: str | None = None
    service: str = ""
    type: str = ""
    pattern: UUID | None = None


class ChangedSetOut(Schema):
    """A set of attributes that explains failures; `leading` ones do not overlap."""

    attributes: dict[str, str]
    also: dict[str, str]
    score: float
    leading: bool
    p_value: float
    failed: int
    total: int
    failed_before: int
    total_before: int
    share: float
    share_before: float | None
    ratio: float
    ratio_before: float | None
    contrast: float
    examples: list[str]


class LeftOutOut(Schema):
    name: str
    reason: str


class DifferenceOut(Schema):
    since: datetime
    until: datetime
    baseline_since: datetime
    baseline_until: datetime
    source: str
    failed: int
    total: int
    failed_before: int
    total_before: int
    sampled: bool
    missing: str
    left_out: list[LeftOutOut]
    items: list[ChangedSetOut]
