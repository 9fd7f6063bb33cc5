"""Fallbacks as their users know them: what is served instead, and what is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from breakers.runtime import events
from breakers.runtime.cache import ResponseCache
from breakers.runtime.degradation import Degradation, DegradationLevel
from breakers.runtime.fallback import FallbackHandler, collect_served
from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.variables import ClientVariables, ConfigError

DOWN = ConnectionError("graph is down")


async def test_fallback_execution() -> None:
    told: list[events.Event] = []
    stop = events.subscribe(told.append)
    clock = Clock()
    cache = ResponseCache(max_age=10, stale_if_error=3600, wall=clock)
    handler = FallbackHandler(cache=cache, variables=ClientVariables({}))

    async def yesterday(error: BaseException, context: Mapping[str, Any]) -> list[str]:
        assert error is DOWN
        return [f"yesterday's tasks of {context['plan']}"]

    await handler.register_fallback("graph", yesterday)
    context = {"cache_key": "tasks:7", "plan": 7}
    try:
        with collect_served() as served:
            first = await handler.execute_fallback("graph", DOWN, context)
            cache.put("tasks:7", ["a", "b"])
            clock.now += 5
            second = await handler.execute_fallback("graph", DOWN, context)
            clock.now += 60
            third = await handler.execute_fallback("graph", DOWN, context)
            clock.now += 3600
            fourth = await handler.execute_fallback("graph", DOWN, context)
    finally:
        stop()
    assert (first.value, first.source) == (["yesterday's tasks of 7"], "fallback:yesterday")
    assert (second.value, second.source, second.age_seconds) == (["a", "b"], "cache", 5)
    assert (third.source, third.age_seconds, third.degraded) == ("stale_cache", 65, True)
    assert fourth.source == "fallback:yesterday"
    assert first.error is DOWN
    assert served == [first, second, third, fourth]
    assert [event.attributes["resilience.fallback.source"] for event in told] == [
        "fallback:yesterday",
        "cache",
        "stale_cache",
        "fallback:yesterday",
    ]
    assert told[2].attributes["resilience.fallback.age_seconds"] == 65


async def test_a_chain_goes_on_where_a_link_fails_and_ends_with_the_default() -> None:
    handler = FallbackHandler(variables=ClientVariables({}))
    error = ConnectionError("down")

    def replica() -> None:
        raise TimeoutError("replica is slow")

    await handler.register_fallback("graph", replica)
    with pytest.raises(ConnectionError) as raised:
        await handler.execute_fallback("graph", error, {})
    assert raised.value is error
    assert error.__notes__ == ["fallback replica failed too: TimeoutError: replica is slow"]
    with pytest.raises(ConnectionError):
        handler.execute_fallback_sync("graph", error)
    assert len(error.__notes__) == 1
    handler.set_default("graph", None)
    result = await handler.execute_fallback("graph", error, {})
    assert (result.value, result.source) == (None, "default")
    assert handler.execute_fallback_sync("graph", error).source == "default"


@pytest.mark.parametrize(
    "func",
    [
        lambda: "x",
        lambda context: "x" if context == {"a": 1} else "wrong",
        lambda error: "x" if error is DOWN else "wrong",
        lambda error, context: "x" if error is DOWN and context == {"a": 1} else "wrong",
        lambda what, where: "x" if what is DOWN and where == {"a": 1} else "wrong",
        lambda *args: "x" if args == (DOWN, {"a": 1}) else "wrong",
        lambda **given: "x" if given == {"error": DOWN, "context": {"a": 1}} else "wrong",
        lambda info: "x" if info == {"a": 1} else "wrong",
    ],
)
def test_a_fallback_gets_the_arguments_that_it_takes(func: Callable[..., str]) -> None:
    handler = FallbackHandler(variables=ClientVariables({}))
    handler.register("graph", func)
    assert handler.execute_fallback_sync("graph", DOWN, {"a": 1}).value == "x"


async def test_services_can_share_a_chain_but_not_in_a_circle() -> None:
    handler = FallbackHandler(variables=ClientVariables({}))
    await handler.register_fallback("mirror", lambda: "from the mirror")
    await handler.register_fallback("graph", "mirror")
    assert (await handler.execute_fallback("graph", DOWN, {})).value == "from the mirror"
    await handler.register_fallback("tasks", "graph")
    with pytest.raises(ConfigError, match="fallback_func is 'tasks'"):
        await handler.register_fallback("mirror", "tasks")
    with pytest.raises(ConfigError, match="circle"):
        await handler.register_fallback("graph", "graph")
    with pytest.raises(ConfigError, match="fallback_func is 5"):
        await handler.register_fallback("graph", 5)  # type: ignore[arg-type]


async def test_cached_answers_are_no_older_than_asked_for() -> None:
    clock = Clock()
    cache = ResponseCache(wall=clock)
    handler = FallbackHandler(cache=cache, variables=ClientVariables({}))
    assert await handler.get_cached_response("k", timedelta(minutes=1)) is None
    cache.put("k", 1)
    clock.now += 59
    kept = await handler.get_cached_response("k", timedelta(minutes=1))
    assert kept is not None
    assert (kept.value, kept.age_seconds, kept.fresh) == (1, 59, False)
    clock.now += 2
    assert await handler.get_cached_response("k", timedelta(minutes=1)) is None
    assert await handler.get_cached_response("k", timedelta(minutes=2)) is not None


async def test_variables_switch_parts_off_and_bound_the_age() -> None:
    assert (
        FallbackHandler(
            variables=ClientVariables({"FALLBACK_CACHE_MAX_AGE_MINUTES": "5"})
        ).cache.stale_if_error
        == 300
    )
    off = FallbackHandler(variables=ClientVariables({"FALLBACK_ENABLED": "false"}))
    off.register("graph", lambda: "x")
    with pytest.raises(ConnectionError):
        await off.execute_fallback("graph", DOWN, {})
    uncached = FallbackHandler(variables=ClientVariables({"FALLBACK_CACHE_ENABLED": "false"}))
    uncached.cache.put("k", 1)
    assert await uncached.get_cached_response("k", timedelta(minutes=1)) is None
    with pytest.raises(ConnectionError):
        await uncached.execute_fallback("graph", DOWN, {"cache_key": "k"})


async def test_degraded_services_switch_features_off_and_tell_users() -> None:
    told: list[events.Event] = []
    stop = events.subscribe(told.append)
    clock = Clock()
    variables = ClientVariables({})
    degradation = Degradation(variables, clock=clock)
    handler = FallbackHandler(degradation=degradation, variables=variables)

    @degradation.feature("planner", "suggestions", criticality="low", otherwise=list)
    def suggestions() -> list[str]:
        return ["try this"]

    @degradation.feature("planner", "list", criticality="critical", otherwise=list)
    async def tasks() -> list[str]:
        return ["a"]

    try:
        assert suggestions() == ["try this"]
        await handler.enable_degraded_mode(["planner"], DegradationLevel.REDUCED)
        await handler.enable_degraded_mode(["planner"], DegradationLevel.REDUCED)
        assert suggestions() == []
        assert await tasks() == ["a"]
        assert "switched off" in degradation.notice("planner")
        handler.set_default("planner", 0)
        assert handler.execute_fallback_sync("planner", DOWN).notice
        degradation.set("planner", DegradationLevel.OFFLINE, notice="Back at noon.", expires_in=60)
        assert await tasks() == []
        assert degradation.notices() == {"planner": "Back at noon."}
        clock.now += 60
        assert await tasks() == ["a"]
        assert degradation.notices() == {}
    finally:
        stop()
    levels = [
        event.attributes["resilience.degraded.level"]
        for event in told
        if event.name == "resilience.degraded.changed"
    ]
    assert levels == ["reduced", "offline", "normal"]


def test_the_site_sets_levels_and_what_it_may_not_is_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    degradation = Degradation(ClientVariables({}))
    degradation.set("own", DegradationLevel.ESSENTIAL)
    document = {
        "degraded": {"planner": {"level": "reduced", "notice": "n"}, "web": {"level": "odd"}}
    }
    degradation.apply(document)
    degradation.apply(document)
    assert degradation.notices()["planner"] == "n"
    assert degradation.level("web") is DegradationLevel.NORMAL
    assert caplog.text.count("unknown level 'odd'") == 1
    degradation.apply({"degraded": {}})
    assert degradation.level("planner") is DegradationLevel.NORMAL
    assert degradation.level("own") is DegradationLevel.ESSENTIAL
    degradation.apply({"degraded": 5})
    assert "no usable degraded modes" in caplog.text
    off = Degradation(ClientVariables({"DEGRADED_MODE_ENABLED": "false"}))
    off.set("planner", DegradationLevel.OFFLINE)
    assert off.serves("planner", "low")


async def test_what_is_served_is_collected_per_request() -> None:
    handler = FallbackHandler(variables=ClientVariables({}))
    handler.set_default("graph", 0)

    async def request(times: int) -> int:
        with collect_served() as served:
            await asyncio.gather(
                *[handler.execute_fallback("graph", DOWN, {}) for _ in range(times)]
            )
            return len(served)

    assert await asyncio.gather(request(1), request(3), request(0)) == [1, 3, 0]
