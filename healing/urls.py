"""Paths of the screens of self-healing."""

from __future__ import annotations

from django.urls import path

from healing.views import acts, home, runs

urlpatterns = [
    path("healing", home.home, name="healing"),
    path("healing/runs", runs.runs, name="healing-runs"),
    path("healing/runs/<uuid:run_id>", runs.run, name="healing-run"),
    *(
        path(f"healing/runs/<uuid:run_id>/{act}", view, name=f"healing-run-{act}")
        for act, view in (
            ("approve", acts.approve),
            ("refuse", acts.refuse),
            ("cancel", acts.cancel),
            ("rollback", acts.rollback),
        )
    ),
    path(
        "healing/opportunities/<uuid:opportunity_id>/start",
        acts.opportunity_start,
        name="healing-opportunity-start",
    ),
    path(
        "healing/opportunities/<uuid:opportunity_id>/dismiss",
        acts.opportunity_dismiss,
        name="healing-opportunity-dismiss",
    ),
]
