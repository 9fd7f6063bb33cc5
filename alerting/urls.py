"""Paths of the screens of alerts and incidents."""

from __future__ import annotations

from django.urls import path

from alerting.views import (
    alerts,
    channels,
    deliveries,
    inbound,
    incident_forms,
    incidents,
    inhibitions,
    reports,
    routes,
    rules,
    runbooks,
    silences,
    watchable,
)

urlpatterns = [
    path("alerts", alerts.alerts, name="alerts"),
    path("alerts/<uuid:alert_id>", alerts.alert, name="alert"),
    path("alerts/silences", silences.silences, name="alert-silences"),
    path("alerts/silences/new", silences.silence_new, name="alert-silence-new"),
    path("alerts/silences/<uuid:silence_id>/end", silences.silence_stop, name="alert-silence-end"),
    path("alerts/routes", routes.routes, name="alert-routes"),
    path("alerts/routes/new", routes.route_new, name="alert-route-new"),
    path("alerts/routes/<str:name>/edit", routes.route_edit, name="alert-route-edit"),
    path("alerts/routes/<str:name>/delete", routes.route_remove, name="alert-route-delete"),
    path("alerts/inhibitions/new", inhibitions.inhibition_new, name="alert-inhibition-new"),
    path("alerts/inhibitions/<slug:name>", inhibitions.inhibition, name="alert-inhibition"),
    path(
        "alerts/inhibitions/<slug:name>/edit",
        inhibitions.inhibition_edit,
        name="alert-inhibition-edit",
    ),
    path(
        "alerts/inhibitions/<slug:name>/delete",
        inhibitions.inhibition_remove,
        name="alert-inhibition-delete",
    ),
    path("alerts/inbound", inbound.inbound, name="inbound-alerts"),
    path("alerts/watchable", watchable.watchable, name="alert-watchable"),
    path("alerts/rules", rules.rules, name="alert-rules"),
    path("alerts/rules/new", rules.rule_new, name="alert-rule-new"),
    path("alerts/rules/<slug:name>", rules.rule, name="alert-rule"),
    path("alerts/rules/<slug:name>/edit", rules.rule_edit, name="alert-rule-edit"),
    path("alerts/rules/<slug:name>/switch", rules.rule_switch, name="alert-rule-switch"),
    path("alerts/rules/<slug:name>/delete", rules.rule_remove, name="alert-rule-delete"),
    path("runbooks", runbooks.runbooks, name="runbooks"),
    path("runbooks/", runbooks.runbooks_slash, name="runbooks-slash"),
    path("runbooks/<slug:name>", runbooks.runbook, name="runbook"),
    path("alerts/channels", channels.channel_rows, name="alert-channels"),
    path("alerts/channels/new", channels.channel_new, name="alert-channel-new"),
    path("alerts/channels/<uuid:channel_id>", channels.channel, name="alert-channel"),
    *(
        path(f"alerts/channels/<uuid:channel_id>/{act}", view, name=f"alert-channel-{act}")
        for act, view in (
            ("edit", channels.channel_edit),
            ("test", channels.channel_test),
            ("pause", channels.channel_pause),
            ("resume", channels.channel_resume),
            ("rotate", channels.channel_rotate),
            ("delete", channels.channel_remove),
        )
    ),
    path("alerts/deliveries", deliveries.deliveries, name="alert-deliveries"),
    path("alerts/deliveries/<uuid:delivery_id>", deliveries.delivery, name="alert-delivery"),
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
