"""Rows of the access table for self-healing."""

from __future__ import annotations

from resilience_site.core.choices import Role, Scope
from tests.core.access import UUID, Api, Page, Row

_RUN = "/api/v1/healing/runs/<uuidstr:run_id>"
_OPPORTUNITY = "/api/v1/healing/opportunities/<uuidstr:opportunity_id>"
_WORKFLOW = "/api/v1/healing/workflows/<slug:name>"
_TARGET = "/api/v1/healing/targets/<anything:service>"

HEALING = [
    *(
        Row("GET", f"/api/v1/healing/{name}", f"/api/v1/healing/{name}", Api(Scope.READ))
        for name in (
            "runs",
            "opportunities",
            "workflows",
            "targets",
            "actions",
            "switch",
            "quarantine",
            "success",
            "preview",
        )
    ),
    *(
        Row("POST", f"/api/v1/healing/{name}", f"/api/v1/healing/{name}", Api(Scope.OPERATE))
        for name in ("runs", "workflows")
    ),
    Row(
        "POST",
        "/api/v1/healing/workflows/check",
        "/api/v1/healing/workflows/check",
        Api(Scope.READ),
    ),
    Row("PUT", "/api/v1/healing/switch", "/api/v1/healing/switch", Api(Scope.OPERATE)),
    Row("GET", _RUN, f"/api/v1/healing/runs/{UUID}", Api(Scope.READ)),
    *(
        Row("POST", f"{_RUN}/{act}", f"/api/v1/healing/runs/{UUID}/{act}", Api(Scope.OPERATE))
        for act in ("approve", "refuse", "cancel", "rollback", "verify")
    ),
    Row("GET", _OPPORTUNITY, f"/api/v1/healing/opportunities/{UUID}", Api(Scope.READ)),
    *(
        Row(
            "POST",
            f"{_OPPORTUNITY}/{act}",
            f"/api/v1/healing/opportunities/{UUID}/{act}",
            Api(Scope.OPERATE),
        )
        for act in ("start", "dismiss")
    ),
    Row("GET", _WORKFLOW, "/api/v1/healing/workflows/dance", Api(Scope.READ)),
    Row("PUT", _WORKFLOW, "/api/v1/healing/workflows/dance", Api(Scope.OPERATE)),
    Row("DELETE", _WORKFLOW, "/api/v1/healing/workflows/dance", Api(Scope.OPERATE)),
    *(
        Row(
            "POST",
            f"{_WORKFLOW}/{act}",
            f"/api/v1/healing/workflows/dance/{act}",
            Api(Scope.OPERATE),
        )
        for act in ("mode", "enabled")
    ),
    Row("GET", _TARGET, "/api/v1/healing/targets/planner", Api(Scope.READ)),
    Row("PUT", _TARGET, "/api/v1/healing/targets/planner", Api(Scope.OPERATE)),
    Row("DELETE", _TARGET, "/api/v1/healing/targets/planner", Api(Scope.OPERATE)),
    Row(
        "POST",
        "/api/v1/healing/quarantine/<uuidstr:quarantine_id>/release",
        f"/api/v1/healing/quarantine/{UUID}/release",
        Api(Scope.OPERATE),
    ),
]

HEALING_PAGES = [
    Row("GET", "/healing", "/healing", Page()),
    Row("GET", "/healing-of", "/healing-of", Page()),
    *(
        Row("GET", f"/healing/{name}", f"/healing/{name}", Page())
        for name in ("runs", "now", "workflows", "targets")
    ),
    Row("GET", "/healing/workflows/<slug:name>", "/healing/workflows/dance", Page()),
    *(
        Row(method, f"/healing/{name}", f"/healing/{name}", Page(Role.OPERATOR))
        for method in ("GET", "POST")
        for name in ("switch", "workflows/new", "targets/new")
    ),
    *(
        Row(
            method,
            f"/healing/workflows/<slug:name>/{act}",
            f"/healing/workflows/dance/{act}",
            Page(Role.OPERATOR),
        )
        for method in ("GET", "POST")
        for act in ("edit", "mode", "enabled", "delete")
    ),
    *(
        Row(
            method,
            f"/healing/targets/{act}/<anything:service>",
            f"/healing/targets/{act}/planner",
            Page(Role.OPERATOR),
        )
        for method in ("GET", "POST")
        for act in ("edit", "delete")
    ),
    *(
        Row(
            method,
            "/healing/quarantine/<uuid:quarantine_id>/release",
            f"/healing/quarantine/{UUID}/release",
            Page(Role.OPERATOR),
        )
        for method in ("GET", "POST")
    ),
    Row("GET", "/healing/runs/<uuid:run_id>", f"/healing/runs/{UUID}", Page()),
    *(
        Row(method, f"{route}/{act}", f"{path}/{act}", Page(Role.OPERATOR))
        for method in ("GET", "POST")
        for route, path, acts in (
            (
                "/healing/runs/<uuid:run_id>",
                f"/healing/runs/{UUID}",
                ("approve", "refuse", "cancel", "rollback"),
            ),
            (
                "/healing/opportunities/<uuid:opportunity_id>",
                f"/healing/opportunities/{UUID}",
                ("start", "dismiss"),
            ),
        )
        for act in acts
    ),
]
