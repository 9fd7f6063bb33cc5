"""What runs in the background, and how often.

Each entry expires in the queue, so that a worker that was stopped finds no pile of them. What tells
people of alerts waits in a queue of its own (see the settings): it is needed most when all else is slow.
"""

from __future__ import annotations

from typing import Any

from resilience_site.core.taskqueue import SHORTEST_EXPIRY


def _every(seconds: int, task: str) -> dict[str, Any]:
    # The scheduler that keeps its entries in the database overlooks Celery's own "expires".
    expiry = {"expire_seconds": max(seconds // 2, SHORTEST_EXPIRY)}
    return {"task": task, "schedule": float(seconds), "options": expiry}


BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "Join errors into chains": _every(2, "analytics.tasks.chains_refresh"),
    "Join errors without a trace": _every(15, "analytics.tasks.edge_chains_build"),
    "Join calls into edges of the service map": _every(2, "analytics.tasks.edges_resolve"),
    "Run health checks": _every(10, "health.tasks.checks_run"),
    "Announce failures, follow maintenance": _every(2, "health.tasks.checks_follow"),
    "Sum up minutes of health": _every(20, "health.tasks.minutes_sum"),
    "Sum up hours of health": _every(60, "health.tasks.hours_sum"),
    "Propose dependencies that traces show": _every(10, "health.tasks.proposals_read"),
    "Forget old changes of health": _every(3600, "health.tasks.history_prune"),
    "End what was decided for a time": _every(5, "breakers.tasks.due_expire"),
    "Forget old transitions and decisions": _every(3600, "breakers.tasks.history_prune"),
    "Make partitions ahead": _every(600, "analytics.tasks.partitions_ahead"),
    "Sum up hours of calls": _every(300, "analytics.tasks.call_hours_sum"),
    "Sum up hours of metrics": _every(600, "analytics.tasks.metric_hours_sum"),
    "Find anomalies of services": _every(60, "analytics.tasks.anomalies_detect"),
    "Forget old anomalies": _every(3600, "analytics.tasks.anomalies_prune"),
    "Foresee failures of services": _every(60, "analytics.tasks.failures_foresee"),
    "Learn from failures of services": _every(3600, "analytics.tasks.failures_learn"),
    "Find which pattern precedes which": _every(300, "analytics.tasks.pattern_relations_find"),
    "Merge patterns that one template explains": _every(300, "analytics.tasks.patterns_merge"),
    "Follow error patterns": _every(60, "analytics.tasks.patterns_follow"),
    "Forget old versions of patterns": _every(3600, "analytics.tasks.pattern_releases_prune"),
    "Forecast what services will do": _every(120, "analytics.tasks.forecasts_refresh"),
    "End alerts of other systems that are not repeated": _every(
        60, "alerting.tasks.inbound_expire"
    ),
    "Forget old alerts": _every(3600, "alerting.tasks.alerts_prune"),
    "Evaluate alert rules": _every(5, "alerting.tasks.rules_evaluate"),
    "Send what waits in the outbox": _every(2, "alerting.tasks.deliveries_send"),
    "Forget old deliveries": _every(3600, "alerting.tasks.deliveries_prune"),
    "Tell people of alerts": _every(2, "alerting.tasks.alerts_dispatch"),
    "Make alerts of one cause incidents": _every(5, "alerting.tasks.incidents_follow"),
    "Find causes and impact of incidents": _every(5, "alerting.tasks.incidents_examine"),
    "Make the weekly report": _every(300, "alerting.tasks.reports_make"),
    "Notice services that fall silent": _every(60, "analytics.tasks.silences_watch"),
    "Set objectives of new services": _every(60, "analytics.tasks.slo_defaults_make"),
    "Forget old silences and groups of alerts": _every(3600, "alerting.tasks.history_prune"),
    "Find what could be healed": _every(1, "healing.tasks.failures_detect"),
    "Look at healing runs that are due": _every(1, "healing.tasks.runs_follow"),
    "End healing runs that nobody approves": _every(15, "healing.tasks.runs_reap"),
    "Prove that due healing runs are looked at": _every(15, "healing.tasks.runs_audit"),
    "End stops of healing, find chronic healing": _every(10, "healing.tasks.guards_review"),
    "Forget old healing runs": _every(3600, "healing.tasks.history_prune"),
    "Drop what is past its retention": _every(3600, "analytics.tasks.retention_apply"),
}
