"""Workflows, targets and switches over the API."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from healing.models import HealingRun, HealingTarget, Workflow
from tests.healing.engine.scenes import Stage, followed, step, workflow
from tests.health.api.conftest import Api
from tests.health.world import World

TEXT = """\
name: wait_a_while
title: Wait a while
trigger: {type: pattern_spiking, names: ["*Timeout*"]}
steps:
  - {id: wait, action: wait, with: {seconds: 1}}
"""


def must(status: int, answer: tuple[int, Any]) -> Any:
    assert answer[0] == status, answer[1]
    return answer[1]


def test_a_workflow_is_written_read_changed_and_deleted(operator: Api, viewer: Api) -> None:
    made = must(201, operator("POST", "healing/workflows", {"text": TEXT}))
    assert (made["name"], made["mode"], made["version"]) == ("wait_a_while", "approve", 1)
    assert made["actions"] == ["wait"]
    one = "healing/workflows/wait_a_while"
    assert viewer.get(one)["text"] == TEXT
    changed = TEXT.replace("seconds: 1", "seconds: 2")
    assert must(409, operator("PUT", one, {"text": changed}, if_match='"7"'))["current"]
    after = must(200, operator("PUT", one, {"text": changed}, if_match='"1"'))
    assert [each["number"] for each in after["versions"]] == [2, 1]
    auto = must(200, operator("POST", f"{one}/mode", {"mode": "auto", "reason": "it is safe"}))
    assert (auto["mode"], auto["mode_reason"]) == ("auto", "it is safe")
    off = must(200, operator("POST", f"{one}/enabled", {"enabled": False, "reason": "rest"}))
    assert off["enabled"] is False
    must(204, operator("DELETE", one))
    must(404, viewer("GET", one))


def test_faults_of_a_text_are_told_with_their_lines(viewer: Api) -> None:
    wrong = TEXT.replace("action: wait", "action: dance")
    found = must(422, viewer("POST", "healing/workflows/check", {"text": wrong}))
    (fault,) = found["errors"]
    assert fault["field"] == "body.text"
    assert fault["message"].startswith("line 5: steps[0].action: 'dance'")
    right = must(200, viewer("POST", "healing/workflows/check", {"text": TEXT}))
    assert right["definition"]["name"] == "wait_a_while"


def test_workflows_that_answer_to_a_type_of_errors_are_found(operator: Api, viewer: Api) -> None:
    must(201, operator("POST", "healing/workflows", {"text": TEXT}))
    asked = "healing/workflows?service=planner&type="
    assert [each["name"] for each in viewer.get(f"{asked}PoolTimeout")["items"]] == ["wait_a_while"]
    assert viewer.get(f"{asked}KeyError")["items"] == []


def test_a_target_says_how_a_service_is_reached(operator: Api, viewer: Api) -> None:
    ways = {"restart": {"action": "wait", "with": {"seconds": 1}}}
    one = "healing/targets/planner"
    made = must(200, operator("PUT", one, {"ways": ways, "group": "web"}))
    assert (made["service"], made["group"], made["version"]) == ("planner", "web", 1)
    wrong = {"restart": {"action": "dance"}}
    refused = must(422, operator("PUT", one, {"ways": wrong}))
    assert "ways.restart" in str(refused["errors"])
    assert viewer.get("healing/targets")["items"][0]["ways"] == ways
    must(204, operator("DELETE", one))
    assert not HealingTarget.objects.exists()


def test_every_action_is_told_with_its_parameters(viewer: Api) -> None:
    found = {each["name"]: each for each in viewer.get("healing/actions")["items"]}
    assert found["wait"]["parameters"] == {"seconds": "float"}
    assert found["http_hook"]["secrets"]
    assert all(each["description"] for each in found.values())


def test_the_kill_switch_stops_and_starts_all_healing(operator: Api, viewer: Api) -> None:
    assert viewer.get("healing/switch")["items"][0]["stopped"] is False
    stop = {"stopped": True, "reason": "we move house", "expires_in": 60}
    assert must(200, operator("PUT", "healing/switch", stop))["stopped"] is True
    assert viewer.get("healing/switch")["items"][0]["reason"] == "we move house"
    must(422, operator("PUT", "healing/switch", {"stopped": False}))
    start = {"stopped": False, "reason": "moved"}
    assert must(200, operator("PUT", "healing/switch", start))["stopped"] is False


@pytest.mark.parametrize("body", [{"text": 7}, {}, {"text": TEXT, "shell": 1}, {"text": "- : ["}])
def test_bodies_that_are_no_workflow_are_refused(operator: Api, body: dict[str, Any]) -> None:
    must(422, operator("POST", "healing/workflows", body))
    assert not Workflow.objects.exists()


def test_success_is_told_with_a_bound_and_times(
    viewer: Api, operator: Api, world: World, stage: Stage
) -> None:
    workflow(step("test_left", "cork"), now=world.now)
    # While a busy machine answered, what fails would recover before the run begins.
    with time_machine.travel(world.now, tick=False):
        body = {"workflow": "heal_it", "target": "shop", "reason": "x"}
        must(201, operator("POST", "healing/runs", body))
        world.down.clear()
        followed(HealingRun.objects.get(), world)
        now = world.now
    with time_machine.travel(now, tick=False):
        found = viewer.get("healing/success")
    (line,) = found["items"]
    assert (line["workflow"], line["runs"], line["healed"], line["rate"]) == ("heal_it", 1, 1, 1.0)
    assert 0 < line["lower"] < 1
    (times,) = found["times"]
    assert times["duration_p50"] > 0
    assert viewer.get("healing/quarantine")["items"] == []
