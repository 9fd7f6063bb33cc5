"""Workloads come back with new pods, by the Kubernetes API with all its faults."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from healing.actions import kuberneteslink
from healing.actions.base import ActionFailed
from healing.actions.registry import action_named
from health.checks.options import OptionError
from tests.healing.actions.machines.acting import context
from tests.healing.actions.machines.kubernetesserver import TOKEN, Cluster, Work, failure_form
from tests.healing.actions.machines.serving import (
    application,
    cut,
    hang,
    rubbish,
    serving,
    status,
)

RESTART = action_named("kubernetes_restart")
AUTHORITY = trustme.CA()
CA = AUTHORITY.cert_pem.bytes().decode()


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healing.actions.kinds.kubernetes_restart._LOOK_SECONDS", 0.02)


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Cluster, int]]:
    made = Cluster()
    with serving(application(made.handle, made.faults), tls=(AUTHORITY, False)) as port:
        yield made, port


@pytest.fixture
def cluster(shared: tuple[Cluster, int]) -> Cluster:
    made, _ = shared
    made.works = [
        Work("deployments", "planner"),
        Work("statefulsets", "queue", 2),
        Work("daemonsets", "agent", 2),
    ]
    made.faults.planned.clear()
    made.faults.seen.clear()
    return made


@pytest.fixture
def at(shared: tuple[Cluster, int]) -> dict[str, Any]:
    return {
        "server": f"https://127.0.0.1:{shared[1]}",
        "token": TOKEN,
        "ca": CA,
        "namespace": "plan",
        "name": "planner",
    }


def refused(given: dict[str, Any], *, seconds: float = 60.0) -> ActionFailed:
    with pytest.raises(ActionFailed) as failed:
        RESTART.act(RESTART.parse(given), context(seconds=seconds))
    assert TOKEN not in failed.value.message
    return failed.value


@pytest.mark.parametrize(
    ("kind", "name"),
    [("deployment", "planner"), ("statefulset", "queue"), ("daemonset", "agent")],
)
def test_every_pod_is_replaced_by_a_new_one(
    cluster: Cluster, at: dict[str, Any], kind: str, name: str
) -> None:
    work = cluster.work(name)
    old = set(work.pods)
    parameters = RESTART.parse({**at, "kind": kind, "name": name})
    before = RESTART.observe(parameters, context())
    assert before["pods"] == {uid: pod for pod, uid, _ in old}
    assert RESTART.finished(parameters, context(before=before)) is False
    done = RESTART.act(parameters, context(before=before))
    assert not old & set(work.pods)
    assert len(work.pods) == len(old)
    assert done.after["pods"] == {uid: pod for pod, uid, _ in work.pods}
    assert all(pod in done.output for pod, _, _ in work.pods)
    assert "generation 4 → 5" in done.output
    assert RESTART.finished(parameters, context(before=before)) is True
    assert cluster.faults.asked("PATCH", f"/{name}") == 1


def test_the_restart_is_written_as_kubectl_writes_it(cluster: Cluster, at: dict[str, Any]) -> None:
    RESTART.act(RESTART.parse(at), context(key="run-7:restart"))
    notes = cluster.work("planner").template["metadata"]["annotations"]
    assert set(notes) == {kuberneteslink.RESTARTED_AT, kuberneteslink.STEP}
    assert notes[kuberneteslink.RESTARTED_AT].endswith("Z")
    assert notes[kuberneteslink.STEP] == "run-7:restart"
    assert ("PATCH", "/apis/apps/v1/namespaces/plan/deployments/planner?fieldManager="
            "resilience-control-plane") in cluster.faults.seen  # fmt: skip


def test_a_dry_run_tells_each_pod_and_changes_nothing(cluster: Cluster, at: dict[str, Any]) -> None:
    effect = RESTART.effect(RESTART.parse(at), context())
    assert "deployment planner (generation 4, 3 of 3 pods available) in namespace plan" in effect
    for pod, _, _ in cluster.work("planner").pods:
        assert f"{pod} (Running since 2026-11-26T23:00:00Z)" in effect
    assert cluster.faults.asked("PATCH", "planner") == 0


def test_another_attempt_of_the_same_step_replaces_no_pod_twice(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    parameters = RESTART.parse(at)
    step = context(before=RESTART.observe(parameters, context()))
    work = cluster.work("planner")
    work.never_ready = True
    with pytest.raises(ActionFailed, match="stuck"):
        RESTART.act(parameters, step)
    work.never_ready = False
    done = RESTART.act(parameters, step)
    assert cluster.faults.asked("PATCH", "/planner") == 1
    assert work.generation == 5
    assert len(done.after["pods"]) == 3
    # A step of another run is another restart.
    RESTART.act(parameters, context(key="another"))
    assert work.generation == 6


def test_an_act_that_nobody_saw_the_end_of_is_waited_for(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    parameters = RESTART.parse(at)
    before = RESTART.observe(parameters, context())
    notes = {kuberneteslink.STEP: "step-1", kuberneteslink.RESTARTED_AT: "2026-11-26T23:50:00Z"}
    work = cluster.work("planner")
    work.template["metadata"]["annotations"] = notes
    work.generation += 1
    assert RESTART.finished(parameters, context(before=before)) is True
    assert {each[2] for each in work.pods} == {5}
    assert RESTART.finished(parameters, context(before=before, key="other")) is False
    assert RESTART.finished(parameters, context()) is None


def test_a_rollout_that_is_stuck_fails_with_what_the_cluster_says(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    cluster.work("planner").never_ready = True
    assert 'is stuck: ReplicaSet "planner" has timed out progressing.' in refused(at).message


def test_a_rollout_that_takes_too_long_fails_with_its_counts(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    cluster.work("queue").never_ready = True
    error = refused({**at, "kind": "statefulset", "name": "queue", "ready_seconds": 1})
    assert "not through after 1 s: 0 of 2 pods are new, 2 available, 2 there" in error.message
    assert not error.permanent


def test_pods_below_a_partition_stay_as_they_are(cluster: Cluster, at: dict[str, Any]) -> None:
    work = cluster.work("queue")
    work.spec = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}
    old = set(work.pods)
    RESTART.act(RESTART.parse({**at, "kind": "statefulset", "name": "queue"}), context())
    assert len(old & set(work.pods)) == 1


@pytest.mark.parametrize(
    ("name", "kind", "spec", "words"),
    [
        ("planner", "deployment", {"paused": True}, "rollouts are paused"),
        ("planner", "deployment", {"replicas": 0}, "no pods to replace"),
        ("queue", "statefulset", {"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
    ],
)
def test_a_restart_that_would_do_nothing_is_refused_for_good(
    cluster: Cluster, at: dict[str, Any], name: str, kind: str, spec: dict[str, Any], words: str
) -> None:
    cluster.work(name).spec = spec
    parameters = RESTART.parse({**at, "name": name, "kind": kind})
    for call in (RESTART.effect, RESTART.observe, RESTART.act):
        with pytest.raises(ActionFailed, match=words) as failed:
            call(parameters, context())
        assert failed.value.permanent
    assert cluster.faults.asked("PATCH", name) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "nobody"}, '404 Not Found: deployments.apps "nobody" not found'),
        ({"namespace": "other"}, "403 Forbidden: cannot get resource"),
        ({"token": "another-token"}, "401 Unauthorized: Unauthorized"),
    ],
)
def test_what_is_not_there_or_not_allowed_is_refused_for_good(
    cluster: Cluster, at: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    error = refused({**at, **change})
    assert error.permanent
    assert words in error.message


CONFLICT = status(409, failure_form(409, "Conflict", "Operation cannot be fulfilled: modified"))


def test_a_conflict_is_tried_again_a_few_times(cluster: Cluster, at: dict[str, Any]) -> None:
    cluster.faults.plan("PATCH", "/planner", CONFLICT, 2)
    RESTART.act(RESTART.parse(at), context())
    assert cluster.faults.asked("PATCH", "/planner") == 3
    cluster.faults.plan("PATCH", "/planner", CONFLICT, 9)
    with pytest.raises(ActionFailed, match="409 Conflict: Operation cannot be") as failed:
        RESTART.act(RESTART.parse(at), context(key="another"))
    assert not failed.value.permanent
    assert cluster.faults.asked("PATCH", "/planner") == 8


@pytest.mark.parametrize(
    "fault",
    [
        status(500, failure_form(500, "InternalError", "etcdserver: request timed out")),
        status(429, failure_form(429, "TooManyRequests", "too many requests")),
        cut,
    ],
)
def test_an_api_server_that_is_away_during_the_rollout_is_asked_again(
    cluster: Cluster, at: dict[str, Any], fault: Any
) -> None:
    parameters = RESTART.parse(at)
    old = set(cluster.work("planner").pods)

    async def restart_and_fail_then() -> Any:
        cluster.faults.plan("GET", "/deployments/planner", fault, 3)
        work = cluster.work("planner")
        work.template["metadata"]["annotations"] = {kuberneteslink.STEP: "step-1"}
        work.generation += 1
        return await status(200, work.document())()

    cluster.faults.plan("PATCH", "/planner", restart_and_fail_then)
    RESTART.act(parameters, context())
    assert not old & set(cluster.work("planner").pods)
    assert cluster.faults.planned == []


def test_a_failure_of_the_server_on_the_way_may_be_tried_again(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    cluster.faults.plan(
        "PATCH", "/planner", status(500, failure_form(500, "InternalError", "etcd is away"))
    )
    error = refused(at)
    assert "500 Internal Server Error: etcd is away" in error.message
    assert not error.permanent


def test_a_server_that_hangs_ends_with_the_time_of_the_step(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    cluster.faults.plan("PATCH", "/planner", hang)
    assert "gave no answer within" in refused(at, seconds=1).message


@pytest.mark.parametrize("answer", [rubbish, status(200, {"kind": "Status"}), status(200, {})])
def test_rubbish_is_a_failure(cluster: Cluster, at: dict[str, Any], answer: Any) -> None:
    cluster.faults.plan("GET", "/planner", answer)
    assert "with no JSON" in (text := refused(at).message) or "without metadata" in text


def test_a_certificate_of_another_authority_is_refused(
    cluster: Cluster, at: dict[str, Any]
) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    assert "certificate" in refused({**at, "ca": other}).message
    assert cluster.faults.seen == []


def test_without_a_server_it_is_the_cluster_that_the_site_runs_in(
    cluster: Cluster,
    at: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {name: at[name] for name in ("namespace", "name")}
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(OptionError, match="runs in no Kubernetes cluster"):
        RESTART.parse(own)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "ca.crt").write_text(CA)
    monkeypatch.setattr(kuberneteslink, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", at["server"].rpartition(":")[2])
    RESTART.act(RESTART.parse(own), context())
    assert cluster.work("planner").generation == 5


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"name": ""}, "name"),
        ({"name": "../secrets"}, "name"),
        ({"name": "Planner"}, "name"),
        ({"namespace": "a/b"}, "namespace"),
        ({"kind": "job"}, "kind"),
        ({"server": "http://127.0.0.1:1"}, "server"),
        ({"server": "unix:///s"}, "server"),
        ({"token": ""}, "token"),
        ({"token": "a\nb"}, "token"),
        ({"ca": "no"}, "ca"),
        ({"ready_seconds": 0}, "ready_seconds"),
    ],
)
def test_parameters_that_cannot_work_are_refused(
    at: dict[str, Any], change: dict[str, Any], option: str
) -> None:
    with pytest.raises(OptionError) as error:
        RESTART.parse({**at, **change})
    assert error.value.option == option


def test_the_story_variable_governs_it() -> None:
    assert RESTART.variable == "auto_restart_enabled"
    assert RESTART.safe_to_leave
    assert RESTART.secrets == {"token"}


@pytest.mark.skipif(
    "RESILIENCE_TEST_KUBERNETES" not in os.environ,
    reason="RESILIENCE_TEST_KUBERNETES names no cluster (a kubectl context) that tests may use",
)
def test_a_deployment_of_a_real_cluster_gets_new_pods() -> None:
    real = ["kubectl", "--context", os.environ["RESILIENCE_TEST_KUBERNETES"]]

    def kubectl(*words: str) -> str:
        return subprocess.run(
            [*real, *words], check=True, capture_output=True, text=True, timeout=120
        ).stdout.strip()

    space = f"healing-{uuid.uuid4().hex[:12]}"
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "--output=json"))
    kubectl("create", "namespace", space)
    try:
        inside = (f"--namespace={space}",)
        kubectl("create", "serviceaccount", "healer", *inside)
        account = f"--serviceaccount={space}:healer"
        kubectl("create", "rolebinding", "healer", "--clusterrole=edit", account, *inside)
        image = "--image=registry.k8s.io/pause:3.10"
        kubectl("create", "deployment", "planner", image, "--replicas=2", *inside)
        kubectl("rollout", "status", "deployment/planner", *inside)
        authority = view["clusters"][0]["cluster"]["certificate-authority-data"]
        parameters = RESTART.parse(
            {
                "server": view["clusters"][0]["cluster"]["server"],
                "token": kubectl("create", "token", "healer", *inside),
                "ca": base64.b64decode(authority).decode(),
                "namespace": space,
                "name": "planner",
            }
        )
        before = RESTART.observe(parameters, context())
        done = RESTART.act(parameters, context(before=before, seconds=120))
        assert len(done.after["pods"]) >= 2
        assert RESTART.finished(parameters, context(before=before)) is True
    finally:
        kubectl("delete", "namespace", space, "--wait=false")
