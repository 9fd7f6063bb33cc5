"""Services and the calls between them in the API."""

from __future__ import annotations

from datetime import datetime

from ninja import Schema


class FiguresOut(Schema):
    """Calls in a window; rates per second, ratios 0..1, durations in milliseconds."""

    window_seconds: float
    calls: int
    errors: int
    rate: float
    error_ratio: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ServiceOut(Schema):
    name: str
    environment: str
    version: str
    language: str
    criticality: str
    first_seen: datetime
    last_seen: datetime
    figures: FiguresOut


class EdgeOut(FiguresOut):
    caller: str
    callee: str


class MapOut(Schema):
    since: datetime
    until: datetime
    edges: list[EdgeOut]
