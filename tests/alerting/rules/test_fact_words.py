"""What rules saw is said in words on the page of an alert."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from alerting.domain.rules.checking import examples
from alerting.domain.rules.conditions import condition_read
from alerting.services.rules.shipped import FILE
from alerting.services.rules.texts import text_render
from alerting.views.fact_words import fact_pairs

RULES = yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(RULES))
def test_no_name_and_no_value_is_raw(name: str) -> None:
    for labels, facts in examples(condition_read(RULES[name]["condition"])):
        for label, value in fact_pairs(facts):
            assert label not in ("Topic", "Kind", "Key", "Entry", "Link", "State")
            assert "_" not in label
            assert "T00:00" not in str(value)
        for text in (RULES[name]["summary"], RULES[name]["details"]):
            rendered = text_render(text, labels, facts)
            assert "T00:00" not in rendered
            for raw in ("health_down", "breaker_open", "half_open", "error_rate"):
                assert raw not in rendered


@pytest.mark.parametrize("name", ["pattern_new", "pattern_regressed", "pattern_escalating"])
def test_patterns_of_one_type_are_told_apart_by_what_they_say(name: str) -> None:
    labels = {"service": "planner", "error_type": "DeadlineExceeded"}
    said = {
        text_render(RULES[name]["summary"], labels, {"template": template})
        for template in ("no answer of graph in <*> s", "no answer of redis in <*> s", "x" * 500)
    }
    assert len(said) == 3
    assert any(each.endswith(': DeadlineExceeded, "no answer of graph in <*> s"') for each in said)
    assert max(map(len, said)) < 200


def test_values_are_told_in_their_units() -> None:
    moment = "2026-01-01T00:00:00+00:00"
    facts = {
        "topic": "predictions", "kind": "prediction_made", "key": "1", "entry": 7, "state": "",
        "of_kind": "health_down", "probability": 0.82, "horizon_seconds": 3600, "made_at": moment,
        "title": "Errors per call", "unit": "1", "value": 0.125, "check": {"id": "x"},
        "members": ["i-1", "i-2"],
    }  # fmt: skip
    assert fact_pairs(facts) == [
        ("Figure", "Errors per call"),
        ("Within", "1 h"),
        ("Foretold", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Instances", "i-1, i-2"),
        ("What kind", "health down"),
        ("Probability", "82 %"),
        ("Value", "12.5 %"),
    ]
