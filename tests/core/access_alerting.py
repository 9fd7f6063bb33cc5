"""Rows of the access table for alerts, incidents and reports."""

from __future__ import annotations

from resilience_site.core.choices import Role, Scope
from tests.core.access import UUID, Api, Page, Row

INCIDENTS = [
    Row("GET", "/api/v1/incidents", "/api/v1/incidents", Api(Scope.READ)),
    Row(
        "GET",
        "/api/v1/incidents/<uuidstr:incident_id>",
        f"/api/v1/incidents/{UUID}",
        Api(Scope.READ),
    ),
    Row(
        "GET",
        "/api/v1/incidents/<uuidstr:incident_id>/markdown",
        f"/api/v1/incidents/{UUID}/markdown",
        Api(Scope.READ),
    ),
    *(
        Row(
            "POST",
            f"/api/v1/incidents/<uuidstr:incident_id>/{act}",
            f"/api/v1/incidents/{UUID}/{act}",
            Api(Scope.OPERATE),
        )
        for act in ("acknowledge", "assign", "note", "publish", "resolve")
    ),
]

REPORTS = [
    Row("GET", "/api/v1/reports", "/api/v1/reports", Api(Scope.READ)),
    Row("POST", "/api/v1/reports", "/api/v1/reports", Api(Scope.OPERATE)),
    Row("GET", "/api/v1/reports/<uuidstr:report_id>", f"/api/v1/reports/{UUID}", Api(Scope.READ)),
    Row(
        "POST",
        "/api/v1/reports/<uuidstr:report_id>/mail",
        f"/api/v1/reports/{UUID}/mail",
        Api(Scope.OPERATE),
    ),
    Row(
        "PUT",
        "/api/v1/reports/channels/<uuidstr:channel_id>",
        f"/api/v1/reports/channels/{UUID}",
        Api(Scope.OPERATE),
    ),
]

REPORT_PAGES = [
    Row("GET", "/alerts/inbound", "/alerts/inbound", Page()),
    Row("GET", "/reports", "/reports", Page()),
    Row("GET", "/reports/<uuid:report_id>", f"/reports/{UUID}", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for method in ("GET", "POST")
        for route, path in (
            ("/reports/new", "/reports/new"),
            ("/reports/<uuid:report_id>/mail", f"/reports/{UUID}/mail"),
        )
    ),
    Row(
        "POST",
        "/reports/channels/<uuid:channel_id>",
        f"/reports/channels/{UUID}",
        Page(Role.OPERATOR),
    ),
]

_ROUTE, _THIS_ROUTE = "/api/v1/alerts/routes/<str:name>", "/api/v1/alerts/routes/pages"
_SILENCE, _THIS_SILENCE = (
    "/api/v1/alerts/silences/<uuidstr:silence_id>",
    f"/api/v1/alerts/silences/{UUID}",
)

PIPELINE = [
    *(
        Row(method, path, path, Api(scope))
        for method, path, scope in (
            ("GET", "/api/v1/alerts", Scope.READ),
            ("GET", "/api/v1/alerts/silences", Scope.READ),
            ("POST", "/api/v1/alerts/silences", Scope.OPERATE),
            ("POST", "/api/v1/alerts/silences/preview", Scope.READ),
            ("GET", "/api/v1/alerts/routes", Scope.READ),
            ("POST", "/api/v1/alerts/routes", Scope.OPERATE),
            ("POST", "/api/v1/alerts/routes/test", Scope.READ),
            ("GET", "/api/v1/alerts/inhibitions", Scope.READ),
            ("POST", "/api/v1/alerts/inhibitions", Scope.OPERATE),
        )
    ),
    Row("GET", "/api/v1/alerts/<uuidstr:alert_id>", f"/api/v1/alerts/{UUID}", Api(Scope.READ)),
    Row("GET", _SILENCE, _THIS_SILENCE, Api(Scope.READ)),
    Row("DELETE", _SILENCE, _THIS_SILENCE, Api(Scope.OPERATE)),
    Row("GET", _ROUTE, _THIS_ROUTE, Api(Scope.READ)),
    Row("PUT", _ROUTE, _THIS_ROUTE, Api(Scope.OPERATE)),
    Row("DELETE", _ROUTE, _THIS_ROUTE, Api(Scope.OPERATE)),
    *(
        Row(
            method,
            "/api/v1/alerts/inhibitions/<str:name>",
            "/api/v1/alerts/inhibitions/failure-over-signs",
            Api(Scope.OPERATE),
        )
        for method in ("PUT", "DELETE")
    ),
]

_CHANNEL = "/api/v1/alerts/channels/<uuidstr:channel_id>"

CHANNELS = [
    Row("GET", "/api/v1/alerts/channels", "/api/v1/alerts/channels", Api(Scope.READ)),
    Row("POST", "/api/v1/alerts/channels", "/api/v1/alerts/channels", Api(Scope.OPERATE)),
    Row("GET", _CHANNEL, f"/api/v1/alerts/channels/{UUID}", Api(Scope.READ)),
    *(
        Row(method, _CHANNEL, f"/api/v1/alerts/channels/{UUID}", Api(Scope.OPERATE))
        for method in ("PUT", "PATCH", "DELETE")
    ),
    *(
        Row(
            "POST",
            f"{_CHANNEL}/{act}",
            f"/api/v1/alerts/channels/{UUID}/{act}",
            Api(Scope.OPERATE),
        )
        for act in ("test", "pause", "resume", "rotate")
    ),
    Row("GET", "/api/v1/alerts/deliveries", "/api/v1/alerts/deliveries", Api(Scope.READ)),
    Row(
        "GET",
        "/api/v1/alerts/deliveries/<uuidstr:delivery_id>",
        f"/api/v1/alerts/deliveries/{UUID}",
        Api(Scope.READ),
    ),
]

INCIDENT_PAGES = [
    Row("GET", "/incidents", "/incidents", Page()),
    Row("GET", "/incidents/<uuid:incident_id>", f"/incidents/{UUID}", Page()),
    Row(
        "GET",
        "/incidents/<uuid:incident_id>/text/<slug:form>",
        f"/incidents/{UUID}/text/summary",
        Page(),
    ),
    Row(
        "POST",
        "/incidents/<uuid:incident_id>/acknowledge",
        f"/incidents/{UUID}/acknowledge",
        Page(Role.OPERATOR),
    ),
    *(
        Row(
            method,
            f"/incidents/<uuid:incident_id>/{act}",
            f"/incidents/{UUID}/{act}",
            Page(Role.OPERATOR),
        )
        for act in ("assign", "note", "publish", "resolve")
        for method in ("GET", "POST")
    ),
]

_RULE = "/api/v1/alerts/rules/<str:name>"
_THIS_RULE = "/api/v1/alerts/rules/breaker_open"

RULES = [
    Row("GET", "/api/v1/alerts/rules", "/api/v1/alerts/rules", Api(Scope.READ)),
    Row("POST", "/api/v1/alerts/rules", "/api/v1/alerts/rules", Api(Scope.OPERATE)),
    Row("POST", "/api/v1/alerts/rules/trial", "/api/v1/alerts/rules/trial", Api(Scope.READ)),
    Row("GET", _RULE, _THIS_RULE, Api(Scope.READ)),
    Row("PUT", _RULE, _THIS_RULE, Api(Scope.OPERATE)),
    Row("DELETE", _RULE, _THIS_RULE, Api(Scope.OPERATE)),
    Row("POST", f"{_RULE}/trial", f"{_THIS_RULE}/trial", Api(Scope.READ)),
]

RULE_PAGES = [
    Row("GET", "/runbooks", "/runbooks", Page()),
    Row("GET", "/runbooks/", "/runbooks/", Page()),
    Row("GET", "/runbooks/<slug:name>", "/runbooks/breaker_open", Page()),
    Row("GET", "/alerts/watchable", "/alerts/watchable", Page()),
    Row("GET", "/alerts/rules", "/alerts/rules", Page()),
    Row("GET", "/alerts/rules/<slug:name>", "/alerts/rules/breaker_open", Page()),
    *(
        Row(method, route, route.replace("<slug:name>", "breaker_open"), Page(Role.OPERATOR))
        for method in ("GET", "POST")
        for route in (
            "/alerts/rules/new",
            "/alerts/rules/<slug:name>/edit",
            "/alerts/rules/<slug:name>/switch",
            "/alerts/rules/<slug:name>/delete",
        )
    ),
]

PIPELINE_PAGES = [
    Row("GET", "/alerts", "/alerts", Page()),
    Row("GET", "/alerts/<uuid:alert_id>", f"/alerts/{UUID}", Page()),
    Row("GET", "/alerts/silences", "/alerts/silences", Page()),
    Row("GET", "/alerts/routes", "/alerts/routes", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for method in ("GET", "POST")
        for route, path in (
            ("/alerts/silences/new", "/alerts/silences/new"),
            ("/alerts/silences/<uuid:silence_id>/end", f"/alerts/silences/{UUID}/end"),
            ("/alerts/routes/new", "/alerts/routes/new"),
            ("/alerts/routes/<str:name>/edit", "/alerts/routes/pages/edit"),
            ("/alerts/routes/<str:name>/delete", "/alerts/routes/pages/delete"),
            ("/alerts/inhibitions/new", "/alerts/inhibitions/new"),
            (
                "/alerts/inhibitions/<slug:name>/edit",
                "/alerts/inhibitions/site-over-silent-keys/edit",
            ),
            (
                "/alerts/inhibitions/<slug:name>/delete",
                "/alerts/inhibitions/site-over-silent-keys/delete",
            ),
        )
    ),
    Row(
        "POST",
        "/alerts/inhibitions/<slug:name>",
        "/alerts/inhibitions/failure-over-signs",
        Page(Role.OPERATOR),
    ),
]

_CHANNEL_PAGE = "/alerts/channels/<uuid:channel_id>"

CHANNEL_PAGES = [
    Row("GET", "/alerts/channels", "/alerts/channels", Page()),
    Row("GET", _CHANNEL_PAGE, f"/alerts/channels/{UUID}", Page()),
    *(
        Row(method, route, path, Page(Role.OPERATOR))
        for method in ("GET", "POST")
        for route, path in (
            ("/alerts/channels/new", "/alerts/channels/new"),
            *(
                (f"{_CHANNEL_PAGE}/{act}", f"/alerts/channels/{UUID}/{act}")
                for act in ("edit", "pause", "rotate", "delete")
            ),
        )
    ),
    *(
        Row("POST", f"{_CHANNEL_PAGE}/{act}", f"/alerts/channels/{UUID}/{act}", Page(Role.OPERATOR))
        for act in ("test", "resume")
    ),
    Row("GET", "/alerts/deliveries", "/alerts/deliveries", Page()),
    Row("GET", "/alerts/deliveries/<uuid:delivery_id>", f"/alerts/deliveries/{UUID}", Page()),
]

ALERTING = [
    *CHANNELS,
    *RULES,
    *PIPELINE,
    *REPORTS,
    *INCIDENTS,
    *(
        Row(
            "POST",
            f"/api/v1/alerts/inbound/{sender}",
            f"/api/v1/alerts/inbound/{sender}",
            Api(Scope.OPERATE),
        )
        for sender in ("alertmanager", "grafana")
    ),
]

ALERTING_PAGES = [
    *CHANNEL_PAGES,
    *PIPELINE_PAGES,
    *RULE_PAGES,
    *INCIDENT_PAGES,
    *REPORT_PAGES,
]
