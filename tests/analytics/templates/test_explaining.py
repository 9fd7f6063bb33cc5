"""Every group can say why its members are together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.templates.explaining import why

NAMES = ("ada", "grace", "edsger", "barbara", "donald", "niklaus")


def test_the_place_that_varies_is_named_with_its_commonest_words() -> None:
    found = why({f"session of {name} lost: <num> s": 10 - n for n, name in enumerate(NAMES)})
    assert found.template == "session of <*> lost: <*> s"
    assert (found.members, found.messages) == (6, 45)
    assert [(v.after, v.values) for v in found.varying] == [("of", 6)]
    assert found.sentences == (
        "45 messages of 6 patterns share the template “session of <*> lost: <*> s”.",
        "After “of” they differ: 6 different words (“ada”, “grace”, “edsger”, “barbara”, “donald” "
        "and 1 more), so that place is read as a variable.",
    )


def test_a_pattern_alone_says_what_was_taken_out() -> None:
    assert why({"took <num>": 1}).sentences == (
        "1 message that read the same once what varies is taken out: “took <*>”.",
    )


def test_members_of_other_lengths_are_said() -> None:
    found = why({'note "a b" kept': 3, 'note "a b c" kept': 1})
    assert found.sentences[-1].startswith("Lists, and text in quotes or brackets")
    assert why({"at <num>": 1, "at <num>, <num>": 1}).sentences[-1] == (
        "They differ only in marks, lists and optional parts that are not compared."
    )


def test_a_group_without_members_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        why({})


@given(st.dictionaries(st.text(max_size=30), st.integers(1, 9), min_size=1, max_size=6))
def test_any_members_can_be_explained(members: dict[str, int]) -> None:
    found = why(members)
    assert found.messages == sum(members.values())
    assert found.sentences
    assert all(len(place.examples) <= place.values for place in found.varying)
