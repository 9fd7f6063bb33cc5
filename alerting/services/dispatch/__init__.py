"""From alerts that fire to deliveries in the outbox: place them in groups, tell of those due."""

from __future__ import annotations

from datetime import datetime

from alerting.services.dispatch.placing import alerts_place
from alerting.services.dispatch.telling import groups_tell
from resilience_site.config import config

__all__ = ["alerts_dispatch", "alerts_place", "groups_tell"]


def alerts_dispatch(*, now: datetime) -> None:
    """One turn of the pipeline.

    Every part of it may be run twice, by two processes at a time, or be ended anywhere: what was
    committed is complete, and what was not is done by the next turn.
    """
    alerts_place(now=now)
    if config.proactive_alerting_enabled:
        groups_tell(now=now)
