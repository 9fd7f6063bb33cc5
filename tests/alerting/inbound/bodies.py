"""Bodies as Alertmanager 0.27 and Grafana 11 post them."""

from __future__ import annotations

from typing import Any

ZERO = "0001-01-01T00:00:00Z"
START = "2026-11-20T10:00:00.123456789Z"


def prometheus_alert(**labels: str) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {
            "alertname": "HighErrorRate",
            "instance": "10.0.0.7:9100",
            "job": "shop/planner",
            "severity": "critical",
            **labels,
        },
        "annotations": {
            "summary": "Planner fails",
            "description": "8 % of the requests of 5 min failed.",
            "runbook_url": "https://runbooks.example.com/errors",
        },
        "startsAt": START,
        "endsAt": ZERO,
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=up",
        "fingerprint": "c1f9a2f5c9b5f9b1",
    }


def alertmanager_post(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "receiver": "resilience",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "truncatedAlerts": 0,
        **fields,
    }


def grafana_post(**alert: Any) -> dict[str, Any]:
    one = {
        "status": "firing",
        "labels": {
            "alertname": "Slow answers",
            "grafana_folder": "Planner",
            "service_name": "planner",
        },
        "annotations": {"summary": "p95 above 2 s"},
        "startsAt": "2026-11-20T11:00:00+01:00",
        "endsAt": ZERO,
        "generatorURL": "https://grafana.example.com/alerting/grafana/abc/view?orgId=1",
        "fingerprint": "57c6d9296de2ad39",
        "silenceURL": "https://grafana.example.com/alerting/silence/new?alertmanager=grafana",
        "dashboardURL": "https://grafana.example.com/d/abc?orgId=1",
        "panelURL": "javascript:alert(1)",
        "values": {"B": 2.4, "C": 1},
        "valueString": "[ var='B' labels={} value=2.4 ]",
        **alert,
    }
    return {
        "receiver": "resilience",
        "status": "firing",
        "orgId": 1,
        "alerts": [one],
        "groupLabels": {"alertname": "Slow answers"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "https://grafana.example.com/",
        "version": "1",
        "groupKey": '{}:{alertname="Slow answers"}',
        "truncatedAlerts": 0,
        "title": "[FIRING:1] Slow answers Planner",
        "state": "alerting",
        "message": "**Firing**",
    }


def resolved(alert: dict[str, Any], at: str) -> dict[str, Any]:
    return {**alert, "status": "resolved", "endsAt": at}
