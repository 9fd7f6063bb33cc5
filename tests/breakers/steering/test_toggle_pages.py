"""Toggles on the screens: seen by everybody, switched by operators, with both sides of a conflict."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from breakers.models import Toggle
from breakers.services.toggles import toggle_set
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.breakers.steering.scenes import ANA, PLANNER
from tests.pages.html import PARTIAL, text_of

WRITE = "/toggles/planner.write"


def form(**changed: Any) -> dict[str, Any]:
    """What the form of a toggle sends."""
    sent = {
        "value": "false", "value_json": "", "rollout": "100", "otherwise": "false",
        "instances": "", "owner": "", "description": "", "expires_in": "3600",
        "reason": "Graph loses writes", "version": "0",
    }  # fmt: skip
    return sent | changed


@pytest.mark.usefixtures("busy_fleet")
def test_toggles_are_listed_with_who_for_whom_and_until_when(viewer: Client) -> None:
    text = text_of(viewer, "/toggles")
    for expected in (
        ">planner.write</a>", "Whether the planner may change plans.", "25 % of those who ask",
        "instance planner-1", "Graph loses writes", "0 of 3", "in 59 min", "<code class=\"break\">50",
    ):  # fmt: skip
        assert expected in text, expected
    assert "planner.page_size" not in text_of(viewer, "/toggles?q=write")
    assert "No toggle fits these filters" in text_of(viewer, "/toggles?state=unset")
    assert text_of(viewer, "/toggles", headers=PARTIAL).startswith('<div class="table-wrap"')


@pytest.mark.usefixtures("busy_fleet")
def test_a_toggle_tells_what_holds_who_works_by_it_and_its_history(viewer: Client) -> None:
    text = text_of(viewer, WRITE)
    for expected in (
        "then goes back to true", "Applied on 0 of 3 instances", "1 silent, not counted",
        "Set to false", "Set to true", "writes are safe again", "planner team",
        'is_on("planner.write"',
    ):  # fmt: skip
        assert expected in text, expected
    assert f'data-live="toggles:planner.write control" data-src="{WRITE}"' in text
    assert viewer.get("/toggles/nobody.made.it").status_code == 404


@pytest.mark.usefixtures("busy_fleet")
def test_viewers_have_no_buttons_and_what_they_send_is_refused_and_audited(viewer: Client) -> None:
    for path in ("/toggles", WRITE):
        assert "data-dialog" not in text_of(viewer, path)
    for path, action in (
        (f"{WRITE}/set", "toggle.set.refused"),
        (f"{WRITE}/revert", "toggle.revert.refused"),
        ("/toggles/-/new", "toggle.set.refused"),
    ):
        before = AuditEntry.objects.filter(action=action).count()
        assert viewer.post(path, form(key="x")).status_code == 403
        assert AuditEntry.objects.filter(action=action, actor="a-viewer").count() == before + 1
    assert Toggle.objects.get(key="planner.write").version == 2
    assert "Refused to set" in text_of(viewer, WRITE)


@pytest.mark.usefixtures("fleet")
def test_an_operator_makes_a_toggle(operator: Client) -> None:
    sent = form(
        key="planner.mode", value="json", value_json='{"depth": 2}', rollout="12.5",
        otherwise="null", services=[PLANNER], instances="planner-1,\nplanner-2", owner="team",
        expires_in="",
    )  # fmt: skip
    answer = operator.post("/toggles/-/new", sent, follow=True)
    assert answer.redirect_chain == [("/toggles/planner.mode", 302)]
    assert "Requested: planner.mode is {&quot;depth&quot;:2}." in answer.text
    toggle = Toggle.objects.get()
    assert (toggle.value, toggle.otherwise, toggle.rollout) == ({"depth": 2}, None, 0.125)
    assert (toggle.services, toggle.instances) == ([PLANNER], ["planner-1", "planner-2"])
    assert (toggle.expires_at, toggle.owner, toggle.actor) == (None, "team", "a-operator")


@pytest.mark.usefixtures("busy_fleet")
def test_the_form_of_a_change_holds_what_stands(operator: Client) -> None:
    text = text_of(operator, "/toggles/planner.page_size/set")
    for expected in (
        'name="value_json" value="50"', 'name="otherwise" value="100"',
        'name="instances" value="planner-1"', 'name="version" value="1"',
        f'name="services" value="{PLANNER}" checked', '<details class="fold" open>',
    ):  # fmt: skip
        assert expected in text, expected
    assert 'name="next" value="/toggles/planner.page_size"' in text
    partial = text_of(operator, "/toggles/planner.page_size/set", headers=PARTIAL)
    assert partial.startswith('<div data-title="Set planner.page_size">')


@pytest.mark.usefixtures("busy_fleet")
def test_an_operator_puts_a_toggle_back(operator: Client) -> None:
    assert "goes back to true" in text_of(operator, f"{WRITE}/revert")
    operator.post(f"{WRITE}/revert", {"version": "2", "reason": "writes hold again"})
    toggle = Toggle.objects.get(key="planner.write")
    assert (toggle.value, toggle.expires_at) == (True, None)
    entry = AuditEntry.objects.get(action="toggle.reverted")
    assert (entry.actor, entry.reason) == ("a-operator", "writes hold again")
    assert "Put back to true" in text_of(operator, WRITE)


@pytest.mark.usefixtures("busy_fleet")
def test_a_stale_form_shows_both_sides_and_can_be_sent_again(operator: Client) -> None:
    sent = form(version="2", value="json", value_json="7", reason="seven is enough")
    toggle_set(key="planner.write", value=True, reason="meanwhile", actor=ANA, role=Role.ADMIN)
    answer = operator.post(f"{WRITE}/set", sent)
    assert answer.status_code == 409
    text = answer.text
    assert "Somebody else was quicker" in text
    assert re.search(r"What stands now.*<dt>Value</dt><dd>true</dd>", text, re.S)
    assert re.search(r"What you asked for.*<dt>Value</dt><dd>7</dd>", text, re.S)
    assert 'name="version" value="3"' in text
    assert "seven is enough" in text
    assert operator.post(f"{WRITE}/set", sent | {"version": "3"}).status_code == 302
    assert Toggle.objects.get(key="planner.write").value == 7


@pytest.mark.usefixtures("busy_fleet")
def test_a_new_toggle_does_not_overwrite_one_that_is_there(operator: Client) -> None:
    answer = operator.post("/toggles/-/new", form(key="planner.write", value="true"))
    assert answer.status_code == 409
    assert f'action="{WRITE}/set"' in answer.text
    assert Toggle.objects.get(key="planner.write").value is False


@pytest.mark.usefixtures("busy_fleet")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"value": "json", "value_json": "{not json"}, "is no JSON"),
        ({"value": "", "value_json": ""}, "is no JSON"),
        ({"otherwise": "maybe"}, "is no JSON"),
        ({"rollout": "many"}, "The share is a number from 0 to 100."),
        ({"rollout": "250"}, "rollout is a share from 0 to 1"),
        ({"rollout": "nan"}, "rollout is a share from 0 to 1"),
        ({"services": ["nobody"]}, "There is no service"),
        ({"reason": " "}, "Say why"),
        ({"expires_in": "soon"}, "Choose when it ends."),
        ({"expires_in": "0"}, "must lie in the future"),
        ({"expires_in": "9999999"}, "An expiry lies at most"),
    ],
)
def test_what_cannot_be_is_explained_and_what_was_typed_is_kept(
    operator: Client, wrong: dict[str, Any], words: str
) -> None:
    answer = operator.post(f"{WRITE}/set", form(version="2", owner="kept owner", **wrong))
    assert answer.status_code in (404, 422)
    assert words in answer.text
    assert 'value="kept owner"' in answer.text
    assert Toggle.objects.get(key="planner.write").version == 2


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("key", ["", "no spaces", "a/b", "-x", "ä"])
def test_a_key_that_cannot_be_is_explained(operator: Client, key: str) -> None:
    answer = operator.post("/toggles/-/new", form(key=key))
    assert answer.status_code == 422
    assert "letters, digits, dots, dashes and underscores" in answer.text
    assert not Toggle.objects.exists()


@pytest.mark.usefixtures("busy_fleet")
def test_a_forged_form_is_refused(operator: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(f"{WRITE}/set", form(version="2")).status_code == 403
    assert operator.post(f"{WRITE}/set", form(version="2", next="//evil.example/")).headers[
        "Location"
    ] == (WRITE)
