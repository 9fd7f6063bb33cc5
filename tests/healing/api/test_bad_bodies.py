"""Bodies that nobody sends by accident."""

from __future__ import annotations

import time

import pytest

from healing.views.targets import ways_of_text
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Invalid
from tests.health.api.conftest import Api

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("depth", [60, 300, 900])
def test_values_deep_in_each_other_are_refused(operator: Api, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    with_it = b'{"action": "toggle", "with": {"key": "k", "value": ' + deep + b"}}"
    target = b'{"ways": {"restart": ' + with_it + b"}}"
    assert operator.raw("PUT", "healing/targets/planner", target).status_code in (200, 400, 422)
    definition = b'{"definition": {"name": "x", "steps": ' + deep + b"}}"
    assert operator.raw("POST", "healing/workflows", definition).status_code in (400, 422)


def test_a_group_that_cannot_be_kept_is_refused_and_audited(operator: Api) -> None:
    body = {"stopped": True, "reason": "we move house", "group": "a\0b" + "x" * 100_000}
    assert operator("PUT", "healing/switch", body)[0] == 404
    entry = AuditEntry.objects.latest("pk")
    assert entry.action == "healing_switch.set.refused"
    assert len(entry.object_id) <= 100


def test_a_text_of_ways_does_not_unfold_though_something_else_is_wrong_with_it() -> None:
    text = "a: 1\na: 1\nk: &k0 {x: 1}\n"
    for n in range(1, 8):
        merged = ",".join([f"*k{n - 1}"] * 9)
        text += f"k{n}: &k{n} {{<<: [{merged}]}}\n"
    began = time.thread_time()
    with pytest.raises(Invalid, match="at most"):
        ways_of_text(text)
    assert time.thread_time() - began < 5
