"""The fifteen metrics of the resilience story: their names, units and owners.

Each has its collector in `collectors.COLLECTORS`.
"""

from __future__ import annotations

from typing import NamedTuple


class StoryMetric(NamedTuple):
    """One metric; `story` is the name that the story gives it, `kind` gauge or counter."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    owner: str
    story: str
    help: str


STORY_METRICS = (
    StoryMetric(
        "resilience_breaker_transitions",
        "counter",
        "transitions",
        ("service", "name", "from_state", "to_state"),
        "runtime",
        "Circuit breaker state transitions",
        "Changes of a circuit breaker's state",
    ),
    StoryMetric(
        "resilience_retry_attempts",
        "counter",
        "attempts",
        ("service", "dependency", "outcome"),
        "runtime",
        "Retry attempt success/failure rates",
        "Retries of calls by outcome",
    ),
    StoryMetric(
        "resilience_fallback_activations",
        "counter",
        "activations",
        ("service", "dependency", "source"),
        "runtime",
        "Fallback activation frequency",
        "Calls that a fallback answered",
    ),
    StoryMetric(
        "resilience_healing_action_success_ratio",
        "gauge",
        "ratio 0..1",
        ("action",),
        "healing",
        "Self-healing action success rates",
        "Healing actions that succeeded, of those tried in the last 24 hours",
    ),
    StoryMetric(
        "resilience_bulkhead_events",
        "counter",
        "events",
        ("service", "bulkhead", "event"),
        "runtime",
        "Bulkhead isolation events",
        "Calls rejected and breaches mitigated by a bulkhead",
    ),
    StoryMetric(
        "resilience_errors_per_second",
        "gauge",
        "errors per second",
        ("service", "operation"),
        "first-light",
        "Error rate by service and endpoint",
        "Failed calls per second over the last 5 minutes",
    ),
    StoryMetric(
        "resilience_error_patterns",
        "gauge",
        "patterns",
        ("service", "state"),
        "first-light",
        "Error correlation patterns",
        "Groups of errors by state",
    ),
    StoryMetric(
        "resilience_mean_time_to_recovery_seconds",
        "gauge",
        "seconds",
        ("service",),
        "health",
        "Mean time to recovery (MTTR)",
        "Mean time from a failure to its recovery over the last 30 days",
    ),
    StoryMetric(
        "resilience_mean_time_between_failures_seconds",
        "gauge",
        "seconds",
        ("service",),
        "health",
        "Mean time between failures (MTBF)",
        "Mean time in operation between two failures over the last 30 days",
    ),
    StoryMetric(
        "resilience_error_impact_radius",
        "gauge",
        "services",
        ("service",),
        "analytics",
        "Error impact radius",
        "Other services that the errors which began in a service reached in the last hour",
    ),
    StoryMetric(
        "resilience_health_check_duration_seconds",
        "gauge",
        "seconds",
        ("service", "check"),
        "health",
        "Health check response times",
        "Duration of the last run of a health check",
    ),
    StoryMetric(
        "resilience_dependency_availability_ratio",
        "gauge",
        "ratio 0..1",
        ("service", "dependency"),
        "health",
        "Dependency availability",
        "Time that a dependency was available, of the last 24 hours",
    ),
    StoryMetric(
        "resilience_health_score",
        "gauge",
        "score 0..100",
        ("service",),
        "health",
        "Health score trends",
        "Health score of a service",
    ),
    StoryMetric(
        "resilience_recovery_duration_seconds",
        "gauge",
        "seconds",
        ("workflow",),
        "healing",
        "Recovery workflow execution times",
        "Mean duration of a workflow's runs in the last 24 hours",
    ),
    StoryMetric(
        "resilience_healing_run_success_ratio",
        "gauge",
        "ratio 0..1",
        ("workflow",),
        "healing",
        "Automated healing success rates",
        "Healing runs that proved their effect, of those ended in the last 24 hours",
    ),
)
