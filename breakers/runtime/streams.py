"""Generators under a guard, from the first request for an item to the end.

A consumer that stops early is neither a success nor a failure, and the time that it takes between
two items does not count as the generator's.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from breakers.runtime.guards import Guard


def generator(guard: Guard, func: Callable[..., Any]) -> Callable[..., Any]:
    """A generator function that makes `func`'s items under `guard`."""

    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        granted = guard.acquire()
        clock = guard._clock
        spent = 0.0
        sent: Any = None
        thrown: BaseException | None = None
        try:
            items = func(*args, **kwargs)
            while True:
                began = clock()
                try:
                    item = items.send(sent) if thrown is None else items.throw(thrown)
                finally:
                    spent += clock() - began
                sent = thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    items.close()
                    raise
                except BaseException as error:
                    thrown = error
        except StopIteration as stop:
            granted.success(spent)
            return stop.value
        except BaseException as error:
            granted.failure(error, spent)
            raise

    return guarded


def async_generator(guard: Guard, func: Callable[..., Any]) -> Callable[..., Any]:
    """The same for an asynchronous generator function."""

    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        granted = await guard.acquire_async()
        clock = guard._clock
        spent = 0.0
        sent: Any = None
        thrown: BaseException | None = None
        try:
            items = func(*args, **kwargs)
            while True:
                began = clock()
                try:
                    item = await (items.asend(sent) if thrown is None else items.athrow(thrown))
                finally:
                    spent += clock() - began
                sent = thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    await items.aclose()
                    raise
                except BaseException as error:
                    thrown = error
        except StopAsyncIteration:
            granted.success(spent)
        except BaseException as error:
            granted.failure(error, spent)
            raise

    return guarded


class Begun(NamedTuple):
    """A generator and its first item, or that it had none and what it returned."""

    items: Any
    value: Any
    ended: bool


def begin(func: Callable[..., Any], args: Any, kwargs: Any) -> Begun:
    """Start a generator as far as its first item."""
    items = func(*args, **kwargs)
    try:
        return Begun(items, next(items), False)
    except StopIteration as stop:
        return Begun(items, stop.value, True)


async def begin_async(func: Callable[..., Any], args: Any, kwargs: Any) -> Begun:
    """The same for an asynchronous generator."""
    items = func(*args, **kwargs)
    try:
        return Begun(items, await anext(items), False)
    except StopAsyncIteration:
        return Begun(items, None, True)


def rest(begun: Begun) -> Generator[Any, Any, Any]:
    """All items of a generator that was started; what is sent and thrown goes to it."""
    items, item, ended = begun
    while not ended:
        try:
            sent = yield item
        except GeneratorExit:
            items.close()
            raise
        except BaseException as thrown:
            step = functools.partial(items.throw, thrown)
        else:
            step = functools.partial(items.send, sent)
        try:
            item = step()
        except StopIteration as stop:
            return stop.value
        finally:
            del step
    return item


def restartable(call: Callable[..., Any], func: Callable[..., Any]) -> Callable[..., Any]:
    """A generator function whose start goes through `call`, and the rest straight to its reader."""

    def restarted(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from rest(call(begin, func, args, kwargs)))

    return restarted


def restartable_async(call: Callable[..., Any], func: Callable[..., Any]) -> Callable[..., Any]:
    """The same for an asynchronous generator function."""

    async def restarted(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        items, item, ended = await call(begin_async, func, args, kwargs)
        while not ended:
            try:
                sent = yield item
            except GeneratorExit:
                await items.aclose()
                raise
            except BaseException as thrown:
                step = functools.partial(items.athrow, thrown)
            else:
                step = functools.partial(items.asend, sent)
            try:
                item = await step()
            except StopAsyncIteration:
                return
            finally:
                del step

    return restarted
