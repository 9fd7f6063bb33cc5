"""Keeping what an objective said, so that the time before a change is judged by it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import connection

from analytics.models import Slo

_KEEP: Final = """
INSERT INTO analytics_formerslo
    (slo_id, since, until, objective, window_days, threshold_ms, min_bad, enabled)
SELECT id, changed_at, %s, objective, window_days, threshold_ms, min_bad, enabled
FROM analytics_slo WHERE id = %s
"""


def former_keep(slo: Slo, until: datetime) -> None:
    """Keep the terms that are stored of an objective, which is about to be saved with others."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [until, slo.id])
