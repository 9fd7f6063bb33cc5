"""Containers come back as new instances, by the Docker Engine API with all its faults."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from healing.actions.base import ActionFailed
from healing.actions.registry import action_named
from health.checks.options import OptionError
from tests.healing.actions.machines.acting import context
from tests.healing.actions.machines.dockerengine import Box, Engine
from tests.healing.actions.machines.serving import (
    application,
    cut,
    hang,
    rubbish,
    serving,
    status,
)
from tests.patience import until

RESTART = action_named("docker_restart")
HOST_SOCKET = Path("/var/run/docker.sock")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(
        Box("planner", {"service": "planner-mcp"}),
        Box("planner-2", {"service": "planner-mcp"}, running=False),
        Box("graph", {"service": "graph"}),
    )
    with serving(application(made.handle, made.faults), path=str(tmp_path / "d.sock")):
        yield made


@pytest.fixture
def at(tmp_path: Path) -> dict[str, Any]:
    return {"server": f"unix://{tmp_path}/d.sock", "container": "planner"}


def act(given: dict[str, Any], *, seconds: float = 60.0) -> str:
    parameters = RESTART.parse(given)
    before = RESTART.observe(parameters, context())
    assert RESTART.finished(parameters, context(before=before)) is False
    done = RESTART.act(parameters, context(before=before, seconds=seconds))
    assert RESTART.finished(parameters, context(before=before)) is True
    return done.output


def refused(given: dict[str, Any], *, seconds: float = 60.0) -> ActionFailed:
    with pytest.raises(ActionFailed) as failed:
        RESTART.act(RESTART.parse(given), context(seconds=seconds))
    return failed.value


def test_a_container_comes_back_as_a_new_instance(engine: Engine, at: dict[str, Any]) -> None:
    old = engine.box("planner").pid, engine.box("planner").started_at
    others = engine.box("graph").started_at
    output = act(at)
    box = engine.box("planner")
    assert (box.pid, box.started_at) != old
    assert box.started_at in output
    assert f"pid {old[0]}" in output
    assert f"pid {box.pid}" in output
    assert engine.box("graph").started_at == others
    assert engine.faults.asked("POST", "/restart") == 1


def test_a_container_that_does_not_stop_is_killed_after_its_grace(
    engine: Engine, at: dict[str, Any]
) -> None:
    engine.box("planner").stops_after = 60
    act({**at, "grace_seconds": 1})
    assert engine.box("planner").killed
    assert ("POST", f"/v1.47/containers/{engine.box('planner').id}/restart?t=1") in (
        engine.faults.seen
    )


def test_containers_with_a_label_are_restarted_the_dead_one_first(
    engine: Engine, at: dict[str, Any]
) -> None:
    graph = engine.box("graph").started_at
    output = act(
        {**at, "container": "", "label": "service=planner-mcp", "most": 5, "grace_seconds": 0}
    )
    assert [line.split(" ")[0] for line in output.splitlines()] == ["planner-2", "planner"]
    assert engine.box("planner-2").running
    assert engine.box("graph").started_at == graph


def test_of_containers_with_a_label_one_is_restarted_where_no_more_are_asked_for(
    engine: Engine, at: dict[str, Any]
) -> None:
    asked = {**at, "container": "", "label": "service=planner-mcp", "grace_seconds": 0}
    assert act(asked).split(" ")[0] == "planner-2"
    # All run now; the one that has run longest is next.
    assert act(asked).split(" ")[0] == "planner"


def test_it_waits_for_the_health_check_of_the_new_instance(
    engine: Engine, at: dict[str, Any]
) -> None:
    engine.box("planner").healthy_after = 1.3
    assert "healthy" in act(at)


def test_a_health_check_that_does_not_pass_is_a_failure(engine: Engine, at: dict[str, Any]) -> None:
    engine.box("planner").healthy_after = 60
    error = refused({**at, "ready_seconds": 1})
    assert "its health check does not pass" in error.message
    assert error.output == "starting\nno such table: plans"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_container_that_ends_at_once_fails_with_its_last_words(
    engine: Engine, at: dict[str, Any], terminal: bool
) -> None:
    engine.box("planner").crashes = True
    engine.box("planner").terminal = terminal
    error = refused({**at, "ready_seconds": 1})
    assert "planner is exited with exit code 1" in error.message
    assert "no such table: plans" in error.output


def test_a_dry_run_tells_the_container_and_its_state(engine: Engine, at: dict[str, Any]) -> None:
    box = engine.box("planner")
    effect = RESTART.effect(RESTART.parse(at), context())
    assert (
        f"planner ({box.id[:12]}, running since {box.started_at}, image planner:3, pid {box.pid})"
        in effect
    )
    assert "killed" in effect
    assert engine.faults.asked("POST", "/restart") == 0


@pytest.mark.parametrize(
    ("highest", "spoken"), [("1.47", "1.47"), ("1.99", "1.51"), ("1.24", "1.24"), ("", "1.24")]
)
def test_the_newest_version_that_both_know_is_spoken(
    engine: Engine, at: dict[str, Any], highest: str, spoken: str
) -> None:
    engine.highest = highest
    RESTART.effect(RESTART.parse(at), context())
    assert engine.versions == {spoken}


@pytest.mark.parametrize(
    ("highest", "lowest", "words"),
    [
        ("1.12", "1.10", "needed is 1.24"),
        ("1.99", "1.60", "1.51 is too old"),
        ("x", "1.24", "none"),
    ],
)
def test_an_engine_of_another_age_is_refused(
    engine: Engine, at: dict[str, Any], highest: str, lowest: str, words: str
) -> None:
    engine.highest, engine.lowest = highest, lowest
    assert words in refused(at).message


def test_a_container_that_is_not_there_is_refused_for_good(
    engine: Engine, at: dict[str, Any]
) -> None:
    error = refused({**at, "container": "nobody"})
    assert error.permanent
    assert "404 Not Found: No such container: nobody" in error.message
    error = refused({**at, "container": "", "label": "service=nobody"})
    assert error.permanent
    assert "has the label service=nobody" in error.message


def test_a_conflict_and_a_failure_of_the_engine_may_be_tried_again(
    engine: Engine, at: dict[str, Any]
) -> None:
    engine.box("planner").removing = True
    error = refused(at)
    assert not error.permanent
    assert "409 Conflict: Cannot restart container planner: container is marked for" in (
        error.message
    )
    engine.box("planner").removing = False
    engine.faults.plan("POST", "/restart", status(500, {"message": "driver failed"}))
    error = refused(at)
    assert not error.permanent
    assert "500 Internal Server Error: driver failed" in error.message
    act(at)


def test_a_restart_without_an_answer_is_judged_by_what_became_of_it(
    engine: Engine, at: dict[str, Any]
) -> None:
    box = engine.box("planner")

    async def done_in_silence() -> Any:
        box.started_at, box.pid = "2026-11-26T23:59:59.000000001Z", 77
        return await cut()

    engine.faults.plan("POST", "/restart", done_in_silence)
    assert "pid 77" in act(at)
    engine.faults.plan("POST", "/restart", cut)
    assert "closed the connection" in refused({**at, "ready_seconds": 1}).message


def test_an_engine_that_hangs_ends_with_the_time_of_the_step(
    engine: Engine, at: dict[str, Any]
) -> None:
    engine.faults.plan("GET", "/planner/json", hang)
    assert "gave no answer within 0." in refused(at, seconds=0.5).message
    engine.faults.plan("POST", "/restart", hang)
    assert "gave no answer" in refused(at, seconds=1).message


@pytest.mark.parametrize(
    "answer", [rubbish, status(200, {"Id": 5}), status(200, {"Id": "x", "Name": "y", "State": {}})]
)
def test_rubbish_is_a_failure(engine: Engine, at: dict[str, Any], answer: Any) -> None:
    engine.faults.plan("GET", "/planner/json", answer)
    assert "with no JSON" in (text := refused(at).message) or "without" in text


def test_one_that_is_just_down_is_waited_for_before_it_is_judged(
    engine: Engine, at: dict[str, Any]
) -> None:
    parameters = RESTART.parse({**at, "grace_seconds": 0})
    before = RESTART.observe(parameters, context())
    engine.box("planner").running = False
    assert RESTART.finished(parameters, context(before=before)) is False
    assert RESTART.finished(parameters, context()) is None


def test_a_remote_engine_is_called_by_tls_with_a_certificate_of_our_own() -> None:
    authority = trustme.CA()
    ours = authority.issue_cert("healer")
    engine = Engine(Box("planner"))
    with serving(application(engine.handle, engine.faults), tls=(authority, True)) as port:
        given = {
            "server": f"https://127.0.0.1:{port}",
            "container": "planner",
            "ca": authority.cert_pem.bytes().decode(),
            "certificate": ours.cert_chain_pems[0].bytes().decode(),
            "key": ours.private_key_pem.bytes().decode(),
        }
        act(given)
        assert RESTART.hosts(RESTART.parse(given)) == (("127.0.0.1", port),)
        bare = {name: given[name] for name in ("server", "container", "ca")}
        error = refused(bare)
        assert "127.0.0.1" in error.message
        with pytest.raises(ActionFailed, match="private or loopback") as failed:
            RESTART.effect(RESTART.parse(given), context(private=False))
        assert failed.value.permanent
    assert len(engine.boxes) == 1


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({}, "container"),
        ({"container": "a", "label": "b"}, "container"),
        ({"container": "../images"}, "container"),
        ({"container": "a", "server": "tcp://host:2375"}, "server"),
        ({"container": "a", "server": "https://h:1", "ca": "no"}, "ca"),
        ({"container": "a", "certificate": "no"}, "certificate"),
        ({"container": "a", "certificate": "no", "key": "no"}, "certificate"),
        ({"container": "a", "grace_seconds": 301}, "grace_seconds"),
        ({"label": "x" * 2000}, "label"),
        ({"label": "a", "most": 0}, "most"),
    ],
)
def test_parameters_that_cannot_work_are_refused(given: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionError) as error:
        RESTART.parse(given)
    assert error.value.option == option


def test_the_story_variable_governs_it() -> None:
    assert RESTART.variable == "auto_restart_enabled"
    assert RESTART.safe_to_leave


@pytest.mark.skipif(not HOST_SOCKET.exists(), reason="no Docker engine runs on this machine")
def test_a_container_of_the_real_engine_comes_back() -> None:
    image = os.environ.get("RESILIENCE_TEST_IMAGE", "busybox")
    name = f"healing-{uuid.uuid4().hex[:12]}"
    run = ["docker", "run", "--detach", "--name", name, image, "sleep", "600"]
    if subprocess.run(run, capture_output=True, timeout=120).returncode:
        pytest.skip(f"the engine has no image {image}, and cannot fetch it")
    try:
        given = {"server": f"unix://{HOST_SOCKET}", "container": name, "grace_seconds": 1}
        parameters = RESTART.parse(given)
        until(lambda: "running" in RESTART.effect(parameters, context()))
        assert name in act(given, seconds=60)
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=60)
