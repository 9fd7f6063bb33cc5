"""Paths of the screens of self-healing."""

from __future__ import annotations

from django.urls import path

from healing.views import (
    acts,
    guards,
    home,
    now,
    runs,
    targets,
    workflow_forms,
    workflows,
)
from resilience_site.core import converters  # noqa: F401  # registers `anything`

urlpatterns = [
    path("healing", home.home, name="healing"),
    path("healing/now", now.now, name="healing-now"),
    path("healing/switch", guards.switch, name="healing-switch"),
    path(
        "healing/quarantine/<uuid:quarantine_id>/release",
        guards.release,
        name="healing-quarantine-release",
    ),
    path("healing/workflows", workflows.workflows, name="healing-workflows"),
    path("healing/workflows/new", workflow_forms.workflow_new, name="healing-workflow-new"),
    path("healing/workflows/<slug:name>", workflows.workflow, name="healing-workflow"),
    *(
        path(f"healing/workflows/<slug:name>/{act}", view, name=f"healing-workflow-{act}")
        for act, view in (
            ("edit", workflow_forms.workflow_edit),
            ("mode", workflow_forms.workflow_mode),
            ("enabled", workflow_forms.workflow_enabled),
            ("delete", workflow_forms.workflow_remove),
        )
    ),
    path("healing/targets", targets.targets, name="healing-targets"),
    path("healing/targets/new", targets.target_new, name="healing-target-new"),
    path(
        "healing/targets/edit/<anything:service>", targets.target_edit, name="healing-target-edit"
    ),
    path(
        "healing/targets/delete/<anything:service>",
        targets.target_remove,
        name="healing-target-delete",
    ),
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
