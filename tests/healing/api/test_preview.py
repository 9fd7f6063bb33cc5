"""What would heal now, over the API."""

from __future__ import annotations

import time_machine

from healing.models import HealingRun
from tests.healing.engine.scenes import Stage, step, workflow
from tests.health.api.conftest import Api
from tests.health.world import World


def test_the_preview_tells_who_would_heal_what_fails_and_touches_nothing(
    viewer: Api, world: World, stage: Stage
) -> None:
    workflow(step("test_left", "cork"), now=world.now)
    with time_machine.travel(world.now, tick=False):
        found = viewer.get("healing/preview")
    (failure,) = found["items"]
    assert (failure["service"], failure["kind"]) == ("shop", "check_failed")
    (answer,) = failure["answers"]
    assert (answer["workflow"], answer["begins"], answer["mode"]) == ("heal_it", True, "auto")
    assert [each["ruling"] for each in answer["guardrails"]].count("refuse") == 0
    assert [(each["state"], each["text"]) for each in answer["steps"]] == [
        ("would", "would test_left cork of shop")
    ]
    assert stage.log == []
    assert not HealingRun.objects.exists()
