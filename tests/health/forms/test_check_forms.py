"""The forms of checks: made, changed, tried, deleted; errors at their fields; secrets kept unseen."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from health.models import Check, CheckResult
from health.services.checks import check_options
from resilience_site.core.models import AuditEntry
from tests.health.scenes import URL, make

pytestmark = pytest.mark.django_db
NEW = "/health/checks/new"
TRY = f"{NEW}?act=try"
SECRET = "hunter22"


def sent(**more: Any) -> dict[str, Any]:
    return {
        "kind": "sample", "name": "pg", "service": "planner", "target.url": URL,
        "interval_seconds": "30", "timeout_seconds": "10", "failures_to_down": "3",
        "successes_to_up": "2", "settle_seconds": "15", "critical": "on", **more,
    }  # fmt: skip


def text(response: HttpResponse) -> str:
    return response.content.decode()


def hidden(response: HttpResponse, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text(response))
    assert found, name
    return found[1]


def test_the_kinds_are_offered_first(operator: Client) -> None:
    page = text(operator.get(f"{NEW}?service=planner"))
    for name in ("http", "postgres", "push", "composite"):
        assert f"?kind={name}&amp;service=planner" in page
    assert operator.get(f"{NEW}?kind=telepathy").status_code == 404


@pytest.mark.parametrize("kind", ["http", "postgres", "push", "composite", "dns"])
def test_the_form_of_a_kind_names_each_field_and_explains_it(operator: Client, kind: str) -> None:
    page = text(operator.get(f"{NEW}?kind={kind}"))
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for described in re.findall(r'aria-describedby="(f-[^"]+)"', page):
        assert set(described.split()) <= set(ids)
    fields = set(re.findall(r'\sid="(f-[^"]+?)"', page))
    labels = set(re.findall(r'<label for="([^"]+)"', page))
    assert {each for each in fields if not each.endswith(("-help", "-error"))} - labels <= {
        each for each in fields if f'type="checkbox" id="{each}"' in page
    }


def test_a_check_is_made_and_shown(operator: Client) -> None:
    make("net")
    response = operator.post(NEW, sent(depends_on="net\r\n", hard="on"))
    check = Check.objects.get(name="pg")
    assert response.status_code == 302
    assert response.headers["Location"] == f"/health/checks/{check.id}"
    assert check.critical
    assert [edge.parent_check.name for edge in check.parent_edges.all()] == ["net"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "not empty"),
        ("service", " ", "not empty"),
        ("interval_seconds", "0", "from 1"),
        ("timeout_seconds", "soon", "a number"),
        ("timeout_seconds", "31", "must not exceed"),
        ("failures_to_down", "", "a number"),
        ("degraded_above_ms", "-1", "from 0.001"),
        ("target.url", "", "is required"),
        ("target.count", "many", "must be a number"),
        ("target.headers", "no colon", "a colon"),
        ("depends_on", "nobody", "no check or service"),
        ("runbook_url", "javascript:alert(1)", "http"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    operator: Client, field: str, value: str, words: str
) -> None:
    response = operator.post(NEW, sent(**{field: value}))
    assert response.status_code == 422
    page = text(response)
    key = "f-" + field.replace(".", "-").replace("_", "-")
    error = re.search(rf'<p class="error" id="{key}-error">([^<]*)</p>', page)
    assert error, page
    assert words in error[1]
    assert re.search(rf'id="{key}"[^>]*aria-describedby="{key}-error[^"]*"[^>]*aria-invalid', page)
    assert "javascript:alert(1)" not in re.findall(r'href="([^"]*)"', page)
    assert not Check.objects.filter(name="pg").exists()


def test_all_that_is_wrong_is_told_at_once_by_the_labels_of_the_form(operator: Client) -> None:
    wrong = sent(**{"target.count": "x", "name": "", "interval_seconds": "0"})
    page = text(operator.post(NEW, wrong))
    assert page.count('class="error"') == 3
    assert '<a href="#f-name">Name must be a text that is not empty.</a>' in page
    assert "Every must be from 1 to 86400 seconds, not 0." in page


def test_a_forbidden_address_is_refused_with_the_reason(operator: Client) -> None:
    response = operator.post(NEW, sent(**{"target.url": "http://169.254.169.254/"}))
    assert response.status_code == 422
    assert "169.254.169.254" in text(response)


# --- Secrets


def test_a_secret_comes_back_in_no_page_and_is_not_lost(operator: Client) -> None:
    wrong = sent(**{
        "target.key": SECRET, "target.url": f"http://u:{SECRET}@nowhere.invalid/",
        "target.headers": f"X-Key: {SECRET}", "timeout_seconds": "31",
    })  # fmt: skip
    refused = operator.post(NEW, wrong)
    assert refused.status_code == 422
    assert SECRET not in text(refused)
    assert "http://u:***@nowhere.invalid/" in text(refused)
    again = sent(**{
        "target.key": "***", "target.url": "http://u:***@nowhere.invalid/",
        "target.headers": "X-Key: ***", "draft": hidden(refused, "draft"),
    })  # fmt: skip
    assert operator.post(NEW, again).status_code == 302
    options = check_options(Check.objects.get(name="pg"))
    assert (options.key, options.headers) == (SECRET, {"X-Key": SECRET})
    assert options.url == f"http://u:{SECRET}@nowhere.invalid/"


def test_a_mask_without_a_secret_behind_it_is_refused(operator: Client) -> None:
    response = operator.post(NEW, sent(**{"target.key": "***"}))
    assert response.status_code == 422
    assert "no former secret" in text(response)


def test_the_draft_of_somebody_else_opens_nothing(operator: Client, viewer: Client) -> None:
    refused = operator.post(NEW, sent(**{"target.key": SECRET, "name": ""}))
    draft = hidden(refused, "draft")
    assert SECRET not in draft
    other = Client()
    user = viewer.get("/").wsgi_request.user
    user.groups.set(operator.get("/").wsgi_request.user.groups.all())
    other.force_login(user)
    for forged in (draft, draft[:-5], "nonsense"):
        response = other.post(NEW, sent(**{"target.key": "***", "draft": forged}))
        assert response.status_code == 422
    assert not Check.objects.exists()


def test_an_edit_keeps_masked_secrets_and_changes_the_rest(operator: Client) -> None:
    check = make("pg", target={"url": URL, "key": SECRET}, degraded_above_ms=500)
    path = f"/health/checks/{check.id}/edit"
    page = operator.get(path)
    assert SECRET not in text(page)
    assert 'name="target.key" value="***"' in text(page)
    change = sent(**{"target.key": "***", "name": "pg2", "version": hidden(page, "version")})
    assert operator.post(path, change).status_code == 302
    after = Check.objects.get(id=check.id)
    assert (after.name, after.version, after.degraded_above_ms) == ("pg2", 2, None)
    assert check_options(after).key == SECRET
    assert after.sealed_target == check.sealed_target


def test_a_kept_secret_is_not_sent_to_another_host_not_even_in_two_steps(operator: Client) -> None:
    check = make("pg", target={"url": URL, "key": SECRET})
    path = f"/health/checks/{check.id}/edit"
    elsewhere = {"target.key": "***", "target.url": "http://elsewhere.invalid/"}
    assert operator.post(path, sent(**elsewhere)).status_code == 422
    tried = operator.post(f"{path}?act=try", sent(**{"target.key": "***"}))
    assert tried.status_code == 200
    draft = hidden(tried, "draft")
    for act in ("?act=try", ""):
        response = operator.post(path + act, sent(**elsewhere, draft=draft))
        assert response.status_code == 422
        assert "entered again" in text(response)
        draft = hidden(response, "draft")
    assert Check.objects.get(id=check.id).version == 1


def test_a_stale_form_shows_both_sides_and_the_version_to_send_again(operator: Client) -> None:
    check = make("pg")
    path = f"/health/checks/{check.id}/edit"
    operator.post(path, sent(failures_to_down="5", version="1"))
    stale = operator.post(path, sent(failures_to_down="7", version="1"))
    assert stale.status_code == 409
    assert "Somebody else was quicker" in text(stale)
    assert "<dt>Failures to down</dt><dd>5</dd>" in text(stale)
    assert "<dt>Failures to down</dt><dd>7</dd>" in text(stale)
    assert "<dt>Name</dt>" not in text(stale)
    assert operator.post(
        path, sent(failures_to_down="7", version=hidden(stale, "version"))
    ).status_code == 302  # fmt: skip
    assert Check.objects.get().failures_to_down == 7


# --- Trying


def test_a_trial_shows_what_it_finds_and_stores_nothing_but_that_it_ran(operator: Client) -> None:
    response = operator.post(TRY, sent(**{"name": "", "target.key": SECRET}))
    assert response.status_code == 200
    assert "Tried once" in text(response)
    assert SECRET not in text(response)
    assert not Check.objects.exists()
    assert not CheckResult.objects.exists()
    entry = AuditEntry.objects.get(action="check.try")
    assert entry.after == {"target": {"url": URL, "key": "***"}}


def test_a_part_of_the_page_is_answered_to_scripts_also_for_a_refusal(operator: Client) -> None:
    for more, words in (({}, "Tried once"), ({"target.url": ""}, "is required")):
        response = operator.post(
            TRY, sent(**more), headers={"HX-Request": "true"}
        )  # fmt: skip
        assert response.status_code == 200
        assert "<html" not in text(response)
        assert words in text(response)


def test_a_forbidden_address_is_not_tried_either(operator: Client) -> None:
    given = sent(**{"target.url": "http://169.254.169.254/"})
    assert operator.post(TRY, given).status_code == 422
    assert AuditEntry.objects.filter(action="check.try.refused").count() == 1


# --- Push, delete, roles


def test_the_address_of_heartbeats_is_shown_once(operator: Client) -> None:
    given = {**sent(kind="push"), "target.grace_seconds": "60", "target.token": ""}
    page = operator.post(NEW, given)
    check = Check.objects.get(name="pg")
    token = check_options(check).token
    assert page.status_code == 200
    assert f"/api/v1/health/push/{token}" in text(page)
    path = f"/health/checks/{check.id}/edit"
    assert token not in text(operator.get(path))
    assert operator.post(path, given | {"target.token": "***"}).status_code == 302
    assert check_options(Check.objects.get()).token == token
    renewed = operator.post(path, given)
    assert renewed.status_code == 200
    assert check_options(Check.objects.get()).token != token


def test_a_check_that_others_need_is_deleted_only_with_their_edges(operator: Client) -> None:
    net = make("net")
    make("pg", depends_on=["net"])
    path = f"/health/checks/{net.id}/delete"
    assert "pg" in text(operator.get(path))
    assert operator.post(path, {}).status_code == 422
    assert operator.post(path, {"force": "on", "version": "1"}).status_code == 302
    assert not Check.objects.filter(name="net").exists()


def test_a_viewer_meets_a_closed_door_and_the_try_is_audited(viewer: Client) -> None:
    check = make("pg")
    for path in (NEW, f"/health/checks/{check.id}/edit", f"/health/checks/{check.id}/delete"):
        assert viewer.get(path).status_code == 403
        assert viewer.post(path, {}).status_code == 403
    assert (
        AuditEntry.objects.filter(action__startswith="check.", action__endswith=".refused").count()
        == 3
    )
