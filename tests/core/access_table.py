"""Who may call what: one row per operation of the API and per path of the site.

`tests/core/test_access_matrix.py` calls each row as everybody of the cast, and fails while a route
of the site has no row here. A new route needs a row: its method, its route as Django writes it, a
path that matches it, and who may pass. Those of analytics stand in `access_analytics`.
"""

from __future__ import annotations

from resilience_site.core.choices import Role, Scope
from tests.core.access import (
    TRACE,
    UUID,
    Admin,
    Api,
    Everybody,
    Page,
    Row,
    SignOut,
)
from tests.core.access_alerting import ALERTING, ALERTING_PAGES
from tests.core.access_analytics import ANALYTICS_PAGES, TELEMETRY
from tests.core.access_healing import HEALING, HEALING_PAGES

KERNEL = [
    Row("GET", "/api/v1/audit", "/api/v1/audit", Api(Scope.READ)),
    Row("GET", "/api/v1/keys", "/api/v1/keys", Api(Scope.ADMIN)),
    Row("POST", "/api/v1/keys", "/api/v1/keys", Api(Scope.ADMIN)),
    Row("POST", "/api/v1/keys/<int:key_id>/revoke", "/api/v1/keys/999999/revoke", Api(Scope.ADMIN)),
    Row("GET", "/api/v1/openapi.json", "/api/v1/openapi.json", Api(Scope.READ)),
    Row("GET", "/api/v1/docs", "/api/v1/docs", Api(Scope.READ)),
    # Nothing is there: 404 for everybody.
    Row("GET", "/api/v1/", "/api/v1/", Everybody()),
]

PAGES = [
    Row("GET", "/", "/", Page()),
    Row("GET", "/site-health", "/site-health", Page()),
    Row("GET", "/services", "/services", Page()),
    Row("GET", "/services/map", "/services/map", Page()),
    Row("GET", "/services/<anything:name>", "/services/planner", Page()),
    Row("GET", "/settings/keys", "/settings/keys", Page(Role.ADMIN)),
    Row(
        "POST",
        "/settings/keys/<int:key_id>/revoke",
        "/settings/keys/999999/revoke",
        Page(Role.ADMIN),
    ),
    Row("GET", "/dev/components", "/dev/components", Page(Role.ADMIN)),
    Row("GET", "/dev/components/rows", "/dev/components/rows", Page(Role.ADMIN)),
    Row("GET", "/dev/components/figure.json", "/dev/components/figure.json", Page(Role.ADMIN)),
]

_KEY = "0123456789abcdef"
BREAKER_PAGES = [
    Row("GET", "/breakers", "/breakers", Page()),
    Row("GET", "/breakers/<slug:key>", f"/breakers/{_KEY}", Page()),
    *(
        Row(method, f"/breakers/<slug:key>/{act}", f"/breakers/{_KEY}/{act}", Page(Role.OPERATOR))
        for act in ("override", "reset", "policy", "policy/rollback")
        for method in ("GET", "POST")
    ),
    Row("GET", "/breakers/<slug:key>/replay", f"/breakers/{_KEY}/replay", Page()),
    Row("GET", "/domains", "/domains", Page()),
    *(
        Row(
            method,
            f"/domains/<anything:name>/{act}",
            f"/domains/graph-eu/{act}",
            Page(Role.OPERATOR),
        )
        for act in ("override", "reset")
        for method in ("GET", "POST")
    ),
    Row("GET", "/charts/breaker.json", f"/charts/breaker.json?key={_KEY}", Page()),
    Row("GET", "/charts/breaker-rows", f"/charts/breaker-rows?key={_KEY}", Page()),
    Row("GET", "/blast-radius/domain", "/blast-radius/domain?domain=graph-eu", Page()),
    Row("GET", "/blast-radius/<slug:key>", f"/blast-radius/{_KEY}", Page()),
]

CONTROL_PAGES = [
    Row("GET", "/status", "/status", Everybody()),
    Row("GET", "/status.json", "/status.json", Everybody()),
    Row("GET", "/status/feed.rss", "/status/feed.rss", Everybody()),
    Row("GET", "/retries", "/retries", Page()),
    Row("GET", "/fallbacks", "/fallbacks", Page()),
    Row("GET", "/bulkheads", "/bulkheads", Page()),
    Row("GET", "/bulkheads/<anything:place>", "/bulkheads/planner/pool", Page()),
    Row("GET", "/toggles", "/toggles", Page()),
    Row("GET", "/toggles/<anything:key>", "/toggles/planner.write", Page()),
    Row("GET", "/degraded", "/degraded", Page()),
    Row("GET", "/degraded/<anything:service>", "/degraded/planner", Page()),
    Row("GET", "/degraded/<anything:service>/preview", "/degraded/planner/preview", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for route, path in (
            ("/bulkheads/<anything:place>/policy", "/bulkheads/planner/pool/policy"),
            (
                "/bulkheads/<anything:place>/policy/rollback",
                "/bulkheads/planner/pool/policy/rollback",
            ),
            ("/toggles/-/new", "/toggles/-/new"),
            ("/toggles/<anything:key>/set", "/toggles/planner.write/set"),
            ("/toggles/<anything:key>/revert", "/toggles/planner.write/revert"),
            ("/degraded/<anything:service>/set", "/degraded/planner/set"),
            ("/degraded/<anything:service>/end", "/degraded/planner/end"),
        )
        for method in ("GET", "POST")
    ),
]

_CHECK, _THIS_CHECK = "/health/checks/<uuid:check_id>", f"/health/checks/{UUID}"
HEALTH_PAGES = [
    Row("GET", "/health", "/health", Page()),
    Row("GET", _CHECK, _THIS_CHECK, Page()),
    Row("GET", f"{_CHECK}/latency.json", f"{_THIS_CHECK}/latency.json", Page()),
    Row("GET", f"{_CHECK}/pause", f"{_THIS_CHECK}/pause", Page(Role.OPERATOR)),
    *(
        Row("POST", f"{_CHECK}/{act}", f"{_THIS_CHECK}/{act}", Page(Role.OPERATOR))
        for act in ("run", "pause", "resume")
    ),
    Row("GET", "/blast-radius/check/<uuid:check_id>", f"/blast-radius/check/{UUID}", Page()),
]

_BREAKER = "/api/v1/breakers/<path:service>/<path:name>"
_THIS_BREAKER = "/api/v1/breakers/planner/graph"
_BULKHEAD = "/api/v1/bulkheads/<path:service>/<path:name>"
_THIS_BULKHEAD = "/api/v1/bulkheads/planner/pool"

CONTROL_API = [
    Row("GET", "/api/v1/breakers", "/api/v1/breakers", Api(Scope.READ)),
    Row("GET", "/api/v1/breakers/transitions", "/api/v1/breakers/transitions", Api(Scope.READ)),
    Row("GET", _BREAKER, _THIS_BREAKER, Api(Scope.READ)),
    Row("GET", f"{_BREAKER}/blast-radius", f"{_THIS_BREAKER}/blast-radius", Api(Scope.READ)),
    Row(
        "GET",
        "/api/v1/domains/<path:name>/blast-radius",
        "/api/v1/domains/graph-eu/blast-radius",
        Api(Scope.READ),
    ),
    Row("GET", f"{_BREAKER}/policy", f"{_THIS_BREAKER}/policy", Api(Scope.READ)),
    *(
        Row(method, f"{_BREAKER}/{verb}", f"{_THIS_BREAKER}/{verb}", Api(Scope.OPERATE))
        for method, verb in (
            ("POST", "override"),
            ("POST", "reset"),
            ("PUT", "policy"),
            ("POST", "policy/rollback"),
        )
    ),
    Row("GET", f"{_BULKHEAD}/policy", f"{_THIS_BULKHEAD}/policy", Api(Scope.READ)),
    *(
        Row(method, f"{_BULKHEAD}/{verb}", f"{_THIS_BULKHEAD}/{verb}", Api(Scope.OPERATE))
        for method, verb in (("PUT", "policy"), ("POST", "policy/rollback"))
    ),
    Row("GET", "/api/v1/domains", "/api/v1/domains", Api(Scope.READ)),
    Row("GET", "/api/v1/domains/<path:name>", "/api/v1/domains/graph-eu", Api(Scope.READ)),
    *(
        Row(
            "POST",
            f"/api/v1/domains/<path:name>/{act}",
            f"/api/v1/domains/graph-eu/{act}",
            Api(Scope.OPERATE),
        )
        for act in ("override", "reset")
    ),
    *(
        Row("GET", f"/api/v1/{name}", f"/api/v1/{name}", Api(Scope.READ))
        for name in ("retries", "fallbacks", "bulkheads", "instances", "toggles", "degraded")
    ),
    Row("GET", "/api/v1/toggles/<key>", "/api/v1/toggles/planner.write", Api(Scope.READ)),
    Row("PUT", "/api/v1/toggles/<key>", "/api/v1/toggles/planner.write", Api(Scope.OPERATE)),
    Row(
        "POST",
        "/api/v1/toggles/<key>/revert",
        "/api/v1/toggles/planner.write/revert",
        Api(Scope.OPERATE),
    ),
    Row("GET", "/api/v1/degraded/<path:service>", "/api/v1/degraded/planner", Api(Scope.READ)),
    Row("PUT", "/api/v1/degraded/<path:service>", "/api/v1/degraded/planner", Api(Scope.OPERATE)),
]

_INCIDENT = "/health/incidents/<uuid:incident_id>"
_TOLD = "/health/incidents/updates/<uuid:update_id>"

INCIDENTS = [
    Row("GET", "/health/incidents", "/health/incidents", Page()),
    Row("GET", _INCIDENT, f"/health/incidents/{UUID}", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for route, path in (
            ("/health/incidents/new", "/health/incidents/new"),
            (f"{_INCIDENT}/update", f"/health/incidents/{UUID}/update"),
            (f"{_INCIDENT}/resolve", f"/health/incidents/{UUID}/resolve"),
            (f"{_INCIDENT}/edit", f"/health/incidents/{UUID}/edit"),
            (f"{_TOLD}/edit", f"/health/incidents/updates/{UUID}/edit"),
            (f"{_TOLD}/delete", f"/health/incidents/updates/{UUID}/delete"),
        )
        for method in ("GET", "POST")
    ),
    *(
        Row(method, f"/api/v1{route}".replace("<uuid:", "<uuidstr:"), f"/api/v1{path}", Api(scope))
        for method, route, path, scope in (
            ("GET", "/health/incidents", "/health/incidents", Scope.READ),
            ("POST", "/health/incidents", "/health/incidents", Scope.OPERATE),
            ("GET", _INCIDENT, f"/health/incidents/{UUID}", Scope.READ),
            ("PATCH", _INCIDENT, f"/health/incidents/{UUID}", Scope.OPERATE),
            ("POST", f"{_INCIDENT}/updates", f"/health/incidents/{UUID}/updates", Scope.OPERATE),
            ("PATCH", _TOLD, f"/health/incidents/updates/{UUID}", Scope.OPERATE),
            ("DELETE", _TOLD, f"/health/incidents/updates/{UUID}", Scope.OPERATE),
        )
    ),
]

_EDGE = "/health/graph/dependencies/<uuid:dependency_id>"
_WINDOW = "/health/maintenance/<uuid:maintenance_id>"
HEALTH_API = [
    *(
        Row(
            method,
            f"/api/v1{route}".replace("<uuid:", "<uuidstr:"),
            f"/api/v1{route}".replace(_CHECK, _THIS_CHECK)
            .replace("<uuid:dependency_id>", UUID)
            .replace("<uuid:maintenance_id>", UUID),
            Api(scope),
        )
        for method, route, scope in (
            ("GET", "/health", Scope.READ),
            ("GET", "/health/checks", Scope.READ),
            ("POST", "/health/checks", Scope.OPERATE),
            ("GET", _CHECK, Scope.READ),
            ("PUT", _CHECK, Scope.OPERATE),
            ("PATCH", _CHECK, Scope.OPERATE),
            ("DELETE", _CHECK, Scope.OPERATE),
            ("POST", f"{_CHECK}/run", Scope.OPERATE),
            ("GET", f"{_CHECK}/results", Scope.READ),
            ("GET", f"{_CHECK}/changes", Scope.READ),
            ("GET", f"{_CHECK}/outages", Scope.READ),
            ("GET", f"{_CHECK}/availability", Scope.READ),
            ("GET", f"{_CHECK}/blast-radius", Scope.READ),
            ("GET", "/health/graph", Scope.READ),
            ("GET", "/health/graph/dependencies", Scope.READ),
            ("POST", "/health/graph/dependencies", Scope.OPERATE),
            ("GET", _EDGE, Scope.READ),
            ("DELETE", _EDGE, Scope.OPERATE),
            ("POST", f"{_EDGE}/accept", Scope.OPERATE),
            ("POST", f"{_EDGE}/reject", Scope.OPERATE),
            ("GET", "/health/maintenance", Scope.READ),
            ("POST", "/health/maintenance", Scope.OPERATE),
            ("POST", "/health/maintenance/preview", Scope.OPERATE),
            ("GET", _WINDOW, Scope.READ),
            ("PUT", _WINDOW, Scope.OPERATE),
            ("PATCH", _WINDOW, Scope.OPERATE),
            ("DELETE", _WINDOW, Scope.OPERATE),
            ("POST", f"{_WINDOW}/end", Scope.OPERATE),
            ("POST", "/health/apply", Scope.OPERATE),
        )
    ),
    # The token in the address is the key.
    *(
        Row(
            method,
            "/api/v1/health/push/<token>",
            f"/api/v1/health/push/{TRACE}",
            Everybody(),
        )
        for method in ("GET", "POST")
    ),
    # Of what has a public name, everybody sees a badge.
    Row(
        "GET",
        "/health/badge/<anything:service>.svg",
        "/health/badge/planner.svg",
        Api(Scope.READ),
    ),
    Row(
        "GET",
        "/health/badge/check/<uuid:check_id>.svg",
        f"/health/badge/check/{UUID}.svg",
        Api(Scope.READ),
    ),
]

HEALTH_FORMS = [
    Row("GET", "/health/dependencies", "/health/dependencies", Page()),
    Row("GET", "/health/maintenance", "/health/maintenance", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for route, path in (
            ("/health/checks/new", "/health/checks/new"),
            (f"{_CHECK}/edit", f"{_THIS_CHECK}/edit"),
            (f"{_CHECK}/delete", f"{_THIS_CHECK}/delete"),
            ("/health/dependencies/new", "/health/dependencies/new"),
            ("/health/maintenance/new", "/health/maintenance/new"),
            *(
                (
                    f"/health/dependencies/<uuid:dependency_id>/{act}",
                    f"/health/dependencies/{UUID}/{act}",
                )
                for act in ("accept", "reject", "remove")
            ),
            *(
                (
                    f"/health/maintenance/<uuid:maintenance_id>/{act}",
                    f"/health/maintenance/{UUID}/{act}",
                )
                for act in ("edit", "end", "delete")
            ),
        )
        for method in ("GET", "POST")
    ),
]

SITE = [
    Row("GET", "/login", "/login", Everybody()),
    Row("POST", "/logout", "/logout", SignOut()),
    Row("GET", "/livez", "/livez", Everybody()),
    Row("GET", "/favicon.ico", "/favicon.ico", Everybody()),
    Row("GET", "/readyz", "/readyz", Everybody()),
    Row("GET", "/healthz", "/healthz", Everybody()),
    Row("GET", "/healthz/<slug:group>", "/healthz/ready", Everybody()),
    Row("GET", "/metrics", "/metrics", Everybody()),
    Row("GET", "/admin/", "/admin/", Admin()),
]

ROWS: list[Row] = [
    *KERNEL,
    *TELEMETRY,
    *ALERTING,
    *HEALING,
    *PAGES,
    *ANALYTICS_PAGES,
    *ALERTING_PAGES,
    *HEALING_PAGES,
    *BREAKER_PAGES,
    *HEALTH_PAGES,
    *HEALTH_API,
    *HEALTH_FORMS,
    *CONTROL_PAGES,
    *CONTROL_API,
    *INCIDENTS,
    *SITE,
]
