"""Runs whose steps call hooks of bad faith: each is a failed step, and nothing of it leaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from alerting.channels.webhook.signing import secret_new
from healing.choices import RunState
from healing.domain.output import MOST_BYTES
from healing.services.targets import target_save
from resilience_site.config import config
from resilience_site.core import journal
from tests.healing.actions.software.servers import Answering, answering
from tests.healing.engine.scenes import SITE, Stage, begun, followed, states, step, steps_of
from tests.health.world import World
from tests.pages.html import text_of

pytestmark = pytest.mark.django_db

SECRET = secret_new()
KEY = "header-of-the-hook"
RUBBISH = "<html>It works!</html>"


def said(**answer: Any) -> bytes:
    return json.dumps(answer).encode()


@pytest.fixture
def hook(world: World, stage: Stage) -> Iterator[Answering]:
    """The shop is restarted by a program of somebody else."""
    with answering() as server, config.override(resilience_allow_private_targets=True):
        options = {"url": f"{server.url}/heal", "secret": SECRET, "seconds": 60}
        restart = {
            "action": "http_hook", "with": options | {"headers": {"X-Key": KEY}},
            "safe_to_leave": True,
        }  # fmt: skip
        waits = {**restart, "with": options | {"seconds": 0.5}}
        target_save(
            service="shop", ways={"restart": restart, "hasty": waits}, actor=SITE, now=world.now
        )
        yield server


def through_the_hook(world: World, way: str = "restart", **more: Any) -> Any:
    """The run after its end: what it would do before and after the hook is seen in the stage."""
    run = begun(
        world, step("test_undoable", "before"), {"id": "hook", "action": way, **more},
        step("test_left", "after"),
    )  # fmt: skip
    return followed(run, world)


def kept(run: Any, viewer: Client) -> str:
    """Everything that people can read of the run."""
    entries = [each.payload for each in journal.read(0, ["healing"]) if each.key == str(run.pk)]
    page = text_of(viewer, f"/healing/runs/{run.pk}")
    return page + str(entries) + viewer.get(f"/api/v1/healing/runs/{run.pk}").content.decode()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, RUBBISH.encode(), "with no JSON"),
        (200, b"\xff\xfe\x00" * 100, "with no JSON"),
        (200, said(output="it is done"), 'without {"ok": true'),
        (200, said(ok=True, output="x" * 2 * MOST_BYTES), "is larger than 65536 bytes"),
        (200, said(ok=False, output=f"{KEY} and {SECRET} are wrong"), "failed: *** and *** are"),
        (302, said(ok=True), "redirects (302 Found), which a hook may not"),
        (500, said(ok=True), "answered 500"),
    ],
)
def test_a_hook_that_says_anything_else_is_a_failed_step(
    world: World, hook: Answering, stage: Stage, viewer: Client, status: int, body: bytes,
    error: str,
) -> None:  # fmt: skip
    hook.status, hook.body, hook.headers = status, body, {"Location": f"{hook.url}/elsewhere"}
    run = through_the_hook(world)
    assert run.state == RunState.ESCALATED
    assert states(run) == ["compensated", "failed", "pending"]
    assert error in steps_of(run)[1].error
    assert stage.log == ["test_undoable before", "undo before"]
    assert [each.path for each in hook.asked] == ["/heal"]
    read = kept(run, viewer)
    assert SECRET not in read
    assert KEY not in read


def test_a_hook_that_hangs_is_a_failed_step(
    world: World, hook: Answering, stage: Stage, viewer: Client
) -> None:
    goes_on = threading.Event()
    hook.before = lambda: goes_on.wait(60)
    try:
        run = through_the_hook(world, "hasty")
    finally:
        goes_on.set()
    assert (run.state, states(run)) == (RunState.ESCALATED, ["compensated", "failed", "pending"])
    assert "It took too long" in steps_of(run)[1].error
    assert stage.log == ["test_undoable before", "undo before"]


def test_each_attempt_says_to_the_hook_that_it_is_the_same_act(
    world: World, hook: Answering, stage: Stage
) -> None:
    hook.status, hook.body = 503, said(ok=True)
    run = through_the_hook(world, retries=2, retry_seconds=1)
    assert steps_of(run)[1].attempt == 3
    assert [each.headers["webhook-id"] for each in hook.asked] == [f"{run.pk}:2"] * 3


def test_what_a_hook_says_of_its_success_is_capped_and_cleaned(
    world: World, hook: Answering, stage: Stage, viewer: Client
) -> None:
    stage.on_act = lambda _: world.down.discard("api")
    told = f"key {KEY}, signed with {SECRET}, password=hunter2 postgres://app:hunter2@db/x \0"
    hook.body = said(ok=True, output=f"{told}{'y' * 60_000}")
    run = through_the_hook(world)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, ["succeeded"] * 3)
    output = steps_of(run)[1].output
    assert output.startswith(
        "key ***, signed with ***, password=*** postgres://app:***@db/x \N{REPLACEMENT CHARACTER}yy"
    )
    assert 30_000 < len(output.encode()) <= MOST_BYTES
    read = kept(run, viewer)
    for secret in (KEY, SECRET, "hunter2"):
        assert secret not in read
