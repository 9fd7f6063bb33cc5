"""Why errors are together, and what an installation says about its own code."""

from __future__ import annotations

import pytest

from analytics.domain.together import parts, variables
from analytics.selectors.pattern_why import pattern_why
from analytics.services import ingest
from analytics.services.grouping import Grouper
from analytics.services.pattern_merges import pattern_merge
from resilience_site.config import ConfigError, SiteConfig, config
from tests.analytics.patterns.scenes import MINUTE, NOW, PERSON, fail

STACK = """Traceback (most recent call last):
  File "/app/planner/tools.py", line 48, in plan_summary
    tasks = client.list_tasks(plan_id)
  File "/venv/lib/python3.11/site-packages/acme/client.py", line 9, in list_tasks
    return self.get(url)
  File "/venv/lib/python3.11/site-packages/httpx/_client.py", line 1629, in get
    raise Timeout()
acme.Timeout: plan 7
"""


def test_a_template_is_cut_at_its_variables() -> None:
    found = parts("Task <num> of <email>: <int> <*>")
    assert [(part.text, part.words) for part in found] == [
        ("Task ", ""), ("<num>", "a number"), (" of ", ""), ("<email>", "an e-mail address"),
        (": <int> ", ""), ("<*>", "anything"),
    ]  # fmt: skip
    assert parts("") == []


def test_what_varies_is_told_with_examples() -> None:
    messages = ["Task 4711 of ada@example.org", "Task 12 of bob@example.org", "Other words 3"]
    number, address = variables("Task <num> of <email>", messages)
    assert (number.what, number.values, number.examples) == ("a number", 2, ("4711", "12"))
    assert address.examples == ("ada@example.org", "bob@example.org")


@pytest.mark.usefixtures("store")
def test_stack_patterns_name_the_frames_that_counted() -> None:
    why = pattern_why(fail("acme.Timeout", stack=STACK))
    assert [(each.type, each.frames) for each in why.exceptions] == [
        ("acme.Timeout", ["planner/tools.py:plan_summary"])
    ]
    assert "1 function of its own code in 1 exception decided" in why.sentences[1]
    assert why.variables == []


@pytest.mark.usefixtures("store")
def test_message_patterns_say_what_varies_and_members_who_put_them_there() -> None:
    one = fail("A", message="plan 7 failed")
    other = fail("B", message="plan refused")
    pattern_merge(pattern_id=other.id, into_id=one.id, actor=PERSON, reason="same bug", now=NOW)
    why = pattern_why(one, ["plan 7 failed", "plan 12 failed"])
    assert [(each.what, each.examples) for each in why.variables] == [("a number", ("7", "12"))]
    [member] = why.members
    assert (member.pattern.id, member.by, member.merge and member.merge.reason) == (
        other.id, "olga", "same bug",
    )  # fmt: skip
    assert "0 by the second pass over messages and 1 by people" in why.sentences[-1]


@pytest.mark.usefixtures("store")
def test_an_installation_says_what_its_own_code_is() -> None:
    usual = fail("acme.Timeout", stack=STACK)

    def frames(later: int) -> list[str]:
        # A process that starts anew; it has not met this very text yet.
        ingest.memory.grouper = Grouper()
        pattern = fail("acme.Timeout", stack=STACK + later * "\n", at=NOW + later * MINUTE)
        assert pattern.id != usual.id
        return [frame for each in pattern_why(pattern).exceptions for frame in each.frames]

    with config.override(resilience_in_app_include=["site-packages/acme"]):
        assert frames(1) == ["planner/tools.py:plan_summary", "acme/client.py:list_tasks"]
    with config.override(
        resilience_in_app_include=["site-packages/acme"], resilience_in_app_exclude=["/app/"]
    ):
        assert frames(2) == ["acme/client.py:list_tasks"]


def test_beginnings_that_fit_everything_are_refused() -> None:
    given = {"RESILIENCE_IN_APP_INCLUDE": " com.example. , site-packages/acme"}
    assert SiteConfig(given).resilience_in_app_include == ["com.example.", "site-packages/acme"]
    with pytest.raises(ConfigError, match="RESILIENCE_IN_APP_EXCLUDE"):
        SiteConfig({"RESILIENCE_IN_APP_EXCLUDE": "/"}).resilience_in_app_exclude  # noqa: B018
