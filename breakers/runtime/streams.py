"""Generators under a guard, from the first request for an item to the end.

A consumer that stops early is neither a success nor a failure, and the time that it takes between
two items does not count as the generator's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

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
