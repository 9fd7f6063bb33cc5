"""Rows of the access table for telemetry, errors and what is worked out from them."""

from __future__ import annotations

from resilience_site.core.choices import Role, Scope
from tests.core.access import TRACE, UUID, Api, Everybody, Page, Row

TELEMETRY = [
    # Reached through the gateway alone, which checks the key; without it there is nothing.
    Row("POST", "/v1/traces", "/v1/traces", Everybody()),
    Row("POST", "/v1/logs", "/v1/logs", Everybody()),
    Row("POST", "/v1/metrics", "/v1/metrics", Everybody()),
    Row("POST", "/api/v1/errors", "/api/v1/errors", Api(Scope.INGEST)),
    Row("GET", "/api/v1/errors", "/api/v1/errors", Api(Scope.READ)),
    Row("GET", "/api/v1/errors/<uuidstr:error_id>", f"/api/v1/errors/{UUID}", Api(Scope.READ)),
    Row("GET", "/api/v1/patterns", "/api/v1/patterns", Api(Scope.READ)),
    Row(
        "GET", "/api/v1/patterns/<uuidstr:pattern_id>", f"/api/v1/patterns/{UUID}", Api(Scope.READ)
    ),
    *(
        Row(
            "POST",
            f"/api/v1/patterns/<uuidstr:pattern_id>/{decision}",
            f"/api/v1/patterns/{UUID}/{decision}",
            Api(Scope.OPERATE),
        )
        for decision in ("resolve", "ignore", "reopen", "merge", "unmerge")
    ),
    Row("GET", "/api/v1/chains", "/api/v1/chains", Api(Scope.READ)),
    Row("GET", "/api/v1/chains/<str:key>", f"/api/v1/chains/{TRACE}", Api(Scope.READ)),
    Row(
        "GET",
        "/api/v1/errors/<uuidstr:error_id>/impact",
        f"/api/v1/errors/{UUID}/impact",
        Api(Scope.READ),
    ),
    Row(
        "GET",
        "/api/v1/patterns/<uuidstr:pattern_id>/impact",
        f"/api/v1/patterns/{UUID}/impact",
        Api(Scope.READ),
    ),
    Row("GET", "/api/v1/relations", "/api/v1/relations", Api(Scope.READ)),
    Row(
        "GET",
        "/api/v1/patterns/<uuidstr:pattern_id>/related",
        f"/api/v1/patterns/{UUID}/related",
        Api(Scope.READ),
    ),
    Row("GET", "/api/v1/anomalies", "/api/v1/anomalies", Api(Scope.READ)),
    Row("GET", "/api/v1/root-cause", "/api/v1/root-cause", Api(Scope.READ)),
    Row("GET", "/api/v1/predictions", "/api/v1/predictions", Api(Scope.READ)),
    Row("GET", "/api/v1/trends", "/api/v1/trends", Api(Scope.READ)),
    Row("GET", "/api/v1/forecasts", "/api/v1/forecasts", Api(Scope.READ)),
    Row(
        "GET",
        "/api/v1/forecasts/exhaustions",
        "/api/v1/forecasts/exhaustions",
        Api(Scope.READ),
    ),
    Row("GET", "/api/v1/what-changed", "/api/v1/what-changed", Api(Scope.READ)),
    Row("GET", "/api/v1/releases", "/api/v1/releases", Api(Scope.READ)),
    Row("GET", "/api/v1/limits", "/api/v1/limits", Api(Scope.READ)),
    Row("GET", "/api/v1/impact", "/api/v1/impact?service=planner", Api(Scope.READ)),
    Row("GET", "/api/v1/report", "/api/v1/report", Api(Scope.READ)),
    Row("GET", "/api/v1/slos", "/api/v1/slos", Api(Scope.READ)),
    Row("POST", "/api/v1/slos", "/api/v1/slos", Api(Scope.OPERATE)),
    Row("GET", "/api/v1/slos/<uuidstr:slo_id>", f"/api/v1/slos/{UUID}", Api(Scope.READ)),
    *(
        Row(method, "/api/v1/slos/<uuidstr:slo_id>", f"/api/v1/slos/{UUID}", Api(Scope.OPERATE))
        for method in ("PUT", "PATCH", "DELETE")
    ),
    Row("GET", "/api/v1/services", "/api/v1/services", Api(Scope.READ)),
    Row("GET", "/api/v1/services/map", "/api/v1/services/map", Api(Scope.READ)),
]

ANALYTICS_PAGES = [
    Row("GET", "/errors/<uuid:error_id>/impact", f"/errors/{UUID}/impact", Page()),
    Row("GET", "/patterns/<uuid:pattern_id>/impact", f"/patterns/{UUID}/impact", Page()),
    Row("GET", "/impact", "/impact?service=planner", Page()),
    Row("GET", "/relations", "/relations", Page()),
    Row("GET", "/root-cause", "/root-cause", Page()),
    Row("GET", "/predictions", "/predictions", Page()),
    Row("GET", "/what-changed", "/what-changed", Page()),
    Row("GET", "/report", "/report", Page()),
    Row("GET", "/limits", "/limits", Page()),
    Row("GET", "/trends", "/trends?since=1h", Page()),
    Row("GET", "/slos", "/slos", Page()),
    Row("GET", "/slos/<uuid:slo_id>", f"/slos/{UUID}", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for route, path in (
            ("/slos/new", "/slos/new"),
            ("/slos/<uuid:slo_id>/edit", f"/slos/{UUID}/edit"),
            ("/slos/<uuid:slo_id>/delete", f"/slos/{UUID}/delete"),
        )
        for method in ("GET", "POST")
    ),
    Row("GET", "/errors", "/errors", Page()),
    Row("GET", "/errors/<uuid:error_id>", f"/errors/{UUID}", Page()),
    Row("GET", "/patterns", "/patterns", Page()),
    Row("GET", "/patterns/<uuid:pattern_id>", f"/patterns/{UUID}", Page()),
    *(
        Row(
            method,
            "/patterns/<uuid:pattern_id>/<slug:decision>",
            f"/patterns/{UUID}/resolve",
            Page(Role.OPERATOR),
        )
        for method in ("GET", "POST")
    ),
    Row("GET", "/chains", "/chains", Page()),
    Row("GET", "/chains/<str:key>", f"/chains/{TRACE}", Page()),
    Row("GET", "/charts/<slug:name>.json", "/charts/latency.json", Page()),
]
