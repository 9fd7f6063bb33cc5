"""The screens of dependencies and of maintenance: what they show, decide, preview and refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from health.choices import DependencyStatus
from health.models import Check, CheckStatus, Dependency, Maintenance, Service
from tests.health.scenes import make

pytestmark = pytest.mark.django_db
EDGES, WINDOWS = "/health/dependencies", "/health/maintenance"
PREVIEW = f"{WINDOWS}/new?act=preview"


def text(response: HttpResponse) -> str:
    return response.content.decode()


def propose(child: str, parent: str, calls: int = 1_234) -> Dependency:
    now = datetime.now(UTC)
    return Dependency.objects.create(
        child_service=Service.objects.get(name=child),
        parent_service=Service.objects.get(name=parent),
        status=DependencyStatus.PROPOSED, calls=calls, last_seen=now, created_at=now,
    )  # fmt: skip


@pytest.fixture
def proposal() -> Dependency:
    make("portal-http", service="portal")
    make("planner-http", service="planner")
    return propose("portal", "planner")


# --- Dependencies


def test_an_empty_screen_says_how_edges_come_to_be(viewer: Client) -> None:
    page = text(viewer.get(EDGES))
    assert "No dependency is known yet" in page
    assert "New dependency" not in page


def test_proposals_are_shown_with_their_evidence_and_decided_with_a_reason(
    operator: Client, proposal: Dependency
) -> None:
    page = text(operator.get(EDGES))
    assert "Proposed from traces" in page
    assert "1,234" in page
    form = text(operator.get(f"{EDGES}/{proposal.id}/accept"))
    assert "Service portal needs service planner" in form
    response = operator.post(
        f"{EDGES}/{proposal.id}/accept", {"hard": "soft", "reason": "they told us"}
    )
    assert response.status_code == 302
    proposal.refresh_from_db()
    assert (proposal.status, proposal.hard, proposal.reason) == ("accepted", False, "they told us")
    page = text(operator.get(EDGES))
    assert "Proposed from traces" not in page
    assert "they told us" in page


def test_a_rejected_proposal_is_found_by_its_status_and_may_be_accepted_after_all(
    operator: Client, proposal: Dependency
) -> None:
    operator.post(f"{EDGES}/{proposal.id}/reject", {"reason": "a test client"})
    assert "a test client" not in text(operator.get(EDGES))
    assert "a test client" in text(operator.get(f"{EDGES}?status=rejected"))
    assert operator.post(f"{EDGES}/{proposal.id}/accept", {"hard": "hard"}).status_code == 302


def test_a_cycle_is_told_in_words_before_and_after_somebody_tries(
    operator: Client, proposal: Dependency
) -> None:
    back = {"child": "service:planner", "parent": "service:portal", "hard": "hard"}
    assert operator.post(f"{EDGES}/new", back).status_code == 302
    form = text(operator.get(f"{EDGES}/{proposal.id}/accept"))
    assert "cannot be accepted as things are" in form
    assert "service planner needs service portal" in form
    refused = operator.post(f"{EDGES}/{proposal.id}/accept", {"hard": "hard"})
    assert refused.status_code == 422
    assert "cycle" in text(refused)


def test_a_wrong_end_is_refused_and_what_was_typed_stays(operator: Client) -> None:
    make("pg")
    response = operator.post(f"{EDGES}/new", {"child": "pg", "parent": "nobody", "hard": "soft"})
    assert response.status_code == 422
    page = text(response)
    assert "no check or service &#x27;nobody&#x27;" in page
    assert 'value="nobody"' in page
    assert 'value="soft" checked' in page


def test_an_edge_is_removed(operator: Client) -> None:
    make("net")
    make("pg", depends_on=["net"])
    edge = Dependency.objects.get()
    assert "pg needs net" in text(operator.get(f"{EDGES}/{edge.id}/remove")).lower()
    assert operator.post(f"{EDGES}/{edge.id}/remove").status_code == 302
    assert not Dependency.objects.exists()


def test_an_impossible_filter_is_told(viewer: Client) -> None:
    assert viewer.get(f"{EDGES}?status=sad").status_code == 400
    assert viewer.get(f"{EDGES}?cursor=AAAA").status_code == 400


def test_the_queries_of_the_lists_do_not_grow(viewer: Client, proposal: Dependency) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            assert viewer.get(path).status_code == 200
        return len(caught)

    now = datetime.now(UTC)
    plan(operator=None, checks=["portal-http"], now=now)
    few = [queries(path) for path in (EDGES, WINDOWS)]
    for number in range(5):
        make(f"more-{number}", service=f"s{number}", depends_on=["portal-http"])
        propose(f"s{number}", "planner", calls=number)
        plan(operator=None, checks=[f"more-{number}"], now=now)
    assert [queries(path) for path in (EDGES, WINDOWS)] == few


# --- Maintenance


def plan(operator: Client | None, *, checks: list[str], now: datetime) -> None:
    from health.services.maintenance import maintenance_create
    from tests.health.scenes import ACTOR

    maintenance_create(
        name="upgrade", kind="single", reason="r", starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(hours=1), checks=checks, actor=ACTOR, now=now,
    )  # fmt: skip


def sent(**more: Any) -> dict[str, Any]:
    return {
        "name": "nightly", "kind": "weekly", "timezone": "Europe/Berlin", "weekdays": ["6"],
        "start_time": "02:30", "duration_minutes": "60", "starts_at": "2027-03-20T00:00",
        "covers": "everything", "reason": "backups", **more,
    }  # fmt: skip


def local(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"


def test_a_preview_shows_the_next_five_by_the_clock_on_the_wall_and_plans_nothing(
    operator: Client,
) -> None:
    response = operator.post(PREVIEW, sent())
    assert response.status_code == 200
    page = text(response)
    for begins in ("Sun 21 Mar 2027, 02:30", "Sun 28 Mar 2027, 03:00", "Sun 18 Apr 2027, 02:30"):
        assert begins in page
    assert 'value="2027-03-20T00:00"' in page
    assert not Maintenance.objects.exists()
    part = operator.post(PREVIEW, sent(start_time=""), headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "start_time must be" in text(part)


def test_each_kind_is_planned_and_only_by_its_own_fields(operator: Client) -> None:
    now = datetime.now(UTC)
    make("pg")
    singles = sent(
        name="once", kind="single", starts_at=local(now), ends_at=local(now + timedelta(hours=2)),
        timezone="UTC", covers="some", checks="pg\r\n", services=["planner"],
    )  # fmt: skip
    for given in (singles, sent(), sent(name="cron", kind="cron", cron="30 2 * * sun")):
        response = operator.post(f"{WINDOWS}/new", given)
        assert response.status_code == 302, text(response)
    once, weekly, cron = (Maintenance.objects.get(name=n) for n in ("once", "nightly", "cron"))
    assert (once.everything, once.weekdays, once.duration_seconds) == (False, [], None)
    assert [c.name for c in once.checks.all()] == ["pg"]
    assert [s.name for s in once.services.all()] == ["planner"]
    assert (weekly.everything, weekly.weekdays, weekly.duration_seconds) == (True, [6], 3600)
    assert weekly.starts_at == datetime(2027, 3, 19, 23, 0, tzinfo=UTC)
    assert cron.cron == "30 2 * * sun"
    page = text(operator.get(WINDOWS))
    assert "Under way" in page
    for name in ("once", "nightly", "cron"):
        assert name in page


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "f-name"),
        ({"reason": ""}, "f-reason"),
        ({"timezone": "Mars"}, "f-timezone"),
        ({"duration_minutes": "long"}, "f-duration-minutes"),
        ({"start_time": "noon"}, "f-start-time"),
        ({"weekdays": []}, "f-weekdays"),
        ({"ends_at": "2027-03-20T00:30"}, "f-ends-at"),
        ({"kind": "cron", "cron": "nonsense"}, "f-cron"),
        ({"covers": "some"}, "f-checks"),
        ({"covers": "some", "checks": "nobody"}, "f-checks"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    operator: Client, more: dict[str, Any], field: str
) -> None:
    response = operator.post(f"{WINDOWS}/new", sent(**more))
    assert response.status_code == 422
    assert f'id="{field}-error"' in text(response)
    assert not Maintenance.objects.exists()


def test_naming_nothing_never_comes_to_mean_everything(operator: Client) -> None:
    make("pg")
    plan(None, checks=["pg"], now=datetime.now(UTC))
    window = Maintenance.objects.get()
    given = sent(kind="single", starts_at=local(window.starts_at), timezone="UTC",
                 ends_at=local(window.ends_at), covers="some")  # fmt: skip
    assert operator.post(f"{WINDOWS}/{window.id}/edit", given).status_code == 422
    window.refresh_from_db()
    assert not window.everything


def test_an_edit_shows_the_times_of_the_window_and_keeps_them(operator: Client) -> None:
    operator.post(f"{WINDOWS}/new", sent())
    window = Maintenance.objects.get()
    path = f"{WINDOWS}/{window.id}/edit"
    page = text(operator.get(path))
    for value in ('value="2027-03-20T00:00"', 'value="02:30"', 'value="60"', 'value="6" checked'):
        assert value in page
    change = sent(public_text="A short break", version="1", starts_at_before="2027-03-20T00:00")
    assert operator.post(path, change).status_code == 302
    after = Maintenance.objects.get(id=window.id)
    assert (after.public_text, after.starts_at, after.version) == (
        "A short break",
        window.starts_at,
        2,
    )
    stale = operator.post(path, sent(version="1"))
    assert stale.status_code == 409
    assert "Somebody else was quicker" in text(stale)
    assert "<dt>Public text</dt><dd>A short break</dd>" in text(stale)


def test_a_window_is_ended_and_its_check_speaks_again(operator: Client) -> None:
    check = make("pg")
    plan(None, checks=["pg"], now=datetime.now(UTC))
    window = Maintenance.objects.get()
    status = CheckStatus.objects.get(check_row=check)
    assert status.state == "maintenance"
    assert "It ends now" in text(operator.get(f"{WINDOWS}/{window.id}/end"))
    response = operator.post(f"{WINDOWS}/{window.id}/end", {"reason": "done", "version": "1"})
    assert response.status_code == 302
    status.refresh_from_db()
    assert status.state == "unknown"
    assert "Past" in text(operator.get(WINDOWS))
    assert operator.post(f"{WINDOWS}/{window.id}/end", {}).status_code == 422


def test_a_window_is_taken_back_with_a_reason(operator: Client) -> None:
    make("pg")
    plan(None, checks=["pg"], now=datetime.now(UTC))
    window = Maintenance.objects.get()
    assert operator.post(f"{WINDOWS}/{window.id}/delete", {}).status_code == 422
    response = operator.post(f"{WINDOWS}/{window.id}/delete", {"reason": "by mistake"})
    assert response.status_code == 302
    assert not Maintenance.objects.exists()


def test_viewers_look_and_do_not_act(viewer: Client, proposal: Dependency) -> None:
    plan(None, checks=["portal-http"], now=datetime.now(UTC))
    window = Maintenance.objects.get()
    for path in (EDGES, WINDOWS):
        page = text(viewer.get(path))
        assert "data-dialog" not in page.partition("<main")[2]
    for path in (
        f"{EDGES}/{proposal.id}/accept", f"{WINDOWS}/new", f"{WINDOWS}/{window.id}/end",
    ):  # fmt: skip
        assert viewer.get(path).status_code == 403
        assert viewer.post(path, {}).status_code == 403
    assert Check.objects.count() == 2
