"""Push checks: the failure is silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from health.checks import KINDS, Inconclusive
from tests.health.checks.probing import failure, probe, refused

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TARGET = {"token": "x" * 24, "grace_seconds": 30}


def pushed(seconds: float, status: str = "up", output: str = "") -> dict[str, Any]:
    return {
        "now": NOW,
        "interval": 60.0,
        "last_push": NOW - timedelta(seconds=seconds),
        "pushed_status": status,
        "pushed_output": output,
    }


async def test_before_the_first_push_nothing_is_known() -> None:
    with pytest.raises(Inconclusive, match="No push has come yet"):
        await probe("push", TARGET, now=NOW, interval=60.0)


@pytest.mark.parametrize("seconds", [0, 60, 90, -5])
async def test_a_push_in_time(seconds: float) -> None:
    found = await probe("push", TARGET, **pushed(seconds))
    assert found.status == "up"
    assert found.observed["silent"].value == max(0, seconds)


async def test_silence_beyond_interval_and_grace() -> None:
    failed = await failure("push", TARGET, **pushed(91))
    assert failed.output == "No push for 91 s; one must come every 60 s, 30 s later at most"


async def test_what_the_last_push_said_holds_until_the_next() -> None:
    failed = await failure("push", TARGET, **pushed(10, "down", "backup failed"))
    assert failed.output == "The last push came 10 s ago and said down: backup failed"
    found = await probe("push", TARGET, **pushed(10, "degraded", "slow"))
    assert (found.status, found.output) == ("degraded", "The last push came 10 s ago: slow")


def test_options_that_are_refused() -> None:
    assert refused("push", {"token": "short"}).option == "token"
    assert refused("push", {"token": "not/in/a/path/" + "x" * 20}).option == "token"
    assert refused("push", {"grace_seconds": -1}).option == "grace_seconds"


def test_the_token_is_secret_and_may_be_left_to_the_site() -> None:
    assert KINDS["push"].secrets == {"token"}
    assert KINDS["push"].parse({}).token == ""
