"""What the library raises into its callers, and nothing else.

Exception
 ├ ConfigError                   an argument or a variable that cannot work (at construction)
 └ ResilienceError
    ├ CallNotPermitted           a breaker rejected the call
    ├ BulkheadFull               no slot, no room in the queue, or no slot in time
    ├ DeadlineExceeded           the time of the call is over (is a TimeoutError as well)
    └ RetryBudgetExhausted       kept on `RetryResult`, never raised in place of the failure
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast


class ResilienceError(Exception):
    """The call did not take place, or not to its end, by a decision of this library."""

    retry_after: float | None = None
    """Seconds after which another try makes sense; None where nobody knows."""


class CallNotPermitted(ResilienceError):
    """A circuit breaker does not let the call through.

    `last_failure` is the type and message of the failure that counted last, as text: an exception
    would keep the frames of a request alive.
    """

    # A rejection has to be cheap: BaseException keeps the arguments, and nothing else is set.
    if TYPE_CHECKING:

        def __init__(
            self, name: str, state: str, retry_after: float | None, last_failure: str = ""
        ) -> None: ...

    @property
    def name(self) -> str:
        return cast("str", self.args[0])

    @property
    def state(self) -> str:
        return cast("str", self.args[1])

    @property
    def retry_after(self) -> float | None:  # type: ignore[override]
        return cast("float | None", self.args[2])

    @property
    def last_failure(self) -> str:
        return cast("str", self.args[3]) if len(self.args) > 3 else ""

    # Most rejections are never read, so their words are put together only for those that are.
    def __str__(self) -> str:
        text = f"circuit breaker {self.name!r} is {self.state} and rejects calls"
        if self.retry_after is not None:
            text += f"; try again in {self.retry_after:.1f} s"
        if self.last_failure:
            text += f"; the last failure was {self.last_failure}"
        return text


class BulkheadFull(ResilienceError):
    """A bulkhead has no place for the call.

    `reason` is one of `queue_full`, `timeout` (no slot within the time to wait), `shed` (a higher
    tier needed the place), `rate`, `memory` and `isolated`.
    """

    def __init__(
        self, name: str, reason: str, *, tier: str = "", retry_after: float | None = None
    ) -> None:
        self.name = name
        self.reason = reason
        self.tier = tier
        self.retry_after = retry_after

    def __str__(self) -> str:
        text = f"bulkhead {self.name!r} has no place for this call ({self.reason})"
        if self.tier:
            text += f" of tier {self.tier!r}"
        if self.retry_after is not None:
            text += f"; try again in {self.retry_after:.1f} s"
        return text


class DeadlineExceeded(ResilienceError, TimeoutError):
    """The time that the call had is over."""


class RetryBudgetExhausted(ResilienceError):
    """The retries of this dependency or request are used up; `RetryResult` carries it."""


class HTTPError(Exception):
    """An HTTP answer that is a failure, for callers whose client raises none of its own."""

    def __init__(self, status: int, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"HTTP status {status}" + (f": {message}" if message else ""))
        self.status = status
        self.retry_after = retry_after


class RateLimitError(HTTPError):
    """The dependency asks for fewer calls; `retry_after` is in seconds."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(429, message, retry_after=retry_after)


class AuthenticationError(HTTPError):
    """The dependency does not accept who calls; a new token may help."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(401, message, retry_after=retry_after)
