"""Overrides and resets from the screens: who may, what is asked, what a refusal says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from breakers.models import Command, ControlDocument, DomainMember, Instance, Override
from breakers.services.overrides import Target, override_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.breakers import scenes
from tests.breakers.scenes import Scene
from tests.pages.html import PARTIAL, text_of

pytestmark = pytest.mark.django_db

FORCED = {"state": "forced_open", "scope": "service", "reason": "failing over", "expires_in": 3600}


def force(target: Target) -> None:
    """What somebody else does meanwhile."""
    override_set(
        target=target, state="disabled", reason="I was quicker",
        expires_in=600, actor=Actor.system("test"), role=Role.OPERATOR,
    )  # fmt: skip


def add_to_domain(scene: Scene, domain: str = "graph-eu") -> None:
    DomainMember.objects.create(
        domain=domain, service=scene.service, name=scene.name, source="reported"
    )


def hidden(html: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', html)
    assert found, f"there is no field {name}"
    return found[1]


def in_force() -> list[Override]:
    return list(Override.objects.filter(ended_at=None))


def test_the_form_asks_for_state_place_reason_and_end(operator: Client, graph: Scene) -> None:
    add_to_domain(graph)
    html = text_of(operator, f"/breakers/{graph.key}/override")
    for value in ("forced_open", "forced_closed", "disabled", "metrics_only"):
        assert f'name="state" value="{value}"' in html
    for value in ("service", "instance:planner-mcp-server-2", "domain:graph-eu"):
        assert f'<option value="{value}"' in html
    for seconds in (900, 3600, 14400, 86400):
        assert f'name="expires_in" value="{seconds}"' in html
    assert 'minlength="3"' in html
    # The first submit button is the one that Enter would press; a disabled one presses nothing.
    buttons = html.partition('id="override-form"')[2].split("<button ")
    assert buttons[1].startswith('type="submit" disabled hidden')
    assert f'hx-get="/blast-radius/{graph.key}"' in html


def test_in_a_dialog_the_form_comes_alone(operator: Client, graph: Scene) -> None:
    html = text_of(operator, f"/breakers/{graph.key}/override", headers=PARTIAL)
    assert html.startswith('<div data-title="Override microsoft_graph">')
    assert "<html" not in html


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("service", ("service", *scenes.GRAPH, "", "")),
        ("instance:planner-mcp-server-2", ("instance", *scenes.GRAPH, "planner-mcp-server-2", "")),
        ("domain:graph-eu", ("domain", "", "", "", "graph-eu")),
    ],
)
def test_an_override_is_requested_for_what_was_chosen(
    operator: Client, graph: Scene, scope: str, expected: tuple[str, ...]
) -> None:
    add_to_domain(graph)
    path = f"/breakers/{graph.key}/override"
    answer = operator.post(path, FORCED | {"scope": scope, "next": "/breakers?state=open"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/breakers?state=open")
    (row,) = in_force()
    assert (row.scope, row.service, row.name, row.instance, row.domain) == expected
    assert (row.state, row.reason, row.actor) == ("forced_open", "failing over", "a-operator")
    assert row.expires_at is not None
    assert timedelta(minutes=59) < row.expires_at - datetime.now(UTC) <= timedelta(hours=1)


def test_success_is_not_claimed_before_the_instances_acknowledge(
    operator: Client, graph: Scene
) -> None:
    operator.post(f"/breakers/{graph.key}/override", FORCED)
    html = text_of(operator, f"/breakers/{graph.key}")
    assert "Requested: forced open for microsoft_graph in all instances" in html
    assert "requested, applied on 0 of 3 instances" in html
    version = ControlDocument.objects.get(service=graph.service).version
    Instance.objects.filter(instance="planner-mcp-server-1").update(applied_version=version)
    assert "requested, applied on 1 of 3 instances" in text_of(operator, f"/breakers/{graph.key}")
    Instance.objects.update(applied_version=version)
    html = text_of(operator, f"/breakers/{graph.key}")
    assert "applied on 3 of 3 instances" in html
    assert "requested, applied" not in html


def test_one_click_takes_an_override_back(operator: Client, graph: Scene) -> None:
    path = f"/breakers/{graph.key}/override"
    operator.post(path, FORCED | {"scope": "instance:planner-mcp-server-2"})
    operator.post(path, FORCED)
    assert len(in_force()) == 2
    operator.post(path, {"state": "auto", "instance": "planner-mcp-server-2", "next": "/breakers"})
    assert [row.scope for row in in_force()] == ["service"]
    operator.post(path, {"state": "auto", "instance": ""})
    assert in_force() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reason": "no"}, "Say why, in 3 characters or more."),
        ({"reason": "\0  "}, "Say why, in 3 characters or more."),
        ({"expires_in": ""}, "An expiry is needed"),
        ({"expires_in": "-5"}, "An expiry is needed"),
        ({"expires_in": "0"}, "The expiry must lie in the future"),
        ({"expires_in": "86401"}, "An expiry lies at most 86400 seconds ahead"),
        ({"state": "ajar"}, "allowed are forced_open"),
        ({"scope": "galaxy"}, "The scope is service, instance or domain."),
        ({"scope": "instance:gone"}, "known: planner-mcp-server-1"),
        ({"scope": "domain:other"}, "does not belong to the domain"),
    ],
)
def test_a_refusal_is_explained_and_keeps_what_was_typed(
    operator: Client, graph: Scene, wrong: dict[str, str], message: str
) -> None:
    answer = operator.post(f"/breakers/{graph.key}/override", FORCED | wrong)
    html = answer.content.decode()
    assert answer.status_code in (404, 422)
    assert message in html
    assert f">{FORCED['reason']}</textarea>" in html or "reason" in wrong
    assert in_force() == []


def test_a_stale_form_shows_both_sides_and_can_be_sent_again(
    operator: Client, graph: Scene
) -> None:
    path = f"/breakers/{graph.key}/override"
    force(Target.of_breaker(*scenes.GRAPH))
    answer = operator.post(path, FORCED | {"version": "4"})
    html = answer.content.decode()
    assert answer.status_code == 409
    for text in ("What stands now", "I was quicker", "Disabled", "What you asked for",
                 "Forced open", "failing over", "Settings"):  # fmt: skip
        assert text in html
    # What is equal on both sides is no difference.
    assert "<dt>For</dt>" not in html
    version = ControlDocument.objects.get(service=graph.service).version
    assert f'name="version" value="{version}"' in html
    assert operator.post(path, FORCED | {"version": str(version)}).status_code == 302
    assert [row.state for row in in_force()] == ["forced_open"]


@pytest.mark.parametrize(
    ("act", "action"),
    [
        ("override", "breaker.override"),
        ("reset", "breaker.reset"),
        ("policy", "breaker.policy"),
        ("policy/rollback", "breaker.policy"),
    ],
)
def test_a_viewer_is_refused_and_that_is_audited(
    viewer: Client, graph: Scene, act: str, action: str
) -> None:
    answer = viewer.post(f"/breakers/{graph.key}/{act}", FORCED)
    assert answer.status_code == 403
    assert in_force() == []
    entry = AuditEntry.objects.get(action=f"{action}.refused")
    assert (entry.actor, entry.object_type) == ("a-viewer", "breaker")
    assert entry.object_id == "planner-mcp-server/microsoft_graph"
    assert viewer.get(f"/breakers/{graph.key}/{act}").status_code == 403
    assert AuditEntry.objects.filter(action=f"{action}.refused").count() == 1


def test_a_reset_is_sent_as_a_command(operator: Client, graph: Scene) -> None:
    path = f"/breakers/{graph.key}/reset"
    assert "forgets what it counted" in text_of(operator, path)
    form = {"reason": "Graph is back", "instance": "planner-mcp-server-1"}
    assert operator.post(path, form).headers["Location"] == f"/breakers/{graph.key}"
    command = Command.objects.get()
    assert (command.action, command.instance) == ("reset_breaker", "planner-mcp-server-1")
    for reason in ("", "no", " \0 "):
        refused = operator.post(path, {"reason": reason})
        assert refused.status_code == 422
        assert "Say why, in 3 characters or more." in refused.content.decode()
    assert Command.objects.count() == 1


def test_a_reset_tells_who_is_affected_and_offers_the_places_of_an_override(
    operator: Client, graph: Scene
) -> None:
    add_to_domain(graph)
    html = text_of(operator, f"/breakers/{graph.key}/reset")
    assert f'hx-get="/blast-radius/{graph.key}"' in html
    for value in ("service", "instance:planner-mcp-server-2", "domain:graph-eu"):
        assert f'<option value="{value}"' in html
    form = {"reason": "Graph is back", "scope": "domain:graph-eu"}
    refused = operator.post(f"/breakers/{graph.key}/reset", form | {"scope": "domain:mars"})
    assert "does not belong to the domain" in refused.content.decode()
    operator.post(f"/breakers/{graph.key}/reset", form)
    assert AuditEntry.objects.get(action="domain.reset").object_id == "graph-eu"
    command = Command.objects.get()
    assert (command.service, command.parameters) == (graph.service, {"breaker": graph.name})
    assert "Requested: a reset of the failure domain graph-eu." in text_of(operator, "/breakers")


def test_a_reset_of_a_stale_form_shows_both_sides(operator: Client, graph: Scene) -> None:
    force(Target.of_breaker(*scenes.GRAPH))
    answer = operator.post(
        f"/breakers/{graph.key}/reset", {"reason": "Graph is back", "version": "4"}
    )
    html = answer.content.decode()
    assert answer.status_code == 409
    for text in ("I was quicker", "Disabled", "What you asked for", "a reset", "Graph is back"):
        assert text in html
    assert not Command.objects.exists()


def test_an_unknown_breaker_is_not_found(operator: Client) -> None:
    for act in ("", "/override", "/reset", "/policy", "/policy/rollback?number=1"):
        assert operator.get(f"/breakers/{'0' * 16}{act}").status_code == 404


def test_a_form_leads_nowhere_outside_of_the_site(operator: Client, graph: Scene) -> None:
    path = f"/breakers/{graph.key}/override"
    answer = operator.post(path, FORCED | {"next": "https://evil.example/"})
    assert answer.headers["Location"] == f"/breakers/{graph.key}"


def test_a_whole_domain_is_cut_off_and_let_back(operator: Client, viewer: Client) -> None:
    scenes.incident(datetime.now(UTC))
    html = text_of(operator, "/domains")
    assert "2 breakers of 1 service" in html
    assert "graph-eu" in text_of(viewer, "/domains")
    path = "/domains/graph-eu/override"
    assert "Override" not in text_of(viewer, "/domains").partition("<main")[2]
    assert operator.post(path, {"state": "forced_open", "reason": "x"}).status_code == 422
    form = {"state": "forced_open", "reason": "EU is on fire", "expires_in": "900"}
    assert operator.post(path, form).headers["Location"] == "/domains"
    html = text_of(operator, "/domains")
    assert "requested, applied on 0 of 3 instances" in html
    assert f'formaction="{path}"' in html
    assert viewer.post(path, form).status_code == 403
    refused = AuditEntry.objects.get(action="domain.override.refused", actor="a-viewer")
    assert refused.object_id == "graph-eu"
    operator.post(path, {"state": "auto"})
    assert not Override.objects.filter(domain="graph-eu", ended_at=None).exists()
    assert operator.get("/domains/nowhere/override").status_code == 404


def test_a_whole_domain_is_reset(operator: Client, viewer: Client) -> None:
    scenes.incident(datetime.now(UTC))
    path = "/domains/graph-eu/reset"
    assert f'href="{path}" data-dialog' in text_of(operator, "/domains")
    assert path not in text_of(viewer, "/domains")
    html = text_of(operator, path)
    assert 'hx-get="/blast-radius/domain?domain=graph-eu"' in html
    assert operator.post(path, {"reason": "no"}).status_code == 422
    assert viewer.post(path, {"reason": "Graph is back"}).status_code == 403
    refused = AuditEntry.objects.filter(action="domain.reset.refused", object_id="graph-eu")
    assert set(refused.values_list("actor", flat=True)) == {"a-operator", "a-viewer"}
    form = {"reason": "Graph is back", "version": hidden(html, "version")}
    assert operator.post(path, form).headers["Location"] == "/domains"
    assert Command.objects.filter(reason="Graph is back").count() == 2
    assert "Requested: a reset of the failure domain graph-eu." in text_of(operator, "/domains")
    # The commands are news for whoever opened the form before them.
    stale = operator.post(path, form)
    assert stale.status_code == 409
    assert Command.objects.count() == 2
    assert operator.get("/domains/nowhere/reset").status_code == 404


@pytest.mark.parametrize("door", ["domain", "breaker"])
def test_a_stale_form_of_a_domain_shows_both_sides_and_can_be_sent_again(
    operator: Client, graph: Scene, door: str
) -> None:
    add_to_domain(graph)
    path, field = {
        "domain": ("/domains/graph-eu/override", "version"),
        "breaker": (f"/breakers/{graph.key}/override", "version-graph-eu"),
    }[door]
    form = FORCED | {"scope": "domain:graph-eu", field: hidden(text_of(operator, path), field)}
    force(Target.of_domain("graph-eu"))
    answer = operator.post(path, form)
    html = answer.content.decode()
    version = ControlDocument.objects.get(service=graph.service).version
    assert answer.status_code == 409
    for text in ("What stands now", "I was quicker", "Disabled", f"{graph.service} {version}",
                 "microsoft_graph of planner-mcp-server: disabled", "What you asked for",
                 "the failure domain graph-eu", "Forced open", "failing over"):  # fmt: skip
        assert text in html
    assert operator.post(path, form | {field: hidden(html, field)}).status_code == 302
    assert [(row.domain, row.state) for row in in_force()] == [("graph-eu", "forced_open")]


def test_without_domains_the_page_teaches(viewer: Client) -> None:
    assert "bulkheads.failure_domain(" in text_of(viewer, "/domains")
