"""How a breaker's transitions and failures are put into words."""

from __future__ import annotations

import logging
from collections.abc import Callable

from breakers.runtime import events
from breakers.runtime.circuit_state import BreakerEvent, CircuitState

logger = logging.getLogger(__name__)

_LONGEST_MESSAGE = 200
_PREFIX = "resilience.breaker"


def tell(event: BreakerEvent, listeners: tuple[Callable[[BreakerEvent], object], ...]) -> None:
    """Log a transition, call the breaker's listeners and emit the event; never raises."""
    # A probe that fails, again and again while an outage lasts, is no news.
    news = event.to_state is CircuitState.OPEN and event.from_state is CircuitState.CLOSED
    logger.log(
        logging.WARNING if news else logging.INFO,
        "Circuit breaker %r: %s → %s (%s)",
        event.name, event.from_state.value, event.to_state.value, event.reason,
    )  # fmt: skip
    for listener in listeners:
        try:
            listener(event)
        except Exception:
            logger.exception("A listener of circuit breaker %r failed", event.name)
    attributes: dict[str, str | bool | int | float] = {
        f"{_PREFIX}.name": event.name,
        f"{_PREFIX}.from_state": event.from_state.value,
        f"{_PREFIX}.to_state": event.to_state.value,
        f"{_PREFIX}.reason": event.reason,
        f"{_PREFIX}.calls": event.calls,
    }
    if event.failure_rate is not None:
        attributes[f"{_PREFIX}.failure_rate"] = event.failure_rate
    if event.retry_after is not None:
        attributes[f"{_PREFIX}.retry_after"] = event.retry_after
    events.emit(f"{_PREFIX}.{event.kind}", attributes)


def described(error: BaseException) -> str:
    """Type and message as text: the exception itself would keep a request's frames alive."""
    message, kind = message_of(error), type(error).__name__
    return f"{kind}: {message[:_LONGEST_MESSAGE]}" if message else kind


def message_of(error: BaseException) -> str:
    """The message of any exception, also of one that cannot say it."""
    try:
        return str(error)
    except Exception:
        return "its message cannot be read"
