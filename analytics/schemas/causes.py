"""What the path of root causes takes and gives."""

from __future__ import annotations

from datetime import datetime

from ninja import Schema


class EvidenceOut(Schema):
    """One reason, in words; `value` and `normal` are the figure in the window and normally."""

    kind: str
    text: str
    value: float
    normal: float | None
    link: str


class SuspectOut(Schema):
    """A service that the incident may have begun in; `score` lies in 0..1."""

    service: str
    score: float
    evidence: list[EvidenceOut]


class RootCauseOut(Schema):
    """Best first. `missing` says what there was not enough data of, `folded` what was left out;
    `traces` and `baseline_traces` how many were read."""

    since: datetime
    until: datetime
    baseline_since: datetime
    baseline_until: datetime
    items: list[SuspectOut]
    missing: list[str]
    folded: str
    traces: int
    baseline_traces: int
