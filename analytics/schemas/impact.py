"""What an error or a pattern touched, in the API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Schema


class BudgetOut(Schema):
    """The budget of `service`: `calls` in `days` days at `target` allow `allowed` failures, of which
    `failed` are those here. It is that of the objective `slo_id`, by the site's target where that is
    null; of one that is measured by checks all are seconds (`unit`)."""

    service: str
    days: int
    target: float
    calls: int
    allowed: float
    failed: int
    unit: str
    slo_id: UUID | None


class ImpactOut(Schema):
    """What errors touched in a range.

    `share_of_traffic` is `requests` per `calls` of `service`, `error_budget_spent` the share of the
    budget of its objective; both are null without calls. `users` is null where nothing names any. Where
    `approximate`, users, tiers, services and served_degraded are those of the newest `examined`
    requests alone, and of more than 20,000 errors the newest count. `blast_radius` are the services
    that depend on `service`.
    """

    since: datetime
    until: datetime
    service: str
    errors: int
    requests: int
    examined: int
    approximate: bool
    users: int | None
    tiers: list[str]
    requests_by_tier: dict[str, int]
    services: list[str]
    calls: int
    share_of_traffic: float | None
    error_budget_spent: float | None
    budget: BudgetOut
    blast_radius: list[str]
    served_degraded: int
