"""Rows of the access table for alerts, incidents and reports."""

from __future__ import annotations

from resilience_site.core.choices import Scope
from tests.core.access import Api, Row

ALERTING = [
    *(
        Row(
            "POST",
            f"/api/v1/alerts/inbound/{sender}",
            f"/api/v1/alerts/inbound/{sender}",
            Api(Scope.OPERATE),
        )
        for sender in ("alertmanager", "grafana")
    ),
]

ALERTING_PAGES: list[Row] = []
