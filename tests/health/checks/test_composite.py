"""Composites: the states of others, counted by a rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.checks import KINDS, Failed, Inconclusive, Member
from health.choices import HealthState
from tests.health.checks.probing import failure, probe, refused

STATES = st.sampled_from([str(each) for each in HealthState])


def seen(*states: str) -> tuple[dict[str, Any], tuple[Member, ...]]:
    names = tuple(f"m{n}" for n in range(len(states)))
    return {"members": names}, tuple(
        Member(name, state) for name, state in zip(names, states, strict=True)
    )


async def verdict(rule: dict[str, Any], *states: str) -> str:
    target, members = seen(*states)
    try:
        return (await probe("composite", {**target, **rule}, members=members)).status
    except Failed:
        return "down"
    except Inconclusive:
        return "unknown"


ALL, ANY, TWO = {"rule": "all"}, {"rule": "any"}, {"rule": "at_least", "at_least": 2}


@pytest.mark.parametrize(
    ("rule", "states", "expected"),
    [
        (ALL, ("up", "up"), "up"),
        (ALL, ("up", "degraded"), "degraded"),
        (ALL, ("up", "down"), "down"),
        (ALL, ("up", "unreachable"), "down"),
        (ALL, ("up", "unknown"), "unknown"),
        (ALL, ("down", "unknown"), "down"),
        (ALL, ("up", "maintenance"), "up"),
        (ALL, ("maintenance", "maintenance"), "unknown"),
        (ANY, ("down", "up"), "up"),
        (ANY, ("down", "degraded"), "degraded"),
        (ANY, ("down", "down"), "down"),
        (ANY, ("down", "unknown"), "unknown"),
        (ANY, ("up", "unknown"), "up"),
        (TWO, ("up", "up", "down"), "up"),
        (TWO, ("up", "degraded", "down"), "degraded"),
        (TWO, ("up", "down", "down"), "down"),
        (TWO, ("up", "unknown", "down"), "unknown"),
        # Where fewer than that many are not in maintenance, the rest must all work.
        (TWO, ("up", "maintenance", "maintenance"), "up"),
    ],
)
async def test_rules(rule: dict[str, Any], states: tuple[str, ...], expected: str) -> None:
    assert await verdict(rule, *states) == expected


@given(states=st.lists(STATES, min_size=1, max_size=6), better=st.sampled_from(["up", "degraded"]))
async def test_a_member_that_recovers_never_makes_it_worse(states: list[str], better: str) -> None:
    order = ["down", "unknown", "degraded", "up"]
    for rule in (ALL, ANY):
        before = order.index(await verdict(rule, *states))
        for n, state in enumerate(states):
            if state in ("down", "unreachable", "unknown"):
                healed = [*states[:n], better, *states[n + 1 :]]
                after = order.index(await verdict(rule, *healed))
                assert after >= before or order[before] == "up"


async def test_the_output_names_the_members_in_trouble() -> None:
    target, members = seen("up", "down", "degraded")
    failed = await failure("composite", target, members=members)
    assert failed.output == "2 of 3 members work (3 must); degraded: m2; down: m1"
    assert failed.observed["working"].value == 2


async def test_many_names_are_cut() -> None:
    target, members = seen(*["down"] * 8)
    failed = await failure("composite", target, members=members)
    assert failed.output.endswith("down: m0, m1, m2, m3, m4 and 3 more")


async def test_a_member_that_is_gone_is_unknown() -> None:
    target = {"members": ["here", "gone"]}
    with pytest.raises(Inconclusive, match="unknown: gone"):
        await probe("composite", target, members=(Member("here", "up"),))


def test_options_that_are_refused() -> None:
    assert refused("composite", {"members": []}).option == "members"
    assert refused("composite", {"members": ["a", "a"]}).option == "members"
    assert refused("composite", {"members": ["a"], "rule": "some"}).option == "rule"
    assert refused("composite", {"members": ["a"], "rule": "at_least"}).option == "at_least"
    assert refused("composite", {"members": ["a"], "at_least": 1}).option == "at_least"
    excessive = {"members": ["a"], "rule": "at_least", "at_least": 2}
    assert refused("composite", excessive).option == "at_least"


def test_it_calls_nobody_and_names_its_members() -> None:
    kind = KINDS["composite"]
    options = kind.parse({"members": ["a", "b"]})
    assert kind.hosts(options) == ()
    assert kind.members(options) == ("a", "b")
