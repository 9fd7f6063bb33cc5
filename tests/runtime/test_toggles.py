"""Feature toggles, by themselves and through the OpenFeature SDK."""

from __future__ import annotations

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from breakers.runtime.testing import FakeClock as Clock
from breakers.runtime.toggles import Toggles, openfeature_provider
from breakers.runtime.variables import ClientVariables, ConfigError
from tests.patience import until


def test_a_toggle_is_set_expires_and_is_removed() -> None:
    clock = Clock()
    toggles = Toggles(ClientVariables({}), clock=clock)
    assert toggles.is_on("write", default=True)
    toggles.set("write", False)
    assert not toggles.is_on("write", default=True)
    toggles.set("limit", 5, expires_in=10)
    assert toggles.value("limit", 50) == 5
    clock.now += 10
    assert toggles.resolve("limit", 50).reason == "expired"
    assert toggles.keys() == ["write"]
    toggles.remove("write")
    assert toggles.keys() == []


def test_a_rollout_is_a_stable_share() -> None:
    toggles = Toggles(ClientVariables({}))
    toggles.set("write", True, rollout=0.25)
    users = [f"user-{n}" for n in range(4000)]
    chosen = {user for user in users if toggles.is_on("write", targeting_key=user)}
    assert 0.22 < len(chosen) / len(users) < 0.28
    toggles.set("write", True, rollout=0.5)
    grown = {user for user in users if toggles.is_on("write", targeting_key=user)}
    assert chosen < grown  # nobody who had it loses it


def test_the_site_switches_toggles(caplog: pytest.LogCaptureFixture) -> None:
    toggles = Toggles(ClientVariables({}))
    changes: list[list[str]] = []
    toggles.on_change(changes.append)
    toggles.on_change(lambda keys: 1 / 0)
    toggles.set("own", 1)
    toggles.apply({"toggles": {"a": True, "b": {"value": "x", "rollout": 7}, "c": {"no": 1}}})
    assert toggles.is_on("a")
    assert toggles.keys() == ["a", "own"]
    assert "rollout is 7" in caplog.text
    assert "'c' has no value" in caplog.text
    toggles.apply({"toggles": {}})
    assert toggles.keys() == ["own"]
    toggles.apply({"toggles": None})
    assert "no usable toggles" in caplog.text
    assert changes == [["own"], ["a"], ["a"]]


def test_switched_off_everyone_gets_the_default() -> None:
    toggles = Toggles(ClientVariables({"FEATURE_TOGGLES_ENABLED": "false"}))
    toggles.set("a", True)
    assert not toggles.is_on("a")
    with pytest.raises(ConfigError, match="rollout is 2"):
        toggles.set("a", True, rollout=2)


def test_openfeature_serves_the_toggles() -> None:
    toggles = Toggles(ClientVariables({}))
    api.set_provider(openfeature_provider(toggles), domain="resilience-test")
    client = api.get_client("resilience-test")
    changed: list[object] = []
    try:
        client.add_handler(
            ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
            lambda d: changed.extend(d.flags_changed or []),
        )
        missing = client.get_boolean_details("write", True)
        assert (missing.value, missing.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
        toggles.set("write", True, variant="on")
        found = client.get_boolean_details("write", False)
        assert (found.value, found.variant, found.reason) == (True, "on", Reason.STATIC)
        toggles.set("write", True, rollout=0.0)
        split = client.get_boolean_details("write", True, EvaluationContext("ada"))
        assert (split.value, split.reason) == (False, Reason.SPLIT)
        for key, value in {
            "text": "x",
            "limit": 5,
            "share": 0.5,
            "list": [1],
            "map": {"a": 1},
        }.items():
            toggles.set(key, value)
        assert client.get_string_value("text", "") == "x"
        assert client.get_integer_value("limit", 0) == 5
        assert client.get_float_value("share", 0.0) == 0.5
        assert client.get_float_value("limit", 0.0) == 5.0
        assert client.get_object_value("list", []) == [1]
        assert client.get_object_value("map", {}) == {"a": 1}
        for key, details in {
            "write": client.get_integer_details("write", 3),
            "text": client.get_object_details("text", []),
            "limit": client.get_boolean_details("limit", False),
        }.items():
            assert details.error_code is ErrorCode.TYPE_MISMATCH, key
        until(lambda: "write" in changed)  # OpenFeature tells it from a thread of its own
    finally:
        api.clear_providers()
