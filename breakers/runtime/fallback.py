"""Fallbacks: another answer where the call fails, and what is known of that answer.

    handler = FallbackHandler()
    await handler.register_fallback("microsoft_graph", tasks_of_yesterday)

A chain is tried in order: the cached answer, the registered functions, the static default. What
fails on the way is noted on the original error; where nothing answers, that error is raised.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from breakers.runtime import checks, events
from breakers.runtime.announcements import described
from breakers.runtime.cache import CachedResponse, ResponseCache
from breakers.runtime.degradation import Degradation, DegradationLevel
from breakers.runtime.variables import ClientVariables, ConfigError

logger = logging.getLogger(__name__)

_MISSING = object()


@dataclass(frozen=True, slots=True)
class FallbackResult:
    """What was served in place of an answer.

    `source` is "cache", "stale_cache", "fallback:NAME" or "default"; `age_seconds` is known for
    what was cached. `notice` is what users of a degraded service may be told.
    """

    value: Any
    source: str
    service: str
    error: BaseException
    age_seconds: float | None = None
    notice: str = ""

    @property
    def degraded(self) -> bool:
        """Whether it is less than a cached answer that is still fresh."""
        return self.source != "cache"


_collected: ContextVar[list[FallbackResult] | None] = ContextVar("served", default=None)


@contextmanager
def collect_served() -> Iterator[list[FallbackResult]]:
    """Collect what fallbacks serve inside, in tasks that are started there too.

    Middleware labels answers by it: none served means fresh.
    """
    served: list[FallbackResult] = []
    token = _collected.set(served)
    try:
        yield served
    finally:
        _collected.reset(token)


def note_served(result: FallbackResult) -> None:
    """Tell that `result` was served."""
    served = _collected.get()
    if served is not None:
        served.append(result)
    attributes: dict[str, str | bool | int | float] = {
        "resilience.dependency": result.service,
        "resilience.fallback.source": result.source,
    }
    if result.age_seconds is not None:
        attributes["resilience.fallback.age_seconds"] = result.age_seconds
    events.emit("resilience.fallback.served", attributes)


class _Link(NamedTuple):
    """A registered function, or the name of another service whose chain is to be used."""

    name: str
    call: Callable[[BaseException, Mapping[str, Any]], Any] | None


class FallbackHandler:
    """Fallbacks by service, a cache of answers, and degraded modes.

    A registered function is called with the arguments that it has parameters for: `error` and
    `context` by these names, else the context as its only one, or both in that order.
    """

    def __init__(
        self,
        *,
        cache: ResponseCache | None = None,
        degradation: Degradation | None = None,
        variables: ClientVariables | None = None,
    ) -> None:
        self._variables = variables or ClientVariables()
        minutes = self._variables.fallback_cache_max_age_minutes
        self.cache = cache or ResponseCache(stale_if_error=minutes * 60)
        self.degradation = degradation or Degradation(self._variables)
        self._lock = threading.Lock()
        self._links: dict[str, list[_Link]] = {}
        self._defaults: dict[str, Any] = {}

    async def register_fallback(
        self, service: str, fallback_func: Callable[..., Any] | str
    ) -> None:
        """Let `fallback_func` answer for `service`, after those that are registered already.

        The name of another service stands for its chain. Raises ConfigError for a cycle.
        """
        self.register(service, fallback_func)

    def register(self, service: str, fallback_func: Callable[..., Any] | str) -> None:
        """The same for code that is not asynchronous."""
        with self._lock:
            if isinstance(fallback_func, str):
                self._refuse_cycle(service, fallback_func)
                link = _Link(fallback_func, None)
            else:
                checks.function("fallback_func", fallback_func, "error and context")
                name = getattr(fallback_func, "__name__", type(fallback_func).__name__)
                link = _Link(name, _bound(fallback_func))
            self._links.setdefault(service, []).append(link)

    def set_default(self, service: str, value: Any) -> None:
        """Serve `value` where nothing else answers for `service`."""
        self._defaults[service] = value

    async def execute_fallback(
        self, service: str, original_error: BaseException, context: Mapping[str, Any] | None = None
    ) -> FallbackResult:
        """What to serve in place of the answer that failed with `original_error`.

        `context["cache_key"]` names the cached answer. Raises `original_error` where nothing
        answers.
        """
        context = context or {}
        kept = self._kept(service, original_error, context)
        if kept is not None:
            return kept
        for link in self._chain(service):
            try:
                value = link.call(original_error, context) if link.call else _MISSING
                if isinstance(value, Awaitable):
                    value = await value
            except Exception as error:
                note_failure(original_error, link.name, error)
                continue
            if value is not _MISSING:
                return self._served(service, value, f"fallback:{link.name}", original_error)
        return self._default(service, original_error)

    def execute_fallback_sync(
        self, service: str, original_error: BaseException, context: Mapping[str, Any] | None = None
    ) -> FallbackResult:
        """The same for code that is not asynchronous; coroutine functions are passed over."""
        context = context or {}
        kept = self._kept(service, original_error, context)
        if kept is not None:
            return kept
        for link in self._chain(service):
            try:
                value = link.call(original_error, context) if link.call else _MISSING
                if inspect.iscoroutine(value):
                    value.close()
                    raise TypeError("a coroutine function cannot answer a plain call")
            except Exception as error:
                note_failure(original_error, link.name, error)
                continue
            if value is not _MISSING:
                return self._served(service, value, f"fallback:{link.name}", original_error)
        return self._default(service, original_error)

    async def get_cached_response(
        self, cache_key: str, max_age: timedelta | float | None = None
    ) -> CachedResponse | None:
        """The cached answer, if it is no older than `max_age` (seconds, where it is a number)."""
        if not self._variables.fallback_cache_enabled:
            return None
        return self.cache.get(cache_key, max_age)

    async def enable_degraded_mode(
        self, services: Sequence[str], degradation_level: DegradationLevel
    ) -> None:
        """Let the services run at this level."""
        for service in services:
            self.degradation.set(service, degradation_level)

    def _kept(
        self, service: str, error: BaseException, context: Mapping[str, Any]
    ) -> FallbackResult | None:
        if not self._variables.fallback_enabled:
            raise error
        key = context.get("cache_key")
        if key is None or not self._variables.fallback_cache_enabled:
            return None
        kept = self.cache.get(str(key))
        if kept is None:
            return None
        source = "cache" if kept.fresh else "stale_cache"
        return self._served(service, kept.value, source, error, kept.age_seconds)

    def _default(self, service: str, error: BaseException) -> FallbackResult:
        value = self._defaults.get(service, _MISSING)
        if value is _MISSING:
            raise error
        return self._served(service, value, "default", error)

    def _served(
        self,
        service: str,
        value: Any,
        source: str,
        error: BaseException,
        age: float | None = None,
    ) -> FallbackResult:
        notice = self.degradation.notice(service)
        result = FallbackResult(value, source, service, error, age, notice)
        note_served(result)
        return result

    def _chain(self, service: str) -> Iterator[_Link]:
        with self._lock:
            links = list(self._links.get(service, ()))
        for link in links:
            if link.call is None:
                yield from self._chain(link.name)
            else:
                yield link

    def _refuse_cycle(self, service: str, other: str) -> None:
        path, seen = [other], {other}
        while path:
            name = path.pop()
            if name == service:
                raise ConfigError(
                    f"fallback_func is {other!r}, but the fallbacks of {other!r} lead back to "
                    f"{service!r}: a chain must not be a circle"
                )
            for link in self._links.get(name, ()):
                if link.call is None and link.name not in seen:
                    seen.add(link.name)
                    path.append(link.name)


def _bound(func: Callable[..., Any]) -> Callable[[BaseException, Mapping[str, Any]], Any]:
    """`func` as a function of the error and the context, whatever of them it takes."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return lambda error, context: func()
    names = {p.name for p in parameters if p.kind is not p.VAR_POSITIONAL}
    if names & {"error", "context"} or any(p.kind is p.VAR_KEYWORD for p in parameters):
        anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
        wanted = {"error", "context"} if anything else names & {"error", "context"}

        def by_name(error: BaseException, context: Mapping[str, Any]) -> Any:
            given = {"error": error, "context": context}
            return func(**{name: given[name] for name in wanted})

        return by_name
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return func
    places = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    if places == 0:
        return lambda error, context: func()
    if places == 1:
        return lambda error, context: func(context)
    return func


def note_failure(original: BaseException, link: object, error: BaseException) -> None:
    """Log that a fallback failed too, and note it on the original error."""
    name = link if isinstance(link, str) else getattr(link, "__name__", type(link).__name__)
    logger.warning("The fallback %r failed: %s", name, described(error))
    note = f"fallback {name} failed too: {described(error)}"
    # The same error may pass through here again and again, and must not grow.
    if note not in getattr(original, "__notes__", ()):
        original.add_note(note)
