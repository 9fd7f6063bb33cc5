"""Paths of the screens of alerts and incidents."""

from __future__ import annotations

from django.urls import path

from alerting.views import reports

urlpatterns = [
    path("reports", reports.reports, name="reports"),
    path("reports/new", reports.report_new, name="report-make"),
    path("reports/<uuid:report_id>", reports.report, name="resilience-report"),
    path("reports/<uuid:report_id>/mail", reports.report_mail, name="report-mail"),
    path(
        "reports/channels/<uuid:channel_id>",
        reports.report_subscription,
        name="report-subscription",
    ),
]
