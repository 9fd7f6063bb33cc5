"""Every class, method and type of the story, constructed and called by name as written there."""

from __future__ import annotations

import inspect
from datetime import timedelta

import breakers.runtime as resilience
from breakers.runtime import (
    CachedResponse,
    CircuitBreaker,
    CircuitState,
    DegradationLevel,
    ErrorCorrelator,
    ErrorEvent,
    Failure,
    FallbackHandler,
    FallbackResult,
    HealingAction,
    HealingWorkflow,
    IsolationBoundary,
    IsolationResult,
    Operation,
    ResourceLimits,
    RetryManager,
    RetryPolicy,
    RetryResult,
    SelfHealingManager,
)


def takes(method: object, *names: str) -> bool:
    """Whether the method is asynchronous and has these parameters, in this order."""
    found = [name for name in inspect.signature(method).parameters if name != "self"]  # type: ignore[arg-type]
    return inspect.iscoroutinefunction(method) and tuple(found) == names


async def test_circuit_breaker() -> None:
    breaker = CircuitBreaker(failure_threshold=5, timeout=60, expected_exception=Exception)
    plain = CircuitBreaker()
    assert (plain.failure_threshold, plain.timeout) == (5, 60)
    assert (breaker.failure_threshold, breaker.timeout, breaker.failure_count) == (5, 60, 0)
    assert breaker.last_failure_time is None
    assert breaker.state is CircuitState.CLOSED

    async def add(a: int, *, b: int) -> int:
        return a + b

    assert await breaker.call(add, 1, b=2) == 3
    assert await breaker.record_success() is None  # type: ignore[func-returns-value]
    assert await breaker.record_failure(exception=ValueError()) is None  # type: ignore[func-returns-value]
    assert breaker.failure_count == 1
    assert await breaker.is_open() is False
    assert [each.value for each in CircuitState][:3] == ["closed", "open", "half_open"]


async def test_retry_manager() -> None:
    manager = RetryManager()
    policy = RetryPolicy(max_attempts=2, base_delay=0.0, max_delay=0.0)

    async def operation() -> str:
        return "done"

    result = await manager.execute_with_retry(operation=operation, retry_policy=policy)
    assert isinstance(result, RetryResult)
    assert (result.value, result.attempts) == ("done", 1)
    assert (
        await manager.calculate_backoff(attempt=3, base_delay=1.0, max_delay=30.0, jitter=False)
        == 4.0
    )
    assert await manager.should_retry(exception=TimeoutError(), attempt=1, retry_policy=policy)
    assert await manager.track_retry_budget(operation_id="list_tasks") is True
    assert takes(RetryManager.execute_with_retry, "operation", "retry_policy")
    assert takes(RetryManager.calculate_backoff, "attempt", "base_delay", "max_delay", "jitter")


async def test_fallback_handler() -> None:
    handler = FallbackHandler()

    async def yesterday(error: Exception, context: dict[str, object]) -> str:
        return "yesterday"

    await handler.register_fallback(service="graph", fallback_func=yesterday)
    result = await handler.execute_fallback(
        service="graph", original_error=OSError(), context={"plan": 1}
    )
    assert isinstance(result, FallbackResult)
    assert result.value == "yesterday"
    handler.cache.put("k", 1)
    kept = await handler.get_cached_response(cache_key="k", max_age=timedelta(minutes=5))
    assert isinstance(kept, CachedResponse)
    await handler.enable_degraded_mode(
        services=["graph"], degradation_level=DegradationLevel.REDUCED
    )
    assert [each.value for each in DegradationLevel] == [
        "normal",
        "reduced",
        "essential",
        "offline",
    ]


async def test_error_correlator() -> None:
    correlator = ErrorCorrelator()
    await correlator.track_error_chain(correlation_id="c", error=OSError("x"), context={"a": 1})
    (event,) = correlator.events()
    assert isinstance(event, ErrorEvent)
    result = await correlator.correlate_errors(error_events=[event])
    assert isinstance(result, resilience.CorrelationResult)
    (pattern,) = await correlator.analyze_error_patterns(time_window=timedelta(minutes=15))
    assert isinstance(pattern, resilience.ErrorPattern)
    report = await correlator.generate_error_impact_report(error_id=event.id)
    assert isinstance(report, resilience.ImpactReport)


async def test_self_healing_manager() -> None:
    manager = SelfHealingManager()

    @manager.action("recycle", undo=lambda parameters: None, heals="OSError")
    def recycle(parameters: object) -> None:
        """Nothing to do."""

    correlator = ErrorCorrelator()
    await correlator.track_error_chain("c", OSError("x"), {})
    (pattern,) = await correlator.analyze_error_patterns(timedelta(minutes=1))
    opportunity = await manager.detect_healing_opportunity(error_pattern=pattern)
    assert isinstance(opportunity, resilience.HealingOpportunity)
    action = HealingAction("recycle")
    result = await manager.execute_healing_workflow(workflow=HealingWorkflow("heal", [action]))
    assert isinstance(result, resilience.HealingResult)
    assert await manager.verify_healing_success(healing_action=action) is True
    back = await manager.rollback_healing_action(action_id=action.id)
    assert isinstance(back, resilience.RollbackResult)


async def test_bulkhead_manager() -> None:
    manager = resilience.BulkheadManager()
    boundary = await manager.create_isolation_boundary(
        resource_type="graph", limits=ResourceLimits()
    )
    assert isinstance(boundary, IsolationBoundary)
    assert await manager.enforce_resource_limits(operation=Operation("sync"), boundary=boundary)
    assert await manager.detect_isolation_breach(boundary=boundary) is None
    isolated = await manager.isolate_failure_domain(failure=Failure("graph"))
    assert isinstance(isolated, IsolationResult)
    assert resilience.Breach("slot_overdue", "graph", "held", "reclaim").kind == "slot_overdue"


def test_the_dictionaries_are_the_story_s() -> None:
    assert resilience.CIRCUIT_BREAKER_CONFIG == {
        "microsoft_graph": {
            "failure_threshold": 3,
            "timeout_seconds": 120,
            "half_open_max_calls": 2,
        },
        "redis": {"failure_threshold": 5, "timeout_seconds": 30, "half_open_max_calls": 3},
        "database": {"failure_threshold": 3, "timeout_seconds": 60, "half_open_max_calls": 2},
    }
    retries = {
        name: (entry["max_attempts"], entry["base_delay_ms"], entry["max_delay_ms"])
        for name, entry in resilience.RETRY_POLICIES.items()
    }
    assert retries == {
        "transient_errors": (3, 1000, 10000),
        "rate_limiting": (5, 2000, 60000),
        "authentication": (2, 5000, 15000),
    }
    boundaries = {name: tuple(e.values()) for name, e in resilience.ISOLATION_BOUNDARIES.items()}
    assert boundaries == {
        "critical_operations": (10, 50, 30),
        "user_operations": (20, 100, 60),
        "background_tasks": (5, 200, 300),
    }
    for entry in resilience.RETRY_POLICIES.values():
        policy = RetryPolicy.from_dict(entry)
        assert policy.exceptions == tuple(entry["exceptions"])
