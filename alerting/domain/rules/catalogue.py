"""What conditions can be about: the journal's topics and kinds with what each says.

A rule is checked against these when it is saved, so that a name with a slip in it is refused and
not waited for in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_AT: Final = "2026-01-01T00:00:00+00:00"
_ID: Final = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Sample:
    """An entry of a kind as it may look: all fields that its payload can hold."""

    kinds: tuple[str, ...]
    key: str = _ID
    state: str = ""
    service: str = "planner"
    payload: Mapping[str, Any] = field(default_factory=dict)


_DECIDED: Final = {"notice": "", "actor": "admin", "reason": "", "name": "microsoft_graph"}
_CHECK: Final = {"id": _ID, "name": "redis", "kind": "redis"}

SAMPLES: Final[Mapping[str, tuple[Sample, ...]]] = {
    "breakers": (
        Sample(
            ("breaker.transition",),
            "0123456789abcdef",
            "open",
            payload={
                "name": "microsoft_graph",
                "instance": "planner-1",
                "from_state": "closed",
                "reason": "failure_rate",
            },
        ),
        Sample(
            ("override.set", "override.cleared", "override.expired", "breaker.reset"),
            "0123456789abcdef",
            "forced_open",
            payload={**_DECIDED, "instance": ""},
        ),
        Sample(
            ("policy.changed",),
            "0123456789abcdef",
            payload={"name": "microsoft_graph", "number": 2, "actor": "admin"},
        ),
    ),
    "retries": (
        Sample(("retry.budget_exhausted",), "planner", "microsoft_graph"),
        Sample(("retry.attempt",), "planner"),
    ),
    "fallbacks": (Sample(("fallback.served",), "planner", "microsoft_graph"),),
    "bulkheads": (
        Sample(("bulkhead.rejected",), "planner"),
        Sample(
            ("bulkhead.breach",),
            "planner",
            "memory",
            payload={"name": "reports", "mitigation": "isolated"},
        ),
        Sample(
            ("policy.changed",),
            "planner",
            payload={"name": "reports", "number": 2, "actor": "admin"},
        ),
    ),
    "degraded": (
        Sample(
            ("degraded.set", "degraded.expired", "degraded.applied"),
            "planner",
            "reduced",
            payload=_DECIDED,
        ),
    ),
    "toggles": (
        Sample(
            ("toggle.set", "toggle.expired", "toggle.reverted"),
            "planner.write",
            "true",
            "",
            {"actor": "admin", "reason": ""},
        ),
    ),
    "health": (
        Sample(
            ("failure_confirmed",),
            state="down",
            payload={
                "outage": _ID,
                "check": _CHECK,
                "service": "planner",
                "criticality": "high",
                "critical": True,
                "target": {"host": "redis.internal"},
                "culprit": {"id": _ID, "name": "redis"},
                "since": _AT,
                "confirmed_at": _AT,
                "failures": 3,
                "output": "connection refused",
                "evidence": [],
                "unreachable": ["planner"],
                "blast_radius": {"checks": 2, "services": ["planner"]},
                "runbook_url": "",
            },
        ),
        Sample(
            ("failure_ended",),
            state="up",
            payload={
                "outage": _ID,
                "check": {"id": _ID, "name": "redis"},
                "since": _AT,
                "ended_at": _AT,
                "seconds": 60.0,
                "switched_off": False,
            },
        ),
        Sample(
            ("state_changed",),
            state="down",
            payload={"name": "redis", "from_state": "up", "culprit": "redis", "since": _AT},
        ),
        Sample(
            ("flapping_started", "flapping_ended"),
            state="down",
            payload={"name": "redis", "history": "0101"},
        ),
    ),
    "maintenance": (
        Sample(
            ("maintenance.created", "maintenance.changed", "maintenance.ended"),
            service="",
            payload={"name": "upgrade", "kind": "once", "version": 1},
        ),
    ),
    "patterns": (
        Sample(
            (
                "pattern.new",
                "pattern.regressed",
                "pattern.escalating",
                "pattern.calmed",
                "pattern.ongoing",
                "pattern.unignored",
                "pattern.resolve",
                "pattern.ignore",
                "pattern.reopen",
            ),
            state="new",
            payload={
                "service": "planner",
                "type": "TimeoutError",
                "template": "timed out after <*> s",
                "state": "new",
                "before": "resolved",
                "count": 1,
                "reason": "an error came after it was resolved",
                "limit": 10,
                "in_hour": 1,
                "window_seconds": 3600,
            },
        ),
        Sample(("pattern.untold",), "", service="", payload={"count": 5}),
    ),
    "chains": (Sample(("chain.updated",), payload={"trace_id": "0" * 32}),),
    "anomalies": (
        Sample(
            ("anomaly_started", "anomaly_ended"),
            "planner",
            "latency_p95",
            payload={
                "id": _ID,
                "at": _AT,
                "started_at": _AT,
                "ended_at": None,
                "service": "planner",
                "metric": "latency_p95",
                "unit": "ms",
                "value": 900.0,
                "expected": 120.0,
                "lower": 80.0,
                "upper": 200.0,
                "score": 0.98,
                "window_seconds": 60,
            },
        ),
    ),
    "predictions": (
        Sample(
            ("prediction_made", "prediction_settled"),
            "planner",
            "breaker_open",
            payload={
                "id": _ID,
                "service": "planner",
                "kind": "breaker_open",
                "probability": 0.82,
                "confidence": 0.7,
                "horizon_seconds": 3600,
                "made_at": _AT,
                "due_at": _AT,
                "method": "model",
                "reasons": [],
                "outcome": "hit",
                "settled_at": _AT,
                "failed_at": None,
                "lead_seconds": 60.0,
            },
        ),
    ),
    "releases": (
        Sample(
            ("release_first_seen",),
            "planner",
            payload={
                "version": "1.2.3",
                "environment": "production",
                "previous": "1.2.2",
                "first_seen": _AT,
            },
        ),
    ),
    "services": (
        Sample(("service.new", "service.changed"), "planner", service=""),
        Sample(("service.silent",), "planner", payload={"last_heard": _AT, "minutes": 60}),
        Sample(("service.heard",), "planner", payload={"seconds": 1200.0}),
    ),
    "ingest": (
        Sample(
            ("key.heard", "key.retired"),
            "1",
            service="",
            payload={"name": "planner's key", "prefix": "rcp_i_abcd"},
        ),
    ),
    "control": (
        Sample(
            ("command.reported",),
            "planner",
            "done",
            payload={"instance": "planner-1", "command": _ID},
        ),
    ),
    "healing": (
        Sample(
            (
                "run.created",
                "run.refused",
                "run.approved",
                "run.started",
                "run.verifying",
                "run.succeeded",
                "run.failed",
                "run.rolled_back",
                "run.escalated",
                "run.cancelled",
                "run.failed_again",
            ),
            state="escalated",
            payload={
                "workflow": "heal_connection_pool",
                "target": "planner",
                "target_kind": "service",
                "service": "planner",
                "mode": "auto",
                "trigger": "Check planner-pool of planner is down: no connection is free",
                "text": "The target was not well within 5 minutes.",
                "link": f"/healing/runs/{_ID}",
                "reason": "",
                "state": "escalated",
            },
        ),
        Sample(
            ("target.quarantined", "target.released"),
            "planner",
            "quarantined",
            payload={
                "target": "planner",
                "target_kind": "service",
                "service": "planner",
                "text": "planner is in quarantine: nothing heals it until a person releases it.",
                "reason": "3 runs within an hour are as many as it may have.",
                "state": "quarantined",
                "link": "/healing",
            },
        ),
        Sample(
            ("automation.stopped", "switch.stopped", "switch.started"),
            "all",
            "stopped",
            "",
            {
                "text": "The site stopped all healing: half of the services are unhealthy.",
                "reason": "half of the services are unhealthy",
                "group": "",
                "actor": "healing",
                "state": "stopped",
                "link": "/healing",
            },
        ),
        Sample(
            ("audit.overdue", "audit.well"),
            "auditor",
            "overdue",
            "",
            {
                "text": "1 due healing run was not looked at for 90 s: warm_cache on planner",
                "state": "overdue",
                "link": "/healing",
            },
        ),
        Sample(
            ("healing.chronic",),
            "planner",
            "chronic",
            payload={
                "target": "planner",
                "target_kind": "service",
                "service": "planner",
                "workflow": "warm_cache",
                "heals": 5,
                "bound": 4,
                "text": "planner was healed 5 times in 24 hours, each time with success: look why.",
                "reason": "5 heals in 24 hours, from 4 on a person should look.",
                "state": "chronic",
                "link": "/healing",
                "at": _AT,
            },
        ),
    ),
    "slos": (
        Sample(
            ("slo.created", "slo.changed", "slo.deleted"),
            payload={"service": "planner", "kind": "availability", "actor": "admin"},
        ),
    ),
    "deliveries": (
        Sample(
            ("channel.paused", "channel.changed", "channel.resumed", "channel.deleted"),
            state="paused",
            service="",
            payload={
                "channel": "ops",
                "kind": "webhook",
                "why": "10.0.0.7:9000 refused the connection",
                "by": "",
                "failing": True,
                "gone": False,
                "failures": 5,
                "since": _AT,
                "meanwhile": "Its messages go by its fallback mail.",
            },
        ),
        Sample(
            ("delivery.delivered", "delivery.failed"),
            state="failed",
            service="",
            payload={
                "delivery_id": _ID,
                "channel": "ops",
                "purpose": "alerts",
                "title": "Breaker microsoft_graph of planner is open",
                "attempts": 1,
                "error": "It answered 400 Bad Request",
                "lost": "page",
                "group_id": 1,
                "alert_ids": [_ID],
            },
        ),
    ),
    "site": (
        Sample(
            ("site.trouble_began", "site.trouble_ended"),
            "ingest",
            "fail",
            "",
            {
                "part": "ingest",
                "text": "the oldest waiting trace is 90 s late",
                "since": _AT,
                "what_works": "Telemetry is still accepted.",
            },
        ),
    ),
}


def samples_of(topic: str, kind: str) -> list[Sample]:
    """The entries of a kind as they may look; none where the journal has no such kind."""
    return [each for each in SAMPLES.get(topic, ()) if kind in each.kinds]


def kinds_of(topic: str) -> list[str]:
    """The kinds of a topic that rules can name."""
    return [kind for each in SAMPLES.get(topic, ()) for kind in each.kinds]
