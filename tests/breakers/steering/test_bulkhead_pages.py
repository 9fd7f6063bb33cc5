"""The page of one bulkhead: its limits, the form with its diff, history and rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from breakers.choices import PolicySubject
from breakers.models import Bulkhead, Instance, PolicyChange
from breakers.services.policies import policy_set
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.breakers.steering import scenes
from tests.breakers.steering.scenes import ANA, PLANNER
from tests.pages.html import PARTIAL, text_of

PAGE = f"/bulkheads/{PLANNER}/plans"
WHY = "Graph throttles at night"


@pytest.fixture(autouse=True)
def plans(busy_fleet: None, now: datetime) -> None:
    """The planner's bulkhead of plans, heard of in two of three instances."""
    scenes.stay_heard_of(now)


def give(**policy: object) -> PolicyChange:
    """The site gives the planner's bulkhead of plans these limits."""
    return policy_set(
        service=PLANNER, name="plans", subject=PolicySubject.BULKHEAD, policy=policy,
        reason="because", actor=ANA, role=Role.OPERATOR,
    )  # fmt: skip


def test_the_page_says_what_each_instance_works_by(viewer: Client) -> None:
    give(max_concurrent_calls=10)
    give(max_concurrent_calls=10, max_queue=5)
    Instance.objects.filter(instance="planner-2").update(
        applied_version=10_000, applied_at=datetime.now(UTC)
    )
    html = text_of(viewer, PAGE)
    for expected in ("9 of 10", "4 of 10", "applied on 1 of 2", ", 1 silent", "not yet"):
        assert expected in html, expected
    assert '<th scope="row">Calls at once <span class="muted">(calls)</span></th>' in html
    assert "Policy 2" in html
    assert "Tune" not in html
    assert "data-dialog" not in html
    listed = text_of(viewer, "/bulkheads")
    assert f'<a class="break" href="{PAGE}">plans</a>' in listed
    assert "tuned by the site: calls at once 10, calls that may wait 5" in listed
    assert text_of(viewer, PAGE, headers=PARTIAL).lstrip().startswith('<div class="stack"')
    assert viewer.get(f"/bulkheads/{PLANNER}/nothing").status_code == 404


def test_instances_that_are_gone_stand_on_the_page_only_where_no_other_does(
    viewer: Client, now: datetime
) -> None:
    rows = Bulkhead.objects.filter(service=PLANNER, name="plans")
    rows.filter(instance="planner-3").update(last_seen=now - timedelta(hours=2))
    assert "planner-3" not in text_of(viewer, PAGE)
    rows.update(last_seen=now - timedelta(hours=2))
    assert "planner-3" in text_of(viewer, PAGE)


def test_the_diff_tells_before_and_after_and_what_cannot_work(operator: Client) -> None:
    give(max_queue=9)
    query = "max_concurrent_calls=6&max_queue=&max_wait=none"
    html = text_of(operator, f"{PAGE}/policy?part=diff&{query}", headers=PARTIAL)
    assert "<del>10 (the service&#x27;s own)</del></td><td><ins>6</ins>" in html
    assert "<del>9</del></td><td><ins>the service&#x27;s own</ins>" in html
    assert "<ins>none</ins>" in html
    wrong = f"{PAGE}/policy?part=diff&max_concurrent_calls=0"
    assert "whole number of 1 or more" in text_of(operator, wrong, headers=PARTIAL)
    form = text_of(operator, f"{PAGE}/policy")
    assert 'name="max_queue" value="9"' in form
    assert 'name="max_concurrent_calls" value="" placeholder="now 10"' in form


def test_limits_are_requested_with_a_reason_and_rolled_back(operator: Client) -> None:
    form = {"max_concurrent_calls": "6", "reason": WHY}
    assert operator.post(f"{PAGE}/policy", form).headers["Location"] == PAGE
    change = PolicyChange.objects.get()
    assert (change.subject, change.policy) == ("bulkhead", {"max_concurrent_calls": 6})
    assert (change.reason, change.actor) == (WHY, "a-operator")
    refused = operator.post(f"{PAGE}/policy", form | {"reason": "", "max_concurrent_calls": "7"})
    assert refused.status_code == 422
    assert 'name="max_concurrent_calls" value="7"' in refused.content.decode()
    stale = operator.post(f"{PAGE}/policy", form | {"max_queue": "3", "version": "0"})
    assert stale.status_code == 409
    shown = stale.content.decode()
    assert "calls at once 6" in shown
    assert "max_queue = 3" in shown
    give(max_concurrent_calls=2)
    history = text_of(operator, PAGE).partition('id="policy-history"')[2]
    assert history.index("Policy 2") < history.index("Policy 1")
    back = f"{PAGE}/policy/rollback"
    assert f'href="{back}?number=1" data-dialog' in history
    assert f'href="{back}?number=0" data-dialog' in history
    question = text_of(operator, f"{back}?number=1", headers=PARTIAL)
    assert "<del>2</del></td><td><ins>6</ins>" in question
    assert operator.post(back, {"number": "1", "reason": WHY}).headers["Location"] == PAGE
    newest = PolicyChange.objects.order_by("-number")[0]
    assert (newest.policy, newest.rolled_back_to) == ({"max_concurrent_calls": 6}, 1)
    assert operator.get(f"{back}?number=77").status_code == 404


def test_who_may_only_look_is_refused_and_that_is_audited(viewer: Client) -> None:
    answer = viewer.post(f"{PAGE}/policy", {"max_queue": "1", "reason": WHY})
    assert answer.status_code == 403
    entry = AuditEntry.objects.get(action="bulkhead.policy.refused")
    assert (entry.object_type, entry.object_id) == ("bulkhead", f"{PLANNER}/plans")


def test_another_limit_than_the_site_gives_is_said_once_all_know_better(viewer: Client) -> None:
    give(max_concurrent_calls=6)
    assert "stronger than the site" not in text_of(viewer, PAGE)
    long_ago = datetime.now(UTC) - timedelta(seconds=60)
    Instance.objects.filter(service=PLANNER).update(applied_version=10_000, applied_at=long_ago)
    html = text_of(viewer, PAGE)
    assert "stronger than the site" in html
    assert "Calls at once stays 10, although the site gives 6." in html
    assert '6 <span class="muted">differs</span>' in html
    Bulkhead.objects.filter(service=PLANNER, name="plans").update(limit=6)
    assert "stronger than the site" not in text_of(viewer, PAGE)


def test_instances_that_differ_are_not_taken_for_one(operator: Client) -> None:
    Bulkhead.objects.filter(service=PLANNER, name="plans", instance="planner-2").update(limit=4)
    html = text_of(operator, f"{PAGE}/policy")
    assert 'name="max_concurrent_calls" value="" placeholder="not reported"' in html
