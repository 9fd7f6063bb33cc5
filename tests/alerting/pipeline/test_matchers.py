"""Matchers of labels in all their forms."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.matchers import (
    Matcher,
    MatcherError,
    all_match,
    matchers_json,
    matchers_read,
    matchers_stored,
    matchers_text,
    matches_everything,
)

PLANNER = Matcher("service", "=", "planner")


@pytest.mark.parametrize(
    "given",
    [
        {"service": "planner"},
        [{"label": "service", "op": "=", "value": "planner"}],
        [{"name": "service", "value": "planner", "isRegex": False, "isEqual": True}],
        [{"name": "service", "value": "planner"}],
        ["service=planner"],
        ['service = "planner"'],
        "service=planner\n\n",
        [str(PLANNER), "service=planner"],
    ],
)
def test_forms_of_one_matcher(given: Any) -> None:
    assert matchers_read(given) == (PLANNER,)


@pytest.mark.parametrize(
    ("text", "labels", "wanted"),
    [
        ("severity=~page|ticket", {"severity": "page"}, True),
        ("severity=~page|ticket", {"severity": "pages"}, False),
        ("severity!~page|ticket", {"severity": "info"}, True),
        ("team!=", {"team": "x"}, True),
        ("team!=", {}, False),
        ("team=", {}, True),
        ("team!=x", {}, True),
        ("service=~plan.*-[0-9]+", {"service": "planner-12"}, True),
        ("service=~(?:a|b)", {"service": "b"}, True),
        ("service=~.*-(api|web|db|cache)-.*", {"service": "eu-web-1"}, True),
    ],
)
def test_what_matches(text: str, labels: dict[str, str], wanted: bool) -> None:
    assert all_match(matchers_read(text), labels) is wanted


@pytest.mark.parametrize(
    "given",
    [
        None, 3, b"a=b", [3], [None], {"a b": "c"}, {"": "c"}, {"a": None}, {"a": ["b"]},
        [{"label": "a", "op": "==", "value": "b"}], ["a"], ["=b"], {"a": "x" * 1_001},
        {"a": "nul\0"}, ["a=~("], ["a=~(a+)+"], ["a=~(a|b)*"], ["a=~(?=x)y"], [r"a=~(a)\1"],
        ["a=~.*.*.*.*"], [f"a=~{'x' * 201}"], ["a=~(a){2,3}"], [f"a{n}=b" for n in range(21)],
        [f"a=~{f'({chr(124) * 45})' * 4}x"], [f"a=~.*.*({'|' * 20})({'|' * 20})x"],
        ["a=~x{9999999999999}"], ["a=~[[a]"], [f"a=~{'a?' * 20}{'a' * 20}"], [f"a=~{'(a|a)' * 5}"],
    ],
)  # fmt: skip
def test_what_is_no_matcher_says_why(given: Any) -> None:
    with pytest.raises(MatcherError) as refused:
        matchers_read(given)
    assert str(refused.value)


LABELS = st.dictionaries(st.sampled_from(["service", "team", "x.y"]), st.text(max_size=5))


@given(LABELS)
def test_labels_match_themselves_and_survive_being_kept(labels: dict[str, str]) -> None:
    try:
        read = matchers_read(labels)
    except MatcherError:
        assert any(ord(each) < 32 or ord(each) >= 127 for text in labels.values() for each in text)
        return
    assert all_match(read, labels)
    assert matchers_stored(matchers_json(read)) == read
    assert matches_everything(read) == all(not value for value in labels.values())
    assert matchers_text(read).count("=") >= len(read)


@given(st.text(alphabet="ab.*+?()[]{}|\\0123,^$", max_size=40), st.text("ab0", max_size=400))
def test_no_pattern_that_is_taken_can_hold_the_pipeline_up(pattern: str, value: str) -> None:
    try:
        (matcher,) = matchers_read([f"a=~{pattern}"])
    except MatcherError:
        return
    began = time.thread_time()
    matcher.matches({"a": value + "c"})
    # One that can goes on for ever; what a machine or its collector takes is far from that.
    assert time.thread_time() - began < 10
