"""What the API says of the limits of names, and of what came beyond them."""

from __future__ import annotations

from datetime import datetime

from ninja import Schema


class LimitOut(Schema):
    """A kind of names: how many of a service are kept apart (of the site, for services), which
    variable sets that ("" where none does), and what becomes of what comes beyond."""

    kind: str
    what: str
    most: int
    variable: str
    kept_as: str
    effect: str


class FoldedOut(Schema):
    """What came beyond a limit of a service: how much (`items`, of the sort `of`; null where it is
    not counted) since when, the name that came last, and what to do. `now`: in the last hour."""

    service: str
    kind: str
    most: int
    kept_as: str
    items: int | None
    of: str
    example: str
    first_at: datetime
    last_at: datetime
    now: bool
    advice: str


class LimitsOut(Schema):
    items: list[FoldedOut]
    limits: list[LimitOut]
