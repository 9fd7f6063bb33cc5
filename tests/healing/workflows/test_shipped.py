"""The shipped workflows answer to what checks really say, the most exact one first; the demo's
services are reached for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.programs import CATALOGUE, HEALING, variables
from healing.actions.base import Subject
from healing.actions.registry import actions_known
from healing.domain.definition import Call, Definition, Guards
from healing.domain.matching import Failing, able, answers
from healing.domain.ways import WAYS
from healing.models import HealingTarget, Workflow
from healing.services.targets import step_resolve, ways_of
from healing.services.workflows.applying import healing_apply, shipped_read, workflows_ship
from health.models import Check
from health.services.catalogue_apply import catalogue_apply
from resilience_site.core.audit import Actor
from tests.demo.test_driver import demo_context

ANA = Actor.system("ana")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def shipped() -> list[Definition]:
    return sorted((each.definition for each in shipped_read()), key=lambda each: each.priority)


def first(output: str, *, name: str = "a-check", kind: str = "http", criticality: str = "") -> str:
    """The workflow that goes first for a failed check that says `output`."""
    failing = Failing(
        kind="check_failed",
        key=str(uuid4()),
        service="planner",
        names=(name,),
        since=NOW,
        seen_at=NOW,
        text="",
        link="",
        check_kind=kind,
        output=output,
        criticality=frozenset({criticality}),
    )
    return next((each.name for each in shipped() if answers(each, failing, NOW)), "")


def test_all_that_were_asked_for_are_there_each_with_a_place_of_its_own() -> None:
    definitions = shipped()
    assert {each.name for each in definitions} >= {
        "restart_service", "heal_connection_pool", "warm_cache", "drain_and_recycle_worker",
        "relieve_queue", "degrade_and_restore", "auto_resolve_pattern", "recover_service",
        "reset_breaker_after_proof",
    }  # fmt: skip
    priorities = [each.priority for each in definitions]
    assert len(priorities) == len(set(priorities))


def test_none_puts_a_target_into_quarantine_for_what_another_did() -> None:
    # The budget is the target's: a workflow with less of it would find it used up by others.
    bounds = {(each.guards.per_hour, each.guards.per_day) for each in shipped()}
    assert bounds == {(Guards().per_hour, Guards().per_day)}


@pytest.mark.parametrize(
    ("output", "criticality", "workflow"),
    [
        ("Gave up after 5 s, waiting for the answer to initialize", "critical", "restart_service"),
        ("127.0.0.1:80 cannot be reached: Connection refused", "high", "restart_service"),
        ("127.0.0.1:80 closed the connection without an answer", "high", "restart_service"),
        ("Gave up after 5 s, waiting for an answer", "medium", ""),
        ("Answered 500 Internal Server Error, expected 200-299", "critical", "recover_service"),
        ("Answered 500 Internal Server Error, expected 200-299", "low", ""),
        ("Answered 429 Too Many Requests, expected 200-299", "high", "degrade_and_restore"),
        (
            "$.checks.database is “fail: PoolTimeout”, expected “pass”",
            "critical",
            "heal_connection_pool",
        ),
        (
            "No connection to db:5432: FATAL: sorry, too many clients already",
            "",
            "heal_connection_pool",
        ),
        (
            "$.checks.kept_answers is “fail: the cache was emptied”, expected “pass”",
            "critical",
            "warm_cache",
        ),
    ],
)
def test_what_a_check_says_leads_to_the_workflow_for_it(
    output: str, criticality: str, workflow: str
) -> None:
    assert first(output, criticality=criticality) == workflow


@pytest.mark.parametrize(
    ("output", "workflow"),
    [
        ("900 tasks wait in the queue celery (fails from 500 tasks)", "relieve_queue"),
        (
            "No worker answered a ping within 3 s; 1 must",
            "restart_service",
        ),
        (
            "The oldest task in the queue celery has waited for 700 s (fails from 600 s)",
            "relieve_queue",
        ),
    ],
)
def test_workers_and_queues_have_workflows_of_their_own(output: str, workflow: str) -> None:
    assert first(output, kind="celery", criticality="critical") == workflow


def test_tasks_that_stand_still_where_nothing_relieves_them_have_their_worker_replaced() -> None:
    definition = next(each for each in shipped() if each.name == "drain_and_recycle_worker")
    known = actions_known()
    assert able(definition, {"recycle_worker"}, known) == ""
    assert able(definition, {"drain"}, known) == "its service has no way recycle_worker"


def test_a_pool_check_that_gets_no_answer_tells_of_the_process() -> None:
    text = "Gave up after 4 s, waiting for the answer"
    assert first(text, name="planner-pool", criticality="critical") == "restart_service"


def test_the_ladder_begins_with_a_look_and_ends_with_degrading() -> None:
    ladder = next(each for each in shipped() if each.name == "recover_service")
    assert ladder.strategy == "ladder"
    assert [step.id for step in ladder.steps] == [
        "reprobe", "recycle_pool", "warm_cache", "restart", "degrade",
    ]  # fmt: skip


def test_every_way_that_a_shipped_workflow_asks_for_is_one_that_all_know() -> None:
    asked = {step.action for each in shipped() for step in each.steps} - set(actions_known())
    assert asked <= set(WAYS)


@pytest.mark.django_db
def test_the_demo_heals_by_itself_and_its_services_have_the_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://site:pw@127.0.0.1:5432/site")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    supervisor = f"unix://{tmp_path}/supervisor.sock"
    context = demo_context(
        tmp_path,
        database_url="postgresql://demo:pw@127.0.0.1:5432/planner",
        redis_url="redis://127.0.0.1:2/0",
        supervisor_url=supervisor,
    )
    for name, value in variables(context).items():
        monkeypatch.setenv(name, value)
    catalogue_apply(text=CATALOGUE.read_text(), source="demo", actor=ANA, now=NOW)
    workflows_ship(actor=ANA, now=NOW)
    healing_apply(text=HEALING.read_text(), source="demo", mode="auto", actor=ANA, now=NOW)
    assert set(Workflow.objects.values_list("mode", flat=True)) == {"auto"}
    services = set(Check.objects.values_list("service", flat=True))
    assert set(HealingTarget.objects.values_list("service", flat=True)) <= services
    planner = Subject("service", "planner-mcp-server", "planner-mcp-server")
    assert ways_of("planner-mcp-server") >= {"restart", "recycle_pool", "warm_cache", "degrade"}
    for way in ways_of("planner-mcp-server"):
        step_resolve(Call(action=way), planner)
    assert step_resolve(Call(action="restart"), planner).parameters.server == supervisor
