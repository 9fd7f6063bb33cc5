"""What the README shows of levels and toggles works as it says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api

from breakers.runtime import ClientVariables, Resilience
from breakers.runtime.testing import FakeClock

ROOT = Path(__file__).resolve().parents[2]
HEADING = "### Levels and toggles in your code"


@pytest.fixture
def resilience(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Resilience:
    made = Resilience(ClientVariables({}), clock=clock)
    monkeypatch.setattr("breakers.runtime.process._default", made)
    return made


@pytest.fixture
def shown(resilience: Resilience) -> Iterator[dict[str, Any]]:
    """The names that the README's code defines, with what it calls of its reader's own."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(HEADING, 1)[1]
    code = re.findall(r"```python\n(.+?)```", section.split("\n## ", 1)[0], re.S)
    assert len(code) == 2

    async def guess(plan_id: str) -> list[str]:
        return [f"rename {plan_id}"]

    names: dict[str, Any] = {
        "guess": guess, "fuzzy": lambda text: f"like {text}", "exact": lambda text: text
    }  # fmt: skip
    try:
        for block in code:
            exec(compile(block, "README.md", "exec"), names)
        yield names
    finally:
        api.clear_providers()


def told_by_the_site(resilience: Resilience, **sections: Any) -> None:
    resilience.apply({"version": 1, **sections})


@pytest.mark.parametrize(
    ("level", "suggested", "found"),
    [
        ("normal", ["rename p"], "text"),
        ("reduced", [], "text"),
        ("essential", [], "text"),
        ("offline", [], "Back at noon."),
    ],
)
async def test_levels_switch_what_the_code_says(
    resilience: Resilience, shown: dict[str, Any], level: str, suggested: list[str], found: str
) -> None:
    mode = {"level": level, "notice": "Back at noon."}
    told_by_the_site(resilience, degraded={"my-service": mode})
    assert inspect.iscoroutinefunction(shown["suggestions"])
    assert await shown["suggestions"]("p") == suggested
    assert shown["search"]("text", "ada") == found


def test_toggles_switch_the_code_and_what_asks_through_openfeature(
    resilience: Resilience, shown: dict[str, Any]
) -> None:
    client = api.get_client()
    assert shown["fuzzy_for_ada"] is False
    assert shown["search"]("text", "ada") == "text"
    told_by_the_site(resilience, toggles={"search.fuzzy": True})
    assert shown["search"]("text", "ada") == "like text"
    assert client.get_boolean_value("search.fuzzy", False) is True


def test_a_call_that_is_protected_is_made_at_every_level(
    resilience: Resilience, shown: dict[str, Any]
) -> None:
    call = resilience.protect("my-service", criticality="low")(lambda: "made")
    told_by_the_site(resilience, degraded={"my-service": {"level": "offline"}})
    assert call() == "made"
    assert not resilience.degradation.serves("my-service", "critical")


@pytest.mark.parametrize(
    ("criticality", "attempts"), [("critical", 4), ("high", 3), ("medium", 3), ("low", 2)]
)
def test_criticality_says_how_often_a_call_is_tried(
    resilience: Resilience, criticality: Any, attempts: int
) -> None:
    assert resilience.retry("graph", criticality=criticality).policy.max_attempts == attempts
