"""Degraded modes on the screens: what users read, set and ended by operators."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from breakers.models import DegradedMode, Notice
from breakers.services.degraded import degraded_set
from health.models import Service
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from resilience_site.pages import status
from tests.breakers.steering.scenes import AGENT, ANA, PLANNER
from tests.pages.html import PARTIAL, text_of

PATH = f"/degraded/{PLANNER}"


def form(**changed: Any) -> dict[str, Any]:
    """What the form of a level sends."""
    sent = {
        "level": "essential", "notice": "Only reading works.", "reason": "Graph is half down",
        "expires_in": "900", "version": "0",
    }  # fmt: skip
    return sent | changed


@pytest.mark.usefixtures("busy_fleet")
def test_services_are_listed_with_level_notice_and_who_works_by_it(viewer: Client) -> None:
    text = text_of(viewer, "/degraded")
    for expected in (
        "1 of 2 services runs degraded", "Plans may be a few minutes old.", "Graph throttles us",
        "users know it as Planner", "has no public name", "0 of 2", "1 silent", 'href="/status"',
    ):  # fmt: skip
        assert expected in text, expected
    assert text.index(PLANNER) < text.index(AGENT)
    assert text_of(viewer, "/degraded", headers=PARTIAL).startswith('<div class="stack"')


@pytest.mark.usefixtures("busy_fleet")
def test_a_service_shows_its_notice_as_users_read_it(viewer: Client) -> None:
    text = text_of(viewer, PATH)
    assert re.search(
        r'<article class="status-notice"[^>]*data-level="reduced".*Planner.*Plans may be', text
    )
    for expected in ("X-Degraded-Notice", "Graph throttles us", "Applied on 0 of 2 instances",
                     "Level reduced, users read: Plans may be a few minutes old."):  # fmt: skip
        assert expected in text, expected
    assert f'data-live="degraded:{PLANNER} control:{PLANNER}"' in text
    calm = text_of(viewer, f"/degraded/{AGENT}")
    assert "at the level normal there is no notice" in calm
    assert "Give the service a public name" in calm
    assert viewer.get("/degraded/nobody").status_code == 404


@pytest.mark.usefixtures("busy_fleet")
def test_viewers_have_no_buttons_and_what_they_send_is_refused_and_audited(viewer: Client) -> None:
    for path in ("/degraded", PATH):
        assert "data-dialog" not in text_of(viewer, path)
    for path in (f"{PATH}/set", f"{PATH}/end"):
        assert viewer.post(path, form()).status_code == 403
    refused = AuditEntry.objects.filter(action="degraded.set.refused", object_id=PLANNER)
    assert [entry.actor for entry in refused] == ["a-viewer", "a-viewer"]
    assert DegradedMode.objects.get().version == 1
    assert "Refused to change the level" in text_of(viewer, PATH)


@pytest.mark.usefixtures("fleet")
def test_an_operator_degrades_a_service_and_the_public_reads_it(operator: Client) -> None:
    answer = operator.post(f"{PATH}/set", form(), follow=True)
    assert answer.redirect_chain == [(PATH, 302)]
    assert f"Requested: {PLANNER} runs at the level essential." in answer.text
    mode = DegradedMode.objects.get()
    assert (mode.level, mode.actor, mode.expires_at is None) == ("essential", "a-operator", False)
    status.forget()
    assert "Only reading works." in Client().get("/status").text

    answer = operator.post(f"{PATH}/end", {"version": "1", "reason": ""}, follow=True)
    assert f"Requested: {PLANNER} is back to normal." in answer.text
    status.forget()
    assert "All systems operational" in Client().get("/status").text
    assert Notice.objects.get().ended_at is not None
    assert "Back to normal" in text_of(operator, PATH)


@pytest.mark.usefixtures("fleet")
def test_without_an_end_it_lasts_and_without_a_word_about_it_nothing_happens(
    operator: Client,
) -> None:
    silent = {name: value for name, value in form().items() if name != "expires_in"}
    assert operator.post(f"{PATH}/set", silent).status_code == 422
    assert operator.post(f"{PATH}/set", form(expires_in="never")).status_code == 422
    assert not DegradedMode.objects.exists()
    assert operator.post(f"{PATH}/set", form(expires_in="")).status_code == 302
    assert DegradedMode.objects.get().expires_at is None


@pytest.mark.usefixtures("fleet")
def test_the_preview_is_what_the_status_page_shows(viewer: Client, operator: Client) -> None:
    path = f"{PATH}/preview?level=offline&notice=Back+at+%3Cnoon%3E."
    preview = text_of(viewer, path)
    card = re.search(r"<header>.*?</p>", preview)
    assert card is not None
    operator.post(f"{PATH}/set", form(level="offline", notice="Back at <noon>."))
    status.forget()
    assert card[0] in text_of(Client(), "/status")
    # Without a text of one's own, the one that fits the level; without a level, the first.
    assert "Planner is unavailable" in text_of(viewer, f"{PATH}/preview?level=offline")
    assert "Planner is under strain" in text_of(viewer, f"{PATH}/preview?level=nonsense")
    assert "A service" in text_of(viewer, f"/degraded/{AGENT}/preview?level=reduced")


@pytest.mark.usefixtures("fleet")
def test_without_scripts_the_form_shows_the_preview_before_anything_is_set(
    operator: Client,
) -> None:
    answer = operator.post(f"{PATH}/set", form(level="offline", notice="Soon.", preview="1"))
    assert answer.status_code == 200
    assert re.search(r'status-notice".*data-level="offline".*Soon\.', answer.text, re.S)
    assert "Graph is half down" in answer.text
    assert not DegradedMode.objects.exists()


@pytest.mark.usefixtures("busy_fleet")
def test_a_stale_form_shows_both_sides_and_can_be_sent_again(operator: Client) -> None:
    degraded_set(
        service=PLANNER, level="offline", notice="Gone.", reason="r", actor=ANA, role=Role.ADMIN
    )
    answer = operator.post(f"{PATH}/set", form(version="1"))
    assert answer.status_code == 409
    assert re.search(r"What stands now.*<dd>offline</dd>.*Gone\.", answer.text, re.S)
    assert re.search(r"What you asked for.*<dd>essential</dd>", answer.text, re.S)
    assert 'name="version" value="2"' in answer.text
    assert operator.post(f"{PATH}/end", {"version": "1"}).status_code == 409
    assert operator.post(f"{PATH}/set", form(version="2")).status_code == 302
    assert DegradedMode.objects.get().level == "essential"


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"level": "broken"}, "is no level"),
        ({"level": ""}, "is no level"),
        ({"reason": ""}, "Say why"),
        ({"notice": "x" * 501}, "at most 500 characters"),
        ({"expires_in": "99999999"}, "An expiry lies at most"),
    ],
)
def test_what_cannot_be_is_explained_and_what_was_typed_is_kept(
    operator: Client, wrong: dict[str, str], words: str
) -> None:
    answer = operator.post(f"{PATH}/set", form(**wrong))
    assert answer.status_code == 422
    assert words in answer.text
    if "notice" not in wrong:
        assert "Only reading works." in answer.text
    assert not DegradedMode.objects.exists()


@pytest.mark.usefixtures("fleet")
def test_services_with_slashes_in_their_names_have_pages(operator: Client, now: datetime) -> None:
    Service.objects.create(name="team/planner", first_seen=now, last_seen=now)
    assert "team/planner" in text_of(operator, "/degraded/team/planner")
    assert operator.post("/degraded/team/planner/set", form()).status_code == 302
    assert DegradedMode.objects.get().service == "team/planner"
