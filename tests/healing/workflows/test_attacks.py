"""Attacks on what targets keep: by names that senders choose, by variables, by other sockets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from healing.actions.base import ActionFailed, Context, Subject
from healing.domain.definition import Call
from healing.domain.output import output_clean
from healing.models import HealingTarget
from healing.services.targets import Resolved, step_resolve, target_save
from healing.services.workflows.texts import definition_read, text_of
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid
from tests.healing.actions.software.acting import context

pytestmark = pytest.mark.django_db

ANA = Actor.system("ana")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SIGNED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def saved(ways: dict[str, Any]) -> HealingTarget:
    safe = {"safe_to_leave": True}
    ways = {name: {**way, **safe} for name, way in ways.items()}
    return target_save(service="planner", ways=ways, actor=ANA, now=NOW)


def hook(url: str = "http://127.0.0.1:9/heal", **more: Any) -> dict[str, Any]:
    return {"action": "http_hook", "with": {"url": url, "secret": SIGNED, **more}}


def subject(instance: str = "") -> Subject:
    trigger = {"text": "…", "evidence": {"instance": instance}}
    return Subject(kind="service", name="planner", service="planner", trigger=trigger)


def told(found: Resolved) -> str:
    """The effect as people read it."""
    where: Context = context()
    return output_clean(found.action.effect(found.parameters, where), found.secrets)


@pytest.mark.parametrize(
    "instance", ["evil.example/x", "evil.example", "evil.example:8080", "10.0.0.1", "a/b"]
)
@pytest.mark.parametrize(
    "url", ["https://{instance}.internal/heal", "https://{instance}/heal", "https://a.{instance}"]
)
def test_an_instance_that_somebody_reports_leads_no_secret_to_another_host(
    url: str, instance: str
) -> None:
    with pytest.raises(ActionFailed, match="in a host, where"):
        step_resolve(calling(url, headers={"X-Key": "hunter2"}), subject(instance))


def calling(url: str, **more: Any) -> Call:
    """A step that calls a hook; names of hosts are not asked for before it does."""
    return Call.model_validate(hook(url, **more))


def test_an_instance_may_be_a_label_of_a_host_and_anything_harmless_in_a_path() -> None:
    found = step_resolve(calling("https://{instance}.internal/heal"), subject("web-1"))
    assert found.parameters.url == "https://web-1.internal/heal"
    url = "https://hooks.internal/{instance}/heal"
    found = step_resolve(calling(url), subject("web-1.example:8000"))
    assert found.parameters.url == "https://hooks.internal/web-1.example:8000/heal"


@pytest.mark.parametrize(
    "dsn", ["postgresql:///shop?host={instance}", "postgresql://app:hunter2@{instance}/shop"]
)
def test_an_instance_is_no_host_of_a_database(dsn: str) -> None:
    given = {"dsn": dsn, "application": "a"}
    call = Call.model_validate({"action": "postgres_recycle", "with": given})
    with pytest.raises(ActionFailed, match="in a host, where"):
        step_resolve(call, subject("evil.example"))


def test_a_variable_named_with_the_help_of_a_name_is_hidden_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESILIENCE_HEALING_planner", "hunter2")
    saved({"restart": hook(data={"a": "${RESILIENCE_HEALING_{service}}"})})
    found = step_resolve(Call(action="restart"), subject())
    assert found.parameters.data == {"a": "hunter2"}
    assert "hunter2" not in told(found)


@pytest.mark.parametrize("value", ['hun"ter2', "hünter2", "hun\nter2", "hun  ter2", "hunter2"])
@pytest.mark.parametrize("padding", [0, 488, 490, 492])
def test_the_effect_of_a_hook_tells_no_variable_however_it_is_spelled_or_cut(
    monkeypatch: pytest.MonkeyPatch, value: str, padding: int
) -> None:
    monkeypatch.setenv("RESILIENCE_HEALING_WORD", value)
    saved({"restart": hook(data={"a": "x" * padding + "${RESILIENCE_HEALING_WORD}"})})
    text = told(step_resolve(Call(action="restart"), subject()))
    assert "hun" not in text.replace("hünter2", "hun")
    assert "ter2" not in text


@pytest.mark.parametrize(
    ("action", "given", "option"),
    [
        ("toggle", {"key": "k", "value": {"a": ["${RESILIENCE_HEALING_X}"]}}, "value"),
        ("toggle", {"key": "k", "value": "${RESILIENCE_HEALING_{service}}"}, "value"),
        ("degraded_mode", {"level": "reduced", "notice": "${RESILIENCE_CHECK_X}"}, "notice"),
        (
            "in_process",
            {"command": "warm_cache", "parameters": {"a": "${RESILIENCE_CHECK_X}"}},
            "parameters",
        ),
    ],
)
def test_no_variable_is_put_where_everybody_reads_it(
    monkeypatch: pytest.MonkeyPatch, action: str, given: dict[str, Any], option: str
) -> None:
    for name in ("HEALING_X", "CHECK_X", "HEALING_planner"):
        monkeypatch.setenv(f"RESILIENCE_{name}", "hunter2")
    with pytest.raises(Invalid, match="may name no variables") as refused:
        saved({"restart": {"action": action, "with": given}})
    assert refused.value.errors[0].field == f"ways.restart.with.{option}"
    with pytest.raises(ActionFailed, match="may name no variables"):
        step_resolve(Call.model_validate({"action": action, "with": given}), subject())


def test_a_masked_password_does_not_go_to_another_socket() -> None:
    given = {"server": "unix:///run/one.sock", "program": "p", "username": "u", "password": "w0rd"}
    row = saved({"restart": {"action": "supervisor_restart", "with": given}})
    masked = row.ways["restart"]["with"]
    assert masked["password"] == "***"
    moved = {**masked, "server": "unix:///tmp/two.sock"}
    with pytest.raises(Invalid, match="must be entered again"):
        saved({"restart": {"action": "supervisor_restart", "with": moved}})
    call = {"action": "restart", "with": {"server": "unix:///tmp/two.sock"}}
    with pytest.raises(ActionFailed, match="another host"):
        step_resolve(Call.model_validate(call), subject())
    again = {**masked, "program": "q"}
    saved({"restart": {"action": "supervisor_restart", "with": again}})


def test_a_step_does_not_take_the_encryption_from_a_secret_of_a_way() -> None:
    saved({"restart": hook("https://127.0.0.1:8443/heal", headers={"X-Key": "hunter2"})})
    call = {"action": "restart", "with": {"url": "http://127.0.0.1:8443/heal"}}
    with pytest.raises(ActionFailed, match="less protection"):
        step_resolve(Call.model_validate(call), subject())


@pytest.mark.parametrize("depth", [60, 300, 900, 990, 30_000])
def test_values_deep_in_each_other_are_refused_and_not_a_fault_of_the_site(depth: int) -> None:
    text = (
        "name: x\ntitle: X\ntrigger: {type: manual}\nsteps:\n"
        f"  - {{id: a, action: toggle, with: {{key: k, value: {'[' * depth}{']' * depth}}}}}\n"
    )
    with pytest.raises(Invalid, match=r"deep|nest"):
        definition_read(text)


def test_a_definition_as_json_that_is_deep_in_itself_is_refused() -> None:
    value: Any = 1
    for _ in range(900):
        value = [value]
    with pytest.raises(Invalid, match="deep"):
        text_of({"name": "x", "steps": value})


def test_a_breaker_is_reset_by_its_own_action_alone_which_wants_a_proof() -> None:
    with pytest.raises(Invalid, match="breaker_reset does that, by a proof"):
        saved({"restart": {"action": "in_process", "with": {"command": "reset_breaker"}}})
