"""Tuning from the screens: the form, the diff, what the service keeps, history and rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from breakers.domain.policy import TUNABLE
from breakers.models import Breaker, Instance, PolicyChange
from breakers.services.policies import policy_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from tests.breakers import scenes
from tests.breakers.scenes import Scene
from tests.pages.html import PARTIAL, text_of

pytestmark = pytest.mark.django_db

WHY = "Graph throttles at night"


def give(**policy: object) -> PolicyChange:
    """The site gives the planner's breaker these settings."""
    return policy_set(
        service=scenes.GRAPH[0], name=scenes.GRAPH[1], policy=policy, reason="because",
        actor=Actor.system("ana"), role=Role.OPERATOR,
    )  # fmt: skip


def applied(seconds_ago: int = 60) -> None:
    """Every instance acknowledged whatever there is."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    Instance.objects.update(applied_version=10_000, applied_at=at)


def test_the_form_has_every_setting_with_what_is_in_force(operator: Client, graph: Scene) -> None:
    give(timeout=90)
    html = text_of(operator, f"/breakers/{graph.key}/policy")
    for name, setting in TUNABLE.items():
        assert f'name="{name}"' in html
        assert setting.label in html
    assert 'name="timeout" value="90"' in html
    assert 'name="minimum_number_of_calls" value="" placeholder="now 10"' in html


def test_the_diff_tells_before_and_after(operator: Client, graph: Scene) -> None:
    give(timeout=90)
    query = "timeout=120&failure_rate_threshold=0,3&slow_call_duration_threshold=none"
    path = f"/breakers/{graph.key}/policy?part=diff&{query}"
    html = text_of(operator, path, headers=PARTIAL)
    assert "<del>90</del></td><td><ins>120</ins>" in html
    assert "<del>0.5 (the service&#x27;s own)</del></td><td><ins>0.3</ins>" in html
    assert "<ins>none</ins>" in html
    gone = text_of(operator, f"/breakers/{graph.key}/policy?part=diff", headers=PARTIAL)
    assert "<del>90</del></td><td><ins>the service&#x27;s own</ins>" in gone
    same = f"/breakers/{graph.key}/policy?part=diff&timeout=90"
    assert "Nothing changes." in text_of(operator, same, headers=PARTIAL)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("timeout=soon", "Open for: &#x27;soon&#x27; is no number."),
        ("timeout=nan", "is no number"),
        ("max_timeout=never", "is no number, or none."),
        ("failure_threshold=1.5", "whole number"),
        ("sliding_window_type=spiral", "consecutive, count, time"),
        ("failure_rate_threshold=7", "failure_rate_threshold"),
    ],
)
def test_the_diff_says_what_cannot_work(
    operator: Client, graph: Scene, query: str, message: str
) -> None:
    html = text_of(operator, f"/breakers/{graph.key}/policy?part=diff&{query}", headers=PARTIAL)
    assert message in html


def test_settings_are_requested_with_a_reason(operator: Client, graph: Scene) -> None:
    path = f"/breakers/{graph.key}/policy"
    form = {"timeout": "120", "failure_threshold": "", "reason": WHY}
    assert operator.post(path, form).headers["Location"] == f"/breakers/{graph.key}"
    change = PolicyChange.objects.get()
    assert (change.policy, change.reason, change.actor) == ({"timeout": 120}, WHY, "a-operator")
    refused = operator.post(path, form | {"reason": "", "timeout": "77"})
    assert refused.status_code == 422
    assert 'name="timeout" value="77"' in refused.content.decode()
    stale = operator.post(path, form | {"version": "1", "timeout": "60"})
    assert stale.status_code == 409
    assert "timeout = 120" in stale.content.decode()
    assert PolicyChange.objects.count() == 1


def test_what_the_service_keeps_is_said_once_all_know_better(
    operator: Client, graph: Scene
) -> None:
    give(timeout=90, failure_threshold=8)
    page = f"/breakers/{graph.key}"
    assert "Kept by the service" not in text_of(operator, page)
    applied(seconds_ago=1)  # it may not have reported yet what it works by now
    assert "Kept by the service" not in text_of(operator, page)
    applied()
    html = text_of(operator, page)
    assert "Kept by the service's own argument" in html
    assert "Open for stays 30, although the site gives 90." in html
    assert "Open for</b> is kept at 30" in text_of(operator, f"{page}/policy")
    reported = scenes.POLICY | {"timeout": 90, "failure_threshold": 8}
    Breaker.objects.update(policy=reported)
    assert "Kept by the service" not in text_of(operator, page)


def test_history_leads_back_by_one_click_and_a_question(operator: Client, graph: Scene) -> None:
    give(timeout=90)
    give(timeout=20, minimum_number_of_calls=50)
    page = text_of(operator, f"/breakers/{graph.key}")
    history = page.partition('id="policy-history"')[2]
    assert history.index("Policy 2") < history.index("Policy 1")
    path = f"/breakers/{graph.key}/policy/rollback"
    assert f'href="{path}?number=1" data-dialog' in history
    assert f'href="{path}?number=0" data-dialog' in history
    question = text_of(operator, f"{path}?number=1", headers=PARTIAL)
    assert "<del>20</del></td><td><ins>90</ins>" in question
    assert operator.post(path, {"number": "1", "reason": WHY}).status_code == 302
    newest = PolicyChange.objects.order_by("-number")[0]
    assert (newest.number, newest.policy, newest.rolled_back_to) == (3, {"timeout": 90}, 1)
    assert operator.post(path, {"number": "0", "reason": WHY}).status_code == 302
    assert PolicyChange.objects.order_by("-number")[0].policy == {}
    assert operator.post(path, {"number": "1", "reason": "-"}).status_code == 422
    assert operator.get(f"{path}?number=77").status_code == 404
    assert operator.get(path).status_code == 404


def test_a_viewer_sees_the_settings_and_no_way_to_change_them(viewer: Client, graph: Scene) -> None:
    give(timeout=90)
    html = text_of(viewer, f"/breakers/{graph.key}")
    assert "Policy 1" in html
    assert "data-dialog" not in html
