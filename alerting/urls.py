"""Paths of the screens of alerts and incidents."""

from __future__ import annotations

from django.urls import path

from alerting.views import inbound, incident_forms, incidents, reports

urlpatterns = [
    path("alerts/inbound", inbound.inbound, name="inbound-alerts"),
    path("incidents", incidents.incidents, name="incidents"),
    path("incidents/<uuid:incident_id>", incidents.incident, name="incident"),
    path(
        "incidents/<uuid:incident_id>/text/<slug:form>",
        incidents.incident_text,
        name="incident-text",
    ),
    *(
        path(f"incidents/<uuid:incident_id>/{act}", view, name=f"incident-{act}")
        for act, view in (
            ("acknowledge", incident_forms.acknowledge),
            ("assign", incident_forms.assign),
            ("note", incident_forms.note),
            ("publish", incident_forms.publish),
            ("resolve", incident_forms.resolve),
        )
    ),
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
