"""Paths of the health screens."""

from __future__ import annotations

from django.urls import path

from health.views import (
    acts,
    badges,
    board,
    check,
    check_edit,
    dependencies,
    figures,
    incidents,
    maintenance,
)
from resilience_site.core import converters  # noqa: F401  # registers `anything`

app_name = "health"

urlpatterns = [
    path("health", board.board, name="board"),
    path("health/badge/check/<uuid:check_id>.svg", badges.check_badge, name="check_badge"),
    path("health/badge/<anything:service>.svg", badges.service_badge, name="service_badge"),
    path("health/checks/new", check_edit.check_new, name="check_new"),
    path("health/checks/<uuid:check_id>", check.check, name="check"),
    path("health/checks/<uuid:check_id>/edit", check_edit.check_edit, name="check_edit"),
    path("health/checks/<uuid:check_id>/delete", check_edit.check_remove, name="check_delete"),
    path("health/checks/<uuid:check_id>/latency.json", figures.latency, name="check_latency"),
    path("health/checks/<uuid:check_id>/run", acts.run, name="check_run"),
    path("health/checks/<uuid:check_id>/pause", acts.pause, name="check_pause"),
    path("health/checks/<uuid:check_id>/resume", acts.resume, name="check_resume"),
    path("health/dependencies", dependencies.dependencies, name="dependencies"),
    path("health/dependencies/new", dependencies.dependency_new, name="dependency_new"),
    *(
        path(f"health/dependencies/<uuid:dependency_id>/{act}", view, name=f"dependency_{act}")
        for act, view in (
            ("accept", dependencies.accept),
            ("reject", dependencies.reject),
            ("remove", dependencies.remove),
        )
    ),
    path("health/maintenance", maintenance.maintenance, name="maintenance"),
    path("health/maintenance/new", maintenance.maintenance_new, name="maintenance_new"),
    *(
        path(f"health/maintenance/<uuid:maintenance_id>/{act}", view, name=f"maintenance_{act}")
        for act, view in (
            ("edit", maintenance.maintenance_edit),
            ("end", maintenance.maintenance_stop),
            ("delete", maintenance.maintenance_remove),
        )
    ),
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
