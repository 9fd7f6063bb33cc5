"""Paths of the health screens."""

from __future__ import annotations

from django.urls import path

from health.views import acts, board, check, figures, incidents

app_name = "health"

urlpatterns = [
    path("health", board.board, name="board"),
    path("health/checks/<uuid:check_id>", check.check, name="check"),
    path("health/checks/<uuid:check_id>/latency.json", figures.latency, name="check_latency"),
    path("health/checks/<uuid:check_id>/run", acts.run, name="check_run"),
    path("health/checks/<uuid:check_id>/pause", acts.pause, name="check_pause"),
    path("health/checks/<uuid:check_id>/resume", acts.resume, name="check_resume"),
    path("health/incidents", incidents.incidents, name="incidents"),
    path("health/incidents/new", incidents.incident_new, name="incident_new"),
    path("health/incidents/<uuid:incident_id>", incidents.incident, name="incident"),
    path(
        "health/incidents/<uuid:incident_id>/update",
        incidents.incident_update,
        name="incident_update",
    ),
    path(
        "health/incidents/<uuid:incident_id>/resolve",
        incidents.incident_resolve,
        name="incident_resolve",
    ),
    path("health/incidents/<uuid:incident_id>/edit", incidents.incident_edit, name="incident_edit"),
    path(
        "health/incidents/updates/<uuid:update_id>/edit",
        incidents.update_edit,
        name="incident_update_edit",
    ),
    path(
        "health/incidents/updates/<uuid:update_id>/delete",
        incidents.update_delete,
        name="incident_update_delete",
    ),
]
