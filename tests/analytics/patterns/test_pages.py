"""The screens of patterns without scripts: lists, details, and the forms that decide."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from analytics.models import ErrorPattern
from tests.analytics.patterns.scenes import fail
from tests.pages.html import text_of

pytestmark = pytest.mark.usefixtures("store")


def just() -> datetime:
    """Pages show what is around now."""
    return datetime.now(UTC) - timedelta(minutes=2)


def rows(text: str) -> list[str]:
    return re.findall(r'data-row class="break">([^<]+)', text)


def test_states_are_a_filter_with_numbers_and_templates_stand_out(operator: Client) -> None:
    resolved = fail("A", at=just(), message="plan 7 of ada@example.org refused", version="1.3")
    fail("B", at=just(), times=2, message="no <none> here")
    operator.post(f"/patterns/{resolved.id}/resolve", {"reason": "mended"})
    text = text_of(operator, "/patterns")
    assert '<mark class="variable" title="a number">num</mark>' in text
    assert "&lt;none&gt; here" in text
    assert "in 1.3" in text
    numbers = re.findall(r"</span> <b>(\d+)</b>|All <b>(\d+)</b>", text)
    assert [one or other for one, other in numbers] == ["2", "1", "0", "0", "0", "1", "0"]
    assert rows(text_of(operator, "/patterns?state=resolved")) == ["A"]
    assert rows(text_of(operator, "/patterns?sort=count")) == ["A", "B"]
    assert operator.get("/patterns?sort=luck").status_code == 400


def test_forms_hold_the_terms_of_a_decision(operator: Client) -> None:
    pattern = fail(at=just(), version="1.3")
    path = f"/patterns/{pattern.id}"
    form = text_of(operator, f"{path}/resolve")
    assert "Known: 1.3" in form
    answer = operator.post(
        f"{path}/resolve", {"in_version": "now", "reason": "mended"}, follow=True
    )
    text = answer.content.decode()
    assert "1.3: only errors of that version" in text
    assert "The pattern is resolved now." in text
    operator.post(f"{path}/ignore", {"for": "3600", "until_count": "5", "until_escalating": "on"})
    pattern.refresh_from_db()
    assert (pattern.state, pattern.ignored_until_count) == ("ignored", 6)
    assert "or at 6 errors, 1 now, or when it escalates" in text_of(operator, path)
    refused = operator.post(f"{path}/ignore", {"until_count": "many", "reason": "kept"})
    assert refused.status_code == 422
    assert "Give a whole number." in refused.content.decode()
    assert ">kept</textarea>" in refused.content.decode()
    assert operator.get(f"{path}/forget").status_code == 404


def test_patterns_are_put_together_and_parted_by_forms(operator: Client) -> None:
    one, other = fail("A", at=just()), fail("B", at=just(), message="plan 7 refused")
    fail("C", at=just(), service="graph")
    form = text_of(operator, f"/patterns/{other.id}/merge")
    assert f'value="{one.id}"' in form
    assert "C: " not in form
    nothing = operator.post(f"/patterns/{other.id}/merge", {"into": ""})
    assert "Choose the pattern" in nothing.content.decode()
    answer = operator.post(f"/patterns/{other.id}/merge", {"into": str(one.id), "reason": "same"})
    assert answer["Location"] == f"/patterns/{one.id}"
    text = text_of(operator, f"/patterns/{one.id}")
    assert "by a-operator" in text
    assert f"/patterns/{other.id}/unmerge" in text
    assert rows(text_of(operator, "/patterns?service=planner")) == ["A"]
    assert "shown as part of" in text_of(operator, f"/patterns/{other.id}")
    home = f"/patterns/{one.id}"
    answer = operator.post(f"/patterns/{other.id}/unmerge", {"next": home, "reason": "not so"})
    assert answer["Location"] == home
    assert ErrorPattern.objects.get(id=other.id).merged_into is None


def test_a_pattern_tells_its_limit_versions_places_and_why(viewer: Client) -> None:
    pattern = fail(at=just(), version="1.3", message="plan 7 failed")
    text = text_of(viewer, f"/patterns/{pattern.id}")
    for expected in (
        "not enough data: needs 3 complete hours", "The message is the same but for 1 place",
        "<code>7</code>", "load plan", "planner-1", "1.3", "Nobody has decided about it yet.",
    ):  # fmt: skip
        assert expected in text, expected
    figure = viewer.get(f"/charts/pattern-week.json?pattern={pattern.id}").json()
    assert len(figure["data"]) == 1
    assert len(figure["data"][0]["x"]) == 168
    assert viewer.get("/charts/pattern-week.json?pattern=x").status_code == 400
