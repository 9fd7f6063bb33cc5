"""One decorator for a call to a dependency: all layers in their order, from the names alone.

    @protect("microsoft_graph", criticality="high", fallback=cached_tasks, timeout=10)
    async def list_tasks(plan_id): ...

Outermost first: fallback → deadline → bulkhead → retry (with budget) → breaker → the call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakers.runtime import checks, streams
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.cache import ResponseCache
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.classification import is_answer
from breakers.runtime.deadlines import deadline
from breakers.runtime.fallback import FallbackHandler, FallbackResult, note_failure, note_served
from breakers.runtime.retry import Retry

Key = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Layers:
    """What a call goes through; None leaves a layer out. `timeout` is in seconds.

    `breaker_of` finds the breaker of one call by its arguments, instead of `breaker`.
    """

    dependency: str
    answers: Answers | None = None
    timeout: float | None = None
    bulkhead: Bulkhead | None = None
    retry: Retry | None = None
    breaker: CircuitBreaker | None = None
    breaker_of: Callable[..., CircuitBreaker] | None = None

    def around(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """`func` behind these layers."""
        if inspect.isasyncgenfunction(func) or inspect.isgeneratorfunction(func):
            wrapped = self._around_stream(func)
        elif inspect.iscoroutinefunction(func):
            wrapped = self._around_coroutine(func)
        else:
            wrapped = self._around_plain(func)
        return func if wrapped is func else functools.wraps(func)(wrapped)

    def _around_plain(self, func: Callable[..., Any]) -> Callable[..., Any]:
        call = self._guarded(func)
        timeout, answers = self.timeout, self.answers

        def protected(*args: Any, **kwargs: Any) -> Any:
            if timeout is None:
                return call(*args, **kwargs)
            with deadline(timeout):
                return call(*args, **kwargs)

        inside = call if timeout is None else protected
        if answers is None:
            return inside
        if answers.keeps:

            def kept(*args: Any, **kwargs: Any) -> Any:
                return answers.call_sync(inside, args, kwargs)

            return kept

        def answered(*args: Any, **kwargs: Any) -> Any:
            try:
                return inside(*args, **kwargs)
            except Exception as error:
                return answers.instead_sync(error, args, kwargs)

        return answered

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        call = self._guarded(func)
        timeout, answers = self.timeout, self.answers

        async def protected(*args: Any, **kwargs: Any) -> Any:
            assert timeout is not None
            async with deadline(timeout):
                return await call(*args, **kwargs)

        inside = call if timeout is None else protected
        if answers is None:
            return inside
        if answers.keeps:

            async def kept(*args: Any, **kwargs: Any) -> Any:
                return await answers.call(inside, args, kwargs)

            return kept

        async def answered(*args: Any, **kwargs: Any) -> Any:
            try:
                return await inside(*args, **kwargs)
            except Exception as error:
                return await answers.instead(error, args, kwargs)

        return answered

    def _guarded(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The call behind its breaker, retry and bulkhead."""
        wrapped = func
        if self.breaker_of is not None:
            wrapped = _by_key(self.breaker_of, func)
        elif self.breaker is not None:
            wrapped = self.breaker(wrapped)
        for layer in (self.retry, self.bulkhead):
            if layer is not None:
                wrapped = layer(wrapped)
        return wrapped

    def _around_stream(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if self.timeout is not None:
            checks.refuse(
                "timeout", self.timeout, "None for a generator, which has no end to wait for"
            )
        if self.breaker_of is not None:
            checks.refuse("key", self.breaker_of, "None for a generator")
        wrapped = self._guarded(func)
        answers = self.answers
        if answers is None or not answers.links:
            return wrapped
        if inspect.isasyncgenfunction(func):
            return _async_stream_or(wrapped, answers)
        return _stream_or(wrapped, answers)


def _by_key(find: Callable[..., CircuitBreaker], func: Callable[..., Any]) -> Callable[..., Any]:
    """`func` behind the breaker that its arguments name."""
    if inspect.iscoroutinefunction(func):

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return await find(*args, **kwargs).call(func, *args, **kwargs)

        return coroutine

    def plain(*args: Any, **kwargs: Any) -> Any:
        return find(*args, **kwargs).call_sync(func, *args, **kwargs)

    return plain


class Answers:
    """The outermost layer: kept answers, fallbacks with the call's own arguments, a handler's chain.

    `links` are functions that take what the call takes. An answer that refuses the call, such as
    HTTP 404, is no failure of the dependency and is passed on, and so are `except_on`.
    """

    def __init__(
        self,
        dependency: str,
        links: Sequence[Callable[..., Any]],
        handler: FallbackHandler,
        *,
        cache: ResponseCache | None = None,
        cache_key: Key | None = None,
        except_on: tuple[type[BaseException], ...] = (),
    ) -> None:
        for link in links:
            checks.function("fallback", link, "the call's arguments")
        self.dependency = dependency
        self.links = tuple(links)
        self._handler = handler
        self._cache = cache
        self._cache_key = cache_key
        self._except_on = except_on

    def call_sync(self, call: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The call's result, or what stands in for it."""
        key = self._key(args, kwargs)
        try:
            if key is None or self._cache is None:
                return call(*args, **kwargs)
            if self._cache.max_age:
                return self._cache.fetch_sync(key, functools.partial(call, *args, **kwargs))
            value = call(*args, **kwargs)
            self._cache.put(key, value)
            return value
        except Exception as error:
            return self.instead_sync(error, args, kwargs, key)

    def instead_sync(
        self, error: Exception, args: Any, kwargs: Mapping[str, Any], key: str | None = None
    ) -> Any:
        """What stands in for the result of a call that failed; raises `error` where nothing does."""
        if not self._covers(error):
            raise error
        kept = self._kept(key, error)
        if kept is not None:
            return kept.value
        for link in self.links:
            try:
                value = link(*args, **kwargs)
            except Exception as failure:
                note_failure(error, link, failure)
            else:
                return self._served(value, link, error)
        return self._handler.execute_fallback_sync(
            self.dependency, error, {"args": args, "kwargs": dict(kwargs)}
        ).value

    async def call(self, call: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The same for a coroutine function."""
        key = self._key(args, kwargs)
        try:
            if key is None or self._cache is None:
                return await call(*args, **kwargs)
            if self._cache.max_age:
                return await self._cache.fetch(key, functools.partial(call, *args, **kwargs))
            value = await call(*args, **kwargs)
            self._cache.put(key, value)
            return value
        except Exception as error:
            return await self.instead(error, args, kwargs, key)

    async def instead(
        self, error: Exception, args: Any, kwargs: Mapping[str, Any], key: str | None = None
    ) -> Any:
        """The same for a coroutine function."""
        if not self._covers(error):
            raise error
        kept = self._kept(key, error)
        if kept is not None:
            return kept.value
        for link in self.links:
            try:
                value = link(*args, **kwargs)
                if isinstance(value, Awaitable):
                    value = await value
            except Exception as failure:
                note_failure(error, link, failure)
            else:
                return self._served(value, link, error)
        result = await self._handler.execute_fallback(
            self.dependency, error, {"args": args, "kwargs": dict(kwargs)}
        )
        return result.value

    @property
    def keeps(self) -> bool:
        """Whether answers are kept."""
        return self._cache_key is not None and self._cache is not None

    def covers(self, error: BaseException) -> bool:
        """Whether a failure of the dependency is to be answered in its place."""
        return isinstance(error, Exception) and self._covers(error)

    def _covers(self, error: Exception) -> bool:
        return not isinstance(error, self._except_on) and not is_answer(error)

    def _key(self, args: Any, kwargs: Mapping[str, Any]) -> str | None:
        return None if self._cache_key is None else str(self._cache_key(*args, **kwargs))

    def _kept(self, key: str | None, error: BaseException) -> FallbackResult | None:
        if key is None or self._cache is None:
            return None
        kept = self._cache.get(key)
        if kept is None:
            return None
        source = "cache" if kept.fresh else "stale_cache"
        return self._result(kept.value, source, error, kept.age_seconds)

    def _served(self, value: Any, link: Callable[..., Any], error: BaseException) -> Any:
        name = getattr(link, "__name__", type(link).__name__)
        return self._result(value, f"fallback:{name}", error, None).value

    def _result(
        self, value: Any, source: str, error: BaseException, age: float | None
    ) -> FallbackResult:
        notice = self._handler.degradation.notice(self.dependency)
        result = FallbackResult(value, source, self.dependency, error, age, notice)
        note_served(result)
        return result


def _stream_or(stream: Callable[..., Any], answers: Answers) -> Callable[..., Any]:
    """The stream, or the items of a fallback where it fails before its first one."""

    def answered(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            begun = streams.begin(stream, args, kwargs)
        except Exception as error:
            if not answers.covers(error):
                raise
            begun = None
            items = answers.instead_sync(error, args, kwargs)
        if begun is None:
            return (yield from items)
        return (yield from streams.rest(begun))

    return answered


def _async_stream_or(stream: Callable[..., Any], answers: Answers) -> Callable[..., Any]:
    async def answered(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        try:
            begun = await streams.begin_async(stream, args, kwargs)
        except Exception as error:
            if not answers.covers(error):
                raise
            items = await answers.instead(error, args, kwargs)
            if hasattr(items, "__aiter__"):
                async for item in items:
                    yield item
            else:
                for item in items:
                    yield item
            return
        if not begun.ended:
            yield begun.value
            async for item in begun.items:
                yield item

    return answered
