"""Middleware for servers of the Model Context Protocol, made with its official SDK.

    server = MCPServer("planner", middleware=[ResilienceMiddleware(max_timeout=30)])

The caller's correlation id, tier and time come in a request's `_meta`. A tool's result carries in
its `_meta` under `resilience`: `correlation_id`; `served` (fresh, cached or degraded; failed or
rejected where it is an error) with `age_seconds`; `notices` of degraded services; and for a rejected
call `retry_after` in seconds. The SDK turns what a tool raises into text before anyone sees it, so a
tool that lets a rejection pass calls `note_rejection` first.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from breakers.runtime import checks
from breakers.runtime.classification import retry_after_of
from breakers.runtime.correlation import (
    CORRELATION_HEADER,
    TIER_HEADER,
    correlation,
    tier_of,
    timeout_of,
    valid_tier,
)
from breakers.runtime.deadlines import deadline
from breakers.runtime.degradation import Degradation
from breakers.runtime.errors import ResilienceError
from breakers.runtime.fallback import FallbackResult, collect_served
from breakers.runtime.tiers import tier

META = "resilience"
_rejections: ContextVar[list[BaseException] | None] = ContextVar("rejections", default=None)


def note_rejection(error: BaseException) -> None:
    """Have the result of the current call say when to try again; for tools that catch errors.

    `error` is one of this library's, or one of the other side's with a `retry_after` in seconds.
    """
    noted = _rejections.get()
    if noted is not None:
        noted.append(error)


class ResilienceMiddleware:
    """Correlation id, deadline and tier in; what was served, notices and rejections out.

    `tier` and `correlation_of` find a request's tier and id by its `_meta`; without them, its
    `X-User-Tier` and `X-Correlation-ID` say.
    """

    def __init__(
        self,
        *,
        max_timeout: float | None = None,
        tier: Callable[[Mapping[str, Any]], str] | None = None,
        correlation_of: Callable[[Mapping[str, Any]], str] | None = None,
        degradation: Degradation | None = None,
    ) -> None:
        if max_timeout is not None:
            checks.seconds("max_timeout", max_timeout)
        self._max_timeout = max_timeout
        self._tier = tier
        self._correlation_of = correlation_of
        self._degradation = degradation

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        meta = dict(ctx.meta or {})
        if ctx.method != "tools/call":
            return await call_next(ctx)
        texts = {str(name).lower(): str(value) for name, value in meta.items()}
        name = tier_of(texts) if self._tier is None else valid_tier(self._tier(meta))
        find = self._correlation_of
        given = find(meta) if find is not None else texts.get(CORRELATION_HEADER.lower())
        timeout = timeout_of(texts, self._max_timeout)
        noted: list[BaseException] = []
        token = _rejections.set(noted)
        try:
            with (
                correlation(given) as held,
                tier(name),
                collect_served() as served,
            ):
                try:
                    async with deadline(float("inf") if timeout is None else timeout):
                        result = await call_next(ctx)
                except ResilienceError as error:
                    noted.append(error)
                    result = _error_result(str(error))
                return self._labelled(result, held, served, noted)
        finally:
            _rejections.reset(token)

    def _labelled(
        self,
        result: Any,
        held: str,
        served: list[FallbackResult],
        noted: list[BaseException],
    ) -> Any:
        label: dict[str, Any] = {"correlation_id": held, "served": "fresh"}
        if served:
            ages = [each.age_seconds for each in served if each.age_seconds is not None]
            cached = all(each.source in ("cache", "stale_cache") for each in served)
            label["served"] = "cached" if cached else "degraded"
            if ages:
                label["age_seconds"] = round(max(ages), 3)
        if self._degradation is not None and (notices := self._degradation.notices()):
            label["notices"] = notices
        failed = (
            result.get("isError")
            if isinstance(result, dict)
            else getattr(result, "is_error", False)
        )
        if failed:
            label["served"] = "failed"
        if noted:
            waits = [wait for each in noted if (wait := retry_after_of(each)) is not None]
            label["served"] = "rejected"
            if waits:
                label["retry_after"] = round(max(waits), 3)
        if isinstance(result, dict):
            result["_meta"] = {**(result.get("_meta") or {}), META: label}
        elif hasattr(result, "meta"):
            result.meta = {**(result.meta or {}), META: label}
        return result


def _error_result(text: str) -> Any:
    """A tool's error, as the SDK of whoever uses this module builds it."""
    types = importlib.import_module("mcp_types")
    content = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, is_error=True)


__all__ = ["CORRELATION_HEADER", "META", "TIER_HEADER", "ResilienceMiddleware", "note_rejection"]
