"""A policy in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.domain.aggregate import TROUBLE, band, counted, rank, worst
from breakers.domain.policy import TUNABLE
from breakers.domain.rules import closing_rule, opening_rules
from breakers.runtime import BreakerPolicy, CircuitState
from breakers.runtime.policy_fields import to_fields
from resilience_site.core.breaker_reasons import reason_words


@pytest.mark.parametrize(
    ("policy", "rules", "closing"),
    [
        (
            BreakerPolicy(),
            ["5 failures in a row"],
            "after 60 s 3 calls are let through as probes",
        ),
        (
            BreakerPolicy(failure_threshold=1, permitted_calls_in_half_open_state=1),
            ["1 failure in a row"],
            "after 60 s one call is let through as probes",
        ),
        (
            BreakerPolicy(
                timeout=0.5, sliding_window_type="count", sliding_window_size=20,
                failure_rate_threshold=0.125, slow_call_duration_threshold=2.5,
                slow_call_rate_threshold=0.8, timeout_multiplier=2, max_timeout=300,
            ),
            [
                "12.5 % or more of the last 20 calls fail, from 10 calls on",
                "80 % or more of the last 20 calls take 2.5 s or longer, from 10 calls on",
            ],
            "after 0.5 s 3 calls are let through as probes; if they fail, the wait grows 2 times, "
            "up to 300 s",
        ),
        (
            BreakerPolicy(sliding_window_type="time", minimum_number_of_calls=3),
            ["50 % or more of the calls of the last 60 s fail, from 3 calls on"],
            "after 60 s 3 calls are let through as probes",
        ),
    ],
)  # fmt: skip
def test_a_policy_says_what_opens_and_what_closes(
    policy: BreakerPolicy, rules: list[str], closing: str
) -> None:
    assert (opening_rules(to_fields(policy)), closing_rule(to_fields(policy))) == (rules, closing)


def test_an_unknown_policy_says_nothing() -> None:
    assert (opening_rules(None), closing_rule({})) == ([], "")


values = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(sorted(TUNABLE)), values))
def test_whatever_somebody_reports_as_a_policy_can_be_shown(policy: dict[str, Any]) -> None:
    assert all(isinstance(rule, str) for rule in [*opening_rules(policy), closing_rule(policy)])


def test_reasons_of_the_runtime_are_put_in_words_and_others_stay() -> None:
    assert reason_words("failure_rate") == "too large a share of failures"
    assert reason_words("failure domain eu: on fire") == "failure domain eu: on fire"


def test_what_probes_did_is_not_told_as_a_row_of_failures() -> None:
    assert reason_words("failure_threshold", "closed") == "too many failures in a row"
    assert reason_words("failure_threshold", "half_open") == "a probe failed"
    assert reason_words("failure_rate", "half_open") == "too large a share of failed probes"
    assert reason_words("recovered", "half_open") == "the probes succeeded"


def test_every_state_of_the_runtime_has_its_rank() -> None:
    assert sorted(TROUBLE) == sorted(state.value for state in CircuitState)
    assert worst(["closed", "half_open", "open"]) == "open"
    assert rank("from the future") == rank("open")
    assert counted(["closed", "open", "closed"]) == (("open", 1), ("closed", 2))


def test_shares_of_failures_fall_into_bands() -> None:
    assert [band(rate) for rate in (1.0, 0.5, 0.3, 0.1, 0.07, 0.01, 0.002, 0.0, None)] == [
        0, 0, 1, 2, 3, 4, 5, 5, 5,
    ]  # fmt: skip
