"""Every variable of the resilience story: its default, its owner, and what flipping it changes.

A row whose effect stands here is executed; a row without one belongs to an area that is yet to be
built. Parsing a variable is not enough: each must change what can be observed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from resilience_site.config import SiteConfig, config
from tests.healing.story_effects import EFFECTS as HEALING
from tests.runtime.story_effects import EFFECTS

STORIES = Path(__file__).resolve().parents[2] / "shared" / "seed"
AREAS = {"first-light", "runtime", "health", "analytics", "alerts", "healing"}

Effect = Callable[[], None]


class Row(NamedTuple):
    """`default` as the story writes it, the area that `owner`s the effect, and the effect."""

    default: str
    owner: str
    effect: Effect | None = None


# --- Effects ---------------------------------------------------------------------------------


def tracing() -> None:
    """The site traces its own requests, or leaves its application as it is."""
    from resilience_site import otel

    async def application(scope: Any, receive: Any, send: Any) -> None:
        pass

    with config.override(distributed_tracing_enabled=True):
        assert otel.observed(application) is not application
    with config.override(distributed_tracing_enabled=False):
        assert otel.observed(application) is application
        otel.setup("web")
        assert not otel._connections


def correlation() -> None:
    """The errors of a trace become a chain, or stay single."""
    from analytics.models import CorrelationChain

    with config.override(error_correlation_enabled=False):
        store(failing_span(trace="a" * 32))
        build_chains()
    assert CorrelationChain.objects.count() == 0
    with config.override(error_correlation_enabled=True):
        store(failing_span(trace="b" * 32))
        build_chains()
    assert [chain.trace_id for chain in CorrelationChain.objects.all()] == ["b" * 32]


def correlation_window() -> None:
    """Errors of one correlation id, twenty minutes apart, are one chain or two."""
    from analytics.models import CorrelationChain

    def chains(correlation_id: str) -> int:
        for minutes in (20, 0):
            store_log_error(correlation_id, NOW - timedelta(minutes=minutes))
        build_chains()
        return CorrelationChain.objects.filter(correlation_id=correlation_id).count()

    with config.override(error_correlation_window_minutes=15.0):
        assert chains("request-narrow") == 2
    with config.override(error_correlation_window_minutes=60.0):
        assert chains("request-wide") == 1


def pattern_analysis() -> None:
    """Errors are grouped into patterns, or each stays without one."""
    from analytics.models import ErrorEvent, ErrorPattern

    with config.override(error_pattern_analysis_enabled=False):
        store(failing_span(trace="a" * 32))
    assert ErrorPattern.objects.count() == 0
    assert ErrorEvent.objects.get().pattern_id is None
    with config.override(error_pattern_analysis_enabled=True):
        store(failing_span(trace="b" * 32), failing_span(trace="c" * 32))
    assert ErrorPattern.objects.get().count == 2


def retention() -> None:
    """Items older than the retention are refused one by one, and their partitions dropped."""
    from analytics.models import ErrorEvent
    from analytics.models import partitions as tables
    from resilience_site.core import partitions

    old = NOW - timedelta(days=10)
    partition = tables.ERRORS.name(tables.ERRORS.floor(old))
    with config.override(error_retention_days=30):
        assert store(failing_span(trace="a" * 32, at=old)).rejections == []
        assert partition not in partitions.drop_expired(NOW)
        assert ErrorEvent.objects.count() == 1
    with config.override(error_retention_days=7):
        result = store(failing_span(trace="b" * 32, at=old), failing_span(trace="c" * 32))
        [rejection] = result.rejections
        assert (result.stored, rejection.count) == (1, 1)
        assert "ERROR_RETENTION_DAYS" in rejection.reason
        assert partition in partitions.drop_expired(NOW)
        assert ErrorEvent.objects.get().trace_id == "c" * 32


def analytics_at_all() -> None:
    """Errors are analysed, or stored and no more."""
    from analytics.models import ErrorEvent, ErrorPattern

    with config.override(error_analytics_enabled=False):
        store(failing_span(trace="a" * 32))
    assert ErrorPattern.objects.count() == 0
    assert ErrorEvent.objects.count() == 1
    with config.override(error_analytics_enabled=True):
        store(failing_span(trace="b" * 32))
    assert ErrorPattern.objects.count() == 1


def trend_analysis() -> None:
    """A trend says what is more than chance in it, or that this is switched off."""
    from analytics.selectors.trends import trend_read
    from resilience_site.core.timerange import TimeRange

    day = TimeRange(NOW - timedelta(days=1), NOW)

    def off() -> bool:
        told = trend_read("error_rate", day, now=NOW).missing.values()
        return any("ERROR_TREND_ANALYSIS" in each for each in told)

    with config.override(error_trend_analysis=False):
        assert off()
    with config.override(error_trend_analysis=True):
        assert not off()


def prediction() -> None:
    """Signs of a failure foretell it, or nothing is foretold."""
    from analytics.models import Prediction, Sign
    from analytics.services.predictions import predictions_make

    minute = NOW.replace(second=0) - timedelta(minutes=1)
    for kind, count in (("retries", 30), ("errors:ConnectionError", 12)):
        Sign.objects.create(service="planner", minute=minute, kind=kind, count=count)
    with config.override(predictive_failure_detection=False):
        assert predictions_make(now=NOW) == 0
    with config.override(predictive_failure_detection=True):
        assert predictions_make(now=NOW) == 1
    assert Prediction.objects.get().kind == "breaker_open"


NOW = datetime.now(UTC).replace(microsecond=0)


def failing_span(
    *, trace: str, at: datetime = NOW, attributes: dict[str, Any] | None = None
) -> Any:
    from analytics.domain.telemetry import Resource, SpanEvent, SpanRecord

    start = int(at.timestamp()) * 10**9
    exception = {
        "exception.type": "ConnectionError",
        "exception.message": "graph refused",
        **(attributes or {}),
    }
    return SpanRecord(
        Resource("planner", "", "planner-1", "", "python", "", {}),
        "tests",
        trace,
        trace[:16],
        "",
        "GET tasks",
        3,
        start,
        start + 1_000_000,
        2,
        "",
        {},
        [SpanEvent("exception", start + 1_000_000, exception)],
        [],
    )


def store_log_error(correlation_id: str, at: datetime) -> None:
    """An exception log record without a trace, tied to others by its correlation id alone."""
    from analytics.domain.telemetry import Decoded, LogRecord, Resource
    from analytics.services.ingest_logs import store_logs

    time_ns = int(at.timestamp()) * 10**9
    attributes = {
        "exception.type": "ConnectionError",
        "exception.message": "graph refused",
        "correlation.id": correlation_id,
    }
    resource = Resource("planner", "", "planner-1", "", "python", "", {})
    record = LogRecord(
        resource, "tests", time_ns, time_ns, 17, "ERROR", "", "failed", attributes, "", ""
    )
    store_logs(Decoded([record], []), received_at=NOW)


def store(*spans: Any) -> Any:
    from analytics.domain.telemetry import Decoded
    from analytics.services.ingest import store_spans

    return store_spans(Decoded(list(spans), []), received_at=NOW)


def build_chains() -> None:
    from analytics.services.chains import chains_build

    chains_build(now=NOW + timedelta(minutes=5))


# --- The table -------------------------------------------------------------------------------


def proactive_alerting() -> None:
    """An alert that waits in the outbox is taken up by a sender, or stays there."""
    from alerting.choices import Purpose
    from alerting.domain.messages import Message
    from alerting.models import Channel
    from alerting.services.outbox import delivery_enqueue
    from alerting.services.sending.claims import claim_due, due_exists

    channel = Channel.objects.create(kind="webhook", name="ops", created_at=NOW, changed_at=NOW)
    told = Message(title="The planner is down", text="It does not answer.")
    waiting = delivery_enqueue(channel=channel, message=told, purpose=Purpose.ALERTS, now=NOW)
    with config.override(proactive_alerting_enabled=False):
        assert not due_exists(NOW)
        assert claim_due(now=NOW) == []
    with config.override(proactive_alerting_enabled=True):
        assert due_exists(NOW)
        assert [each.delivery for each in claim_due(now=NOW)] == [waiting]


ROWS = {
    "CIRCUIT_BREAKER_ENABLED": Row("true", "runtime", EFFECTS["CIRCUIT_BREAKER_ENABLED"]),
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": Row(
        "5", "runtime", EFFECTS["CIRCUIT_BREAKER_FAILURE_THRESHOLD"]
    ),
    "CIRCUIT_BREAKER_TIMEOUT_SECONDS": Row(
        "60", "runtime", EFFECTS["CIRCUIT_BREAKER_TIMEOUT_SECONDS"]
    ),
    "CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS": Row(
        "3", "runtime", EFFECTS["CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS"]
    ),
    "GRAPH_API_CIRCUIT_BREAKER_ENABLED": Row(
        "true", "runtime", EFFECTS["GRAPH_API_CIRCUIT_BREAKER_ENABLED"]
    ),
    "GRAPH_API_FAILURE_THRESHOLD": Row("3", "runtime", EFFECTS["GRAPH_API_FAILURE_THRESHOLD"]),
    "GRAPH_API_TIMEOUT_SECONDS": Row("120", "runtime", EFFECTS["GRAPH_API_TIMEOUT_SECONDS"]),
    "REDIS_CIRCUIT_BREAKER_ENABLED": Row(
        "true", "runtime", EFFECTS["REDIS_CIRCUIT_BREAKER_ENABLED"]
    ),
    "REDIS_FAILURE_THRESHOLD": Row("5", "runtime", EFFECTS["REDIS_FAILURE_THRESHOLD"]),
    "REDIS_TIMEOUT_SECONDS": Row("30", "runtime", EFFECTS["REDIS_TIMEOUT_SECONDS"]),
    "DATABASE_CIRCUIT_BREAKER_ENABLED": Row(
        "true", "runtime", EFFECTS["DATABASE_CIRCUIT_BREAKER_ENABLED"]
    ),
    "DATABASE_FAILURE_THRESHOLD": Row("3", "runtime", EFFECTS["DATABASE_FAILURE_THRESHOLD"]),
    "DATABASE_TIMEOUT_SECONDS": Row("60", "runtime", EFFECTS["DATABASE_TIMEOUT_SECONDS"]),
    "RETRY_ENABLED": Row("true", "runtime", EFFECTS["RETRY_ENABLED"]),
    "RETRY_MAX_ATTEMPTS": Row("3", "runtime", EFFECTS["RETRY_MAX_ATTEMPTS"]),
    "RETRY_BASE_DELAY_MS": Row("1000", "runtime", EFFECTS["RETRY_BASE_DELAY_MS"]),
    "RETRY_MAX_DELAY_MS": Row("30000", "runtime", EFFECTS["RETRY_MAX_DELAY_MS"]),
    "RETRY_JITTER_ENABLED": Row("true", "runtime", EFFECTS["RETRY_JITTER_ENABLED"]),
    "RETRY_BUDGET_ENABLED": Row("true", "runtime", EFFECTS["RETRY_BUDGET_ENABLED"]),
    "RETRY_BUDGET_LIMIT": Row("100", "runtime", EFFECTS["RETRY_BUDGET_LIMIT"]),
    "FALLBACK_ENABLED": Row("true", "runtime", EFFECTS["FALLBACK_ENABLED"]),
    "FALLBACK_CACHE_ENABLED": Row("true", "runtime", EFFECTS["FALLBACK_CACHE_ENABLED"]),
    "FALLBACK_CACHE_MAX_AGE_MINUTES": Row(
        "60", "runtime", EFFECTS["FALLBACK_CACHE_MAX_AGE_MINUTES"]
    ),
    "DEGRADED_MODE_ENABLED": Row("true", "runtime", EFFECTS["DEGRADED_MODE_ENABLED"]),
    "FEATURE_TOGGLES_ENABLED": Row("true", "runtime", EFFECTS["FEATURE_TOGGLES_ENABLED"]),
    "ERROR_CORRELATION_ENABLED": Row("true", "first-light", correlation),
    "DISTRIBUTED_TRACING_ENABLED": Row("true", "first-light", tracing),
    "ERROR_CORRELATION_WINDOW_MINUTES": Row("15", "first-light", correlation_window),
    "ERROR_PATTERN_ANALYSIS_ENABLED": Row("true", "first-light", pattern_analysis),
    "SELF_HEALING_ENABLED": Row("true", "healing", HEALING["SELF_HEALING_ENABLED"]),
    "AUTO_RESTART_ENABLED": Row("true", "healing", HEALING["AUTO_RESTART_ENABLED"]),
    "CONNECTION_POOL_HEALING_ENABLED": Row(
        "true", "healing", HEALING["CONNECTION_POOL_HEALING_ENABLED"]
    ),
    "CACHE_WARMING_ON_FAILURE": Row("true", "healing", HEALING["CACHE_WARMING_ON_FAILURE"]),
    "HEALING_VERIFICATION_TIMEOUT": Row("300", "healing", HEALING["HEALING_VERIFICATION_TIMEOUT"]),
    "BULKHEAD_ISOLATION_ENABLED": Row("true", "runtime", EFFECTS["BULKHEAD_ISOLATION_ENABLED"]),
    "CRITICAL_OPERATION_THREAD_POOL_SIZE": Row(
        "10", "runtime", EFFECTS["CRITICAL_OPERATION_THREAD_POOL_SIZE"]
    ),
    "USER_TIER_ISOLATION_ENABLED": Row("true", "runtime", EFFECTS["USER_TIER_ISOLATION_ENABLED"]),
    "RESOURCE_LIMIT_ENFORCEMENT": Row("true", "runtime", EFFECTS["RESOURCE_LIMIT_ENFORCEMENT"]),
    "HEALTH_CHECKS_ENABLED": Row("true", "health"),
    "DEEP_HEALTH_CHECKS_ENABLED": Row("true", "health"),
    "HEALTH_CHECK_INTERVAL_SECONDS": Row("30", "health"),
    "HEALTH_CHECK_TIMEOUT_SECONDS": Row("10", "health"),
    "AUTOMATED_RECOVERY_ENABLED": Row("true", "healing", HEALING["AUTOMATED_RECOVERY_ENABLED"]),
    "ERROR_ANALYTICS_ENABLED": Row("true", "analytics", analytics_at_all),
    "PREDICTIVE_FAILURE_DETECTION": Row("true", "analytics", prediction),
    "ERROR_TREND_ANALYSIS": Row("true", "analytics", trend_analysis),
    "PROACTIVE_ALERTING_ENABLED": Row("true", "alerts", proactive_alerting),
    "ERROR_RETENTION_DAYS": Row("30", "first-light", retention),
}


# --- Tests -----------------------------------------------------------------------------------


@pytest.mark.shared
def test_the_table_names_exactly_the_storys_variables() -> None:
    stories = sorted(STORIES.glob("story-2.4-*.md"))
    if not stories:
        pytest.skip("the story stands beside the checkout, and is absent here")
    block = re.search(r"```env\n(.*?)```", stories[0].read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    written = dict(re.findall(r"^([A-Z_]+)=(\S+)$", block.group(1), re.MULTILINE))
    assert written == {name: row.default for name, row in ROWS.items()}


@pytest.mark.parametrize("name", ROWS)
def test_the_configuration_has_the_variable_with_its_default_and_owner(name: str) -> None:
    variable = SiteConfig.variables()[name]
    assert variable.parse(ROWS[name].default) == variable.default
    assert variable.owner == ROWS[name].owner


def test_every_owner_is_an_area() -> None:
    assert {row.owner for row in ROWS.values()} <= AREAS


def test_every_row_of_a_built_area_has_its_effect() -> None:
    built = {row.owner for row in ROWS.values() if row.effect}
    assert [name for name, row in ROWS.items() if row.owner in built and not row.effect] == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.effect])
def test_flipping_the_variable_changes_what_can_be_observed(name: str) -> None:
    effect = ROWS[name].effect
    assert effect is not None
    effect()
