"""Running a kind of check in tests as the prober does: parsed, in a context, within a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from health.checks import KINDS, Context, Failed, Finding
from health.checks.addresses import Addresses
from health.checks.options import OptionError

# What a run has that is to come to its end: a machine under load may need it, and nothing else does.
PATIENT_SECONDS = 60.0
# How long after its deadline a run may take to be gone; generous, for a machine under load.
PROMPT_SECONDS = 30.0


def a_context(**changes: Any) -> Context:
    """A context that may call loopback addresses, with plenty of time."""
    usual = Context(
        now=datetime.now(UTC), timeout=PATIENT_SECONDS, addresses=Addresses(allow_private=True)
    )
    return replace(usual, **changes)


async def probe(
    name: str, target: Mapping[str, Any], *, within: float | None = None, **changes: Any
) -> Finding:
    """One run of the kind `name`.

    `within` ends it later than the timeout by which the kind measures its own steps, so that what
    ends at a step does so on any machine.
    """
    check = KINDS[name]
    options = check.parse(target)
    context = a_context(**changes)
    async with asyncio.timeout(within or context.timeout):
        return await check.run(options, context)


async def failure(name: str, target: Mapping[str, Any], **changes: Any) -> Failed:
    """What a run fails with."""
    with pytest.raises(Failed) as caught:
        await probe(name, target, **changes)
    assert "\n" not in caught.value.output
    return caught.value


async def hangs(name: str, target: Mapping[str, Any], seconds: float = 0.4) -> None:
    """The run does not end by itself, but at its deadline it does, at once."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await probe(name, target, timeout=seconds)
    assert seconds <= time.monotonic() - began < seconds + PROMPT_SECONDS


def refused(name: str, target: Mapping[str, Any]) -> OptionError:
    """Why the options are refused."""
    with pytest.raises(OptionError) as caught:
        KINDS[name].parse(target)
    return caught.value


async def eventually(holds: Any, seconds: float = PATIENT_SECONDS) -> Any:
    """What `holds` returns once that is true, while the loop goes on; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)
    return found
