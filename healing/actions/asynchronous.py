"""Work of actions that speaks to the network: within the step's time, its faults as one failure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from healing.actions.base import ActionFailed, Context
from health.checks import base
from health.checks.addresses import Forbidden
from health.checks.base import Failed, Progress
from health.checks.words import reason, without

T = TypeVar("T")


def probing(context: Context, progress: Progress) -> base.Context:
    """What the library of checks wants to know of a caller."""
    return base.Context(
        now=context.now(), timeout=max(0.1, context.left), addresses=context.addresses,
        progress=progress,
    )  # fmt: skip


def ran(
    work: Coroutine[Any, Any, T],
    context: Context,
    progress: Progress,
    *,
    secrets: tuple[str, ...] = (),
    seconds: float | None = None,
) -> T:
    """What `work` gives, in at most `seconds` (all that are left). Raises `ActionFailed`."""

    async def within() -> T:
        async with asyncio.timeout(context.left if seconds is None else min(seconds, context.left)):
            return await work

    try:
        return asyncio.run(within())
    except TimeoutError:
        step = progress.step or "waiting for the answer"
        raise ActionFailed(f"It took too long: {step}") from None
    except Forbidden as refusal:
        raise ActionFailed(str(refusal), permanent=True) from None
    except Failed as failed:
        raise ActionFailed(without(failed.output, *secrets)) from None
    except OSError as error:
        # What this machine lacks or forbids.
        raise ActionFailed(f"It cannot be done from here: {reason(error)}") from None
