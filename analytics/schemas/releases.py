"""What the API says of versions of services."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Schema


class ReleaseQuery(Schema):
    since: str | None = None
    until: str | None = None
    service: str = ""


class ReleaseOut(Schema):
    """A version that appeared, and its service before and after. `folded`: it stands for all
    versions of the service beyond the limit (`limits`)."""

    service: str
    environment: str
    version: str
    folded: bool
    previous: str
    first_seen: datetime
    last_seen: datetime
    calls_before: int
    errors_before: int
    ratio_before: float | None
    calls_after: int
    errors_after: int
    ratio_after: float | None
    change: str
    p_value: float
    new_patterns: int
    pattern_ids: list[UUID]


class ReleasesOut(Schema):
    items: list[ReleaseOut]
    window_seconds: int
