"""The client library of the resilience control plane: plain Python, for any service.

    import breakers.runtime as resilience

    resilience.connect("http://127.0.0.1:8000", key="…", service="planner-mcp-server")

    @resilience.protect("microsoft_graph", criticality="high", fallback=cached_tasks, timeout=10)
    async def list_tasks(plan_id): ...

`protect` works without a site. Once connected, the process's spans, metrics and events arrive
there, and the process works by what people decide there (overrides, toggles, degraded modes). The
library fails open: whatever happens to the site, the caller's work goes on, by the last of it.

What it raises into its callers, besides their own exceptions:

    Exception
     ├ ConfigError                   an argument or a variable that cannot work; at construction
     └ ResilienceError
        ├ CallNotPermitted           a circuit breaker rejected the call
        ├ BulkheadFull               no slot, no room in the queue, or no slot in time
        ├ DeadlineExceeded           the time of the call is over (is a TimeoutError as well)
        └ RetryBudgetExhausted       kept on `RetryResult`, never raised in place of the failure
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from breakers.runtime.breaches import Breach, BreachWatcher
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.cache import CachedResponse, ResponseCache
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import (
    BreakerEvent,
    BreakerPolicy,
    BreakerSnapshot,
    CircuitState,
)
from breakers.runtime.classification import Verdict, classify
from breakers.runtime.deadlines import deadline
from breakers.runtime.defaults import CIRCUIT_BREAKER_CONFIG, ISOLATION_BOUNDARIES, RETRY_POLICIES
from breakers.runtime.degradation import Degradation, DegradationLevel
from breakers.runtime.errors import (
    AuthenticationError,
    BulkheadFull,
    CallNotPermitted,
    DeadlineExceeded,
    HTTPError,
    RateLimitError,
    ResilienceError,
    RetryBudgetExhausted,
)
from breakers.runtime.failure_codes import Classification
from breakers.runtime.failure_domains import FailureDomain
from breakers.runtime.fallback import FallbackHandler, FallbackResult, collect_served
from breakers.runtime.isolation import (
    BulkheadManager,
    Failure,
    IsolationBoundary,
    IsolationResult,
    Operation,
    ResourceLimits,
)
from breakers.runtime.layers import Key
from breakers.runtime.permit import Permit
from breakers.runtime.process import default
from breakers.runtime.registry import BreakerRegistry
from breakers.runtime.resilience import Resilience
from breakers.runtime.retry import Retry
from breakers.runtime.retry_budget import RetryBudget, request_budget
from breakers.runtime.retry_manager import RetryManager
from breakers.runtime.retry_policy import Criticality, RetryPolicy, RetryResult
from breakers.runtime.thread_pool import ThreadPoolBulkhead
from breakers.runtime.tiers import Tier, current_tier, tier
from breakers.runtime.toggles import Toggles
from breakers.runtime.variables import ClientVariables, ConfigError

if TYPE_CHECKING:
    from breakers.runtime.adaptive_limit import AdaptiveLimit
    from breakers.runtime.connection import Connection, connect
    from breakers.runtime.control_status import ControlStatus
    from breakers.runtime.error_correlator import (
        CorrelationResult,
        ErrorCorrelator,
        ErrorEvent,
        ErrorPattern,
        ImpactReport,
    )
    from breakers.runtime.hedging import Hedge
    from breakers.runtime.redis_cache import RedisStore
    from breakers.runtime.self_healing import (
        HealingAction,
        HealingOpportunity,
        HealingResult,
        HealingWorkflow,
        RollbackResult,
        SelfHealingManager,
    )
    from breakers.runtime.shared_state import SharedState, share

P = ParamSpec("P")
R = TypeVar("R")

# The module of each name that no protected call needs. It is imported where the name is first asked
# for, so that `import breakers.runtime` stays fast; what types such a name has stands above.
_LATER = {
    "AdaptiveLimit": "adaptive_limit",
    "Connection": "connection",
    "connect": "connection",
    "ControlStatus": "control_status",
    "CorrelationResult": "error_correlator",
    "ErrorCorrelator": "error_correlator",
    "ErrorEvent": "error_correlator",
    "ErrorPattern": "error_correlator",
    "ImpactReport": "error_correlator",
    "Hedge": "hedging",
    "RedisStore": "redis_cache",
    "HealingAction": "self_healing",
    "HealingOpportunity": "self_healing",
    "HealingResult": "self_healing",
    "HealingWorkflow": "self_healing",
    "RollbackResult": "self_healing",
    "SelfHealingManager": "self_healing",
    "SharedState": "shared_state",
    "share": "shared_state",
}


def protect(
    dependency: str,
    *,
    criticality: Criticality = "medium",
    fallback: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    cache_key: Key | None = None,
    cache: ResponseCache | None = None,
    except_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    timeout: float | None = None,
    bulkhead: str | Bulkhead | None = None,
    retry: RetryPolicy | Retry | bool = True,
    idempotent: bool | None = None,
    breaker: CircuitBreaker | bool = True,
    key: Key | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Protect every call of a function to `dependency`; see `Resilience.protect`."""
    return default().protect(
        dependency,
        criticality=criticality,
        fallback=fallback,
        cache_key=cache_key,
        cache=cache,
        except_on=except_on,
        timeout=timeout,
        bulkhead=bulkhead,
        retry=retry,
        idempotent=idempotent,
        breaker=breaker,
        key=key,
    )


def breaker(name: str, **arguments: Any) -> CircuitBreaker:
    """The circuit breaker `name`, made at the first request; see `BreakerRegistry.breaker`."""
    return default().breaker(name, **arguments)


def healing_action(
    name: str,
    *,
    verify: Callable[[Mapping[str, Any]], Any] | None = None,
    undo: Callable[[Mapping[str, Any]], Any] | None = None,
    heals: str | Sequence[str] = (),
) -> Callable[[Callable[[Mapping[str, Any]], Any]], Callable[[Mapping[str, Any]], Any]]:
    """Register a handler that heals this process when the site asks for it by `name`; see
    `SelfHealingManager.action`.

        @resilience.healing_action("recycle_pool")
        def recycle_pool(parameters): ...

    It runs on a thread of its own, a coroutine in a loop of its own: what belongs to another loop
    is called there (`asyncio.run_coroutine_threadsafe`). What it returns is reported to the site.
    """
    return default().healing.action(name, verify=verify, undo=undo, heals=heals)


def apply(document: Mapping[str, Any]) -> None:
    """Work by a control document of the site; see `Resilience.apply`."""
    default().apply(document)


if not TYPE_CHECKING:  # else a name that is misspelt would pass for one of these

    def __getattr__(name: str) -> Any:
        """What is imported only where it is asked for; once, then it is an attribute like others."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "CIRCUIT_BREAKER_CONFIG",
    "ISOLATION_BOUNDARIES",
    "RETRY_POLICIES",
    "AdaptiveLimit",
    "AuthenticationError",
    "Breach",
    "BreachWatcher",
    "BreakerEvent",
    "BreakerPolicy",
    "BreakerRegistry",
    "BreakerSnapshot",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadManager",
    "CachedResponse",
    "CallNotPermitted",
    "CircuitBreaker",
    "CircuitState",
    "Classification",
    "ClientVariables",
    "ConfigError",
    "Connection",
    "ControlStatus",
    "CorrelationResult",
    "Criticality",
    "DeadlineExceeded",
    "Degradation",
    "DegradationLevel",
    "ErrorCorrelator",
    "ErrorEvent",
    "ErrorPattern",
    "Failure",
    "FailureDomain",
    "FallbackHandler",
    "FallbackResult",
    "HTTPError",
    "HealingAction",
    "HealingOpportunity",
    "HealingResult",
    "HealingWorkflow",
    "Hedge",
    "ImpactReport",
    "IsolationBoundary",
    "IsolationResult",
    "Operation",
    "Permit",
    "RateLimitError",
    "RedisStore",
    "Resilience",
    "ResilienceError",
    "ResourceLimits",
    "ResponseCache",
    "Retry",
    "RetryBudget",
    "RetryBudgetExhausted",
    "RetryManager",
    "RetryPolicy",
    "RetryResult",
    "RollbackResult",
    "SelfHealingManager",
    "SharedState",
    "ThreadPoolBulkhead",
    "Tier",
    "Toggles",
    "Verdict",
    "apply",
    "breaker",
    "classify",
    "collect_served",
    "connect",
    "current_tier",
    "deadline",
    "default",
    "healing_action",
    "protect",
    "request_budget",
    "share",
    "tier",
]
