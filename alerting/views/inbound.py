"""How other systems' alerts come here, and what has come of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alerting.domain.inbound.names import SERVICE_LABELS
from alerting.selectors.inbound import senders_heard
from alerting.services.inbound import SOURCES
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.screens import is_partial

_WEEK: Final = timedelta(days=7)


@require_GET
@require_role(Role.VIEWER)
def inbound(request: HttpRequest) -> HttpResponse:
    """What to paste into Alertmanager and Grafana, and what has come of each."""
    cursor = journal.latest_cursor()
    context = {
        "live_cursor": cursor,
        "senders": senders_heard(SOURCES, datetime.now(UTC) - _WEEK),
        "hours": config.resilience_inbound_alert_hours,
        "labels": SERVICE_LABELS,
    }
    part = "_senders" if is_partial(request) else "page"
    return render(request, f"alerting/inbound/{part}.html", context)
