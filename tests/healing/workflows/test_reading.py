"""Workflows as text: read whole, or refused with line and reason, all faults at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analytics.selectors.series import METRICS
from healing.domain.definition import FigureName, Step, definition_form, definition_of
from healing.domain.ordering import Cycle, steps_ordered
from healing.domain.reading import (
    Facts,
    Fault,
    Known,
    Wrong,
    workflow_read,
    workflows_read,
)
from health.checks.options import OptionError


def refusing(parameters: Mapping[str, Any]) -> None:
    for name in parameters:
        if name != "seconds":
            raise OptionError(name, "is unknown; known are seconds")


KNOWN = Known(
    {
        "wait": Facts(True, False, refusing),
        "toggle": Facts(False, True, refusing),
        "drop": Facts(False, False, refusing),
    },
    frozenset({"restart", "drain"}),
)
GOOD = """\
name: kick
title: Kick it
trigger: {type: check_failed, criticality: [critical, high]}
steps:
  - {id: one, action: restart}
  - id: two
    action: wait
    with: {seconds: 1}
"""


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(Wrong) as wrong:
        workflow_read(text, KNOWN)
    return [(each.line, f"{each.path}: {each.message}") for each in wrong.value.faults]


def test_a_text_is_a_definition_and_comes_back_from_its_stored_form() -> None:
    read = workflow_read(GOOD, KNOWN)
    assert [step.action for step in read.steps] == ["restart", "wait"]
    assert definition_of(definition_form(read)) == read


def test_json_is_read_as_well() -> None:
    text = (
        '{"name": "kick", "title": "Kick", "trigger": {"type": "manual"},'
        ' "steps": [{"id": "a", "action": "wait"}]}'
    )
    assert workflow_read(text, KNOWN).steps[0].action == "wait"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "reason"),
    [
        ("action: restart", "action: reboot", 5, "steps[0].action: 'reboot' is neither an action"),
        ("action: wait", "action: drop", 6, "steps[1]: drop is not safe to leave and cannot undo"),
        ("seconds: 1", "minutes: 1", 8, "steps[1].with.minutes: minutes is unknown"),
        ("title: Kick it", "titel: Kick it", 2, "titel: is no field of a workflow there."),
        ("title: Kick it", "titel: Kick it", 1, "title: is required."),
        ("check_failed", "check_flailed", 3, "trigger.type: Input should be"),
        ("id: two", "id: one", 6, "steps[1].id: there are two steps one."),
        ("id: two", "id: two\n    after: [three]", 7, "steps[1].after: there is no step three."),
        ("id: two", "id: two\n    after: [two]", 7, "the steps wait for each other: two → two."),
        ("id: two", "id: two\n    timeout_seconds: 9999", 7, "steps[1].timeout_seconds: Input"),
        ("title: Kick it", "title: Kick it\ntitle: Again", 3, "title stands here twice."),
        ("title: Kick it", "title: [", 4, "This is no YAML"),
        (
            "action: wait",
            "action: toggle\n    compensate: {action: untoggle}",
            8,
            "steps[1].compensate.action: 'untoggle' is neither",
        ),
        (
            "action: wait",
            "action: drop\n    compensate: {action: wait, with: {minutes: 2}}",
            8,
            "steps[1].compensate.with.minutes: minutes is unknown",
        ),
        (
            "id: two",
            "id: two\n    precondition: {type: has_way, way: jump}",
            7,
            "steps[1].precondition.way: 'jump' is no way of targets.",
        ),
        (
            "title: Kick it",
            "title: Kick it\ntarget: breaker",
            4,
            "check_failed tells of no breaker",
        ),
        ("seconds: 1", "seconds: .inf", 8, "steps[1].with.seconds: is no finite number."),
        ("seconds: 1", "on: 1", 8, "the key True is no text"),
        ("seconds: 1", "seconds: 2026-01-01", 8, "is a date, not JSON"),
        ("title: Kick it", 'title: "a\\0b"', 2, "title: holds a character that cannot be kept."),
    ],
)
def test_a_fault_is_told_with_its_line_and_reason(
    was: str, becomes: str, line: int, reason: str
) -> None:
    found = faults(GOOD.replace(was, becomes))
    assert any(at == line and reason in words for at, words in found), found


def test_a_compensation_makes_good_what_cannot_undo_itself() -> None:
    text = GOOD.replace("action: wait", "action: drop\n    compensate: {action: drain}")
    compensate = workflow_read(text, KNOWN).steps[1].compensate
    assert compensate is not None
    assert compensate.action == "drain"


def test_a_cycle_over_several_steps_is_told_in_its_order() -> None:
    text = """\
name: round
title: Round
trigger: {type: manual}
steps:
  - {id: a, action: wait, after: [c]}
  - {id: b, action: wait, after: [a]}
  - {id: c, action: wait, after: [b]}
"""
    ((line, words),) = faults(text)
    assert line in (5, 6, 7)
    assert "the steps wait for each other: " in words
    assert all(name in words for name in "abc")


def test_all_faults_are_told_at_once_those_of_one_step_do_not_hide_another() -> None:
    text = """\
name: bad
title: Bad
colour: red
trigger: {type: manual}
steps:
  - {id: a, action: reboot, speed: 3}
  - {id: b, action: drop}
  - {id: c, action: wait, with: {minutes: 1}}
guards: {per_hour: 0}
"""
    assert [line for line, _ in faults(text)] == [3, 6, 6, 7, 8, 9]


def test_steps_stand_in_the_order_in_which_they_run() -> None:
    text = """\
name: order
title: Order
trigger: {type: manual}
steps:
  - {id: last, action: wait, after: [first]}
  - {id: first, action: wait, after: []}
  - {id: beside, action: wait, after: []}
"""
    assert [step.id for step in workflow_read(text, KNOWN).steps] == ["first", "last", "beside"]


def test_rungs_of_a_ladder_wait_for_nothing_but_the_one_above() -> None:
    text = GOOD.replace("id: two", "id: two\n    after: []") + "strategy: ladder\n"
    assert faults(text) == [
        (7, "steps[1].after: rungs of a ladder are climbed one by one, in the order that they "
        "stand in."),
    ]  # fmt: skip


def test_a_file_holds_several_each_with_its_own_lines_and_comments() -> None:
    text = """\
# Ours.
workflows:
  kick:
    title: Kick   # gently
    trigger: {type: manual}
    steps:
      # One will do.
      - {id: one, action: wait}

  shove:
    title: Shove
    trigger: {type: manual}
    steps: [{id: one, action: wait}]
"""
    kick, shove = workflows_read(text, KNOWN)
    assert kick.text == (
        "name: kick\ntitle: Kick   # gently\ntrigger: {type: manual}\nsteps:\n"
        "  # One will do.\n  - {id: one, action: wait}\n"
    )
    assert workflow_read(shove.text, KNOWN) == shove.definition


def test_what_refers_to_another_part_of_the_file_is_written_anew() -> None:
    text = """\
workflows:
  - &kick
    name: kick
    title: Kick
    trigger: {type: manual}
    steps: [{id: one, action: wait}]
  - {<<: *kick, name: shove}
"""
    kick, shove = workflows_read(text, KNOWN)
    assert "&" not in shove.text
    assert workflow_read(shove.text, KNOWN) == shove.definition
    assert workflow_read(kick.text, KNOWN) == kick.definition


def test_two_of_one_name_are_refused() -> None:
    one = "{name: kick, title: K, trigger: {type: manual}, steps: [{id: a, action: wait}]}"
    with pytest.raises(Wrong, match="line 3: workflows: there are two workflows kick"):
        workflows_read(f"workflows:\n  - {one}\n  - {one}\n", KNOWN)


@pytest.mark.parametrize("text", ["", "[]", "1", "- a", "workflows: 3", "\0", "a: &a [*a]"])
def test_what_is_no_workflow_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        workflow_read(text, KNOWN)


def test_aliases_do_not_make_a_short_text_a_long_one() -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n"
        for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    with pytest.raises(Wrong, match="at most"):
        workflow_read(bomb, KNOWN)


def outcome(read: Callable[[str, Known], object], text: str) -> list[Fault] | None:
    """The faults of a text; None where it has none."""
    try:
        read(text, KNOWN)
    except Wrong as wrong:
        return list(wrong.faults)
    return None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "title", "trigger", "steps", "id", "action", "with", "after"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.text(max_size=200))
def test_no_text_does_anything_but_read_or_be_refused(text: str) -> None:
    for read in (workflow_read, workflows_read):
        found = outcome(read, text)
        assert found != []
        assert all(0 <= each.line <= len(text.splitlines()) + 2 for each in found or [])


@given(_JSON)
def test_no_document_does_anything_but_read_or_be_refused(document: Any) -> None:
    text = yaml.safe_dump(document)
    for wrapped in (text, yaml.safe_dump({"workflows": document})):
        assert outcome(workflows_read, wrapped) != []
        assert outcome(workflow_read, wrapped) != []


@given(
    st.integers(1, 8).flatmap(
        lambda size: st.lists(
            st.none() | st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size
        )
    )
)
def test_the_order_of_steps_keeps_what_they_wait_for(waits: list[list[int] | None]) -> None:
    steps = [
        Step(id=f"s{n}", action="wait", after=None if w is None else [f"s{each}" for each in w])
        for n, w in enumerate(waits)
    ]
    before = {
        step.id: step.after if step.after is not None else [f"s{n - 1}"] * (n > 0)
        for n, step in enumerate(steps)
    }
    try:
        place = {step.id: n for n, step in enumerate(steps_ordered(steps))}
    except Cycle as cycle:
        rounds = [*cycle.steps, cycle.steps[0]]
        assert all(b in before[a] for a, b in pairwise(rounds))
    else:
        assert sorted(place) == sorted(before)
        assert all(place[each] < place[name] for name, waited in before.items() for each in waited)


# --- What verifies a step ---------------------------------------------------------------------


def verified(own: str, head: str = "trigger: {type: check_failed}") -> str:
    return (
        f"name: kick\ntitle: Kick it\n{head}\nsteps:\n"
        f"  - id: one\n    action: restart\n    verification: {own}\n"
    )


def test_a_step_says_what_verifies_it_and_that_comes_back_from_the_stored_form() -> None:
    own = "{type: metric, metric: error_rate, below: 0.05, timeout_seconds: 300}"
    read = workflow_read(verified(own), KNOWN)
    again = definition_of(definition_form(read)).steps[0].verification
    assert again is not None
    assert (again.type, again.metric, again.below, again.timeout_seconds) == (
        "metric", "error_rate", 0.05, 300,
    )  # fmt: skip
    assert workflow_read(verified("{type: passing}"), KNOWN).steps[0].verification is not None


@pytest.mark.parametrize(
    ("own", "path", "words"),
    [
        ("{type: healthy}", "type", "Input should be 'passing'"),
        ("{type: passing, passes: 0}", "passes", "greater than or equal to 1"),
        ("{type: passing, timeout_seconds: 0}", "timeout_seconds", "greater than 0"),
        ("{type: passing, metric: error_rate}", "metric", "of the type metric, not of passing"),
        ("{type: quiet, below: 3}", "below", "of the type metric, not of quiet"),
        ("{type: quiet, check: pool}", "check", "of the type passing, not of quiet"),
        ("{type: metric, metric: pulse, below: 3}", "metric", "Input should be 'error_rate'"),
        ("{type: metric, below: 3}", "", "names the metric"),
        ("{type: metric, metric: errors}", "", "says by above or below what errors has to be"),
        ("{type: metric, metric: errors, above: 3, below: 3}", "above", "nothing is above 3"),
        ("{type: breaker_closed}", "", "names the breaker, as not every run"),
        ("{type: passing, often: 2}", "often", "is no field of a workflow there"),
    ],
)
def test_what_cannot_verify_a_step_is_refused_with_its_line_and_the_reason(
    own: str, path: str, words: str
) -> None:
    [(line, told)] = faults(verified(own))
    assert line == 7
    assert told.startswith(f"steps[0].verification{'.' if path else ''}{path}: ")
    assert words in told


def test_a_run_that_is_about_a_breaker_may_be_verified_by_it() -> None:
    own = "{type: breaker_closed}"
    assert workflow_read(verified(own, "trigger: {type: breaker_open}"), KNOWN)
    assert workflow_read(verified(own, "trigger: {type: manual}\ntarget: breaker"), KNOWN)
    assert workflow_read(verified("{type: breaker_closed, breaker: db}"), KNOWN)


def test_the_figures_that_a_step_may_name_are_those_that_every_service_has() -> None:
    assert set(get_args(FigureName)) == set(METRICS)
