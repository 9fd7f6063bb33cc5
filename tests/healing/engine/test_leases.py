"""Two that advance one run, two that begin runs on one target, and who proves that they do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from healing.actions.base import LeaseLost, Subject
from healing.choices import RunState
from healing.models import DetectorCursor, HealingRun
from healing.services.recovery_orchestrator import run_look, run_start, runs_audit
from healing.services.runs import contexts, leases
from healing.services.runs.leases import lease_claim
from resilience_site.core import journal
from tests.healing.engine.scenes import SITE, Stage, at_once, fresh, states, step, workflow
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)
TOLD = Subject(kind="service", name="quiet", service="quiet", trigger_kind="alert")


def begin(now: datetime) -> HealingRun:
    return run_start(
        workflow=workflow(step("test_left", "one"), now=now), subject=TOLD, actor=SITE, now=now
    )


def test_of_two_orchestrators_one_advances_a_run(stage: Stage) -> None:
    run = begin(datetime.now(UTC))
    assert sorted(at_once(*[lambda: run_look(run.pk)] * 4)) == [False, False, False, True]
    assert stage.log == ["test_left one"]
    assert fresh(run).state == RunState.SUCCEEDED


def test_of_two_that_race_for_a_target_one_begins(stage: Stage) -> None:
    now = datetime.now(UTC)
    flows = [workflow(name=name, now=now) for name in ("one", "two", "three")]
    runs = at_once(
        *(
            lambda flow=flow: run_start(workflow=flow, subject=TOLD, actor=SITE, now=now)
            for flow in flows
        )
    )
    assert sorted(each.state for each in runs) == ["cancelled", "cancelled", "pending"]
    assert {each.refused_by for each in runs} == {"", "target_lock"}


def test_the_table_itself_knows_one_open_run_a_target(stage: Stage) -> None:
    run = begin(datetime.now(UTC))
    copy = fresh(run)
    copy.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save(force_insert=True)


def test_whoever_wakes_up_late_writes_nothing(stage: Stage) -> None:
    now = datetime.now(UTC)
    run = begin(now)
    frozen = lease_claim(run_id=run.pk, now=now)
    assert frozen is not None
    assert lease_claim(run_id=run.pk, now=now + leases.LEASE / 2) is None
    other = lease_claim(run_id=run.pk, now=now + leases.LEASE + timedelta(seconds=1))
    assert other is not None
    assert other.fence == frozen.fence + 1
    with pytest.raises(LeaseLost), frozen.writing():
        pass
    with pytest.raises(LeaseLost):
        frozen.pause(60)
    frozen.release(now)
    assert (fresh(run).outcome, fresh(run).fence) == ("", other.fence)
    assert fresh(run).lease_until is not None
    with other.writing() as row:
        assert row.pk == run.pk


def test_a_lease_is_renewed_as_long_as_its_holder_lives_and_does_not_hang(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.3))
    run = begin(datetime.now(UTC))
    lease = lease_claim(run_id=run.pk, now=datetime.now(UTC))
    assert lease is not None
    first = fresh(run).lease_until
    assert first is not None
    with lease.beating():
        until(lambda: (fresh(run).lease_until or first) > first + timedelta(seconds=0.5))
        # A step that hangs: nobody renews it any more, and another may take over.
        lease.allow(0)
        until(lambda: lease_claim(run_id=run.pk, now=datetime.now(UTC)) is not None)
        with pytest.raises(LeaseLost), lease.writing():
            pass


def test_whoever_holds_a_lease_is_told_at_once_that_another_has_the_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.3))
    run = begin(datetime.now(UTC))
    lease = lease_claim(run_id=run.pk, now=datetime.now(UTC))
    assert lease is not None
    HealingRun.objects.update(fence=lease.fence + 1)
    with lease.beating(), pytest.raises(LeaseLost):
        lease.pause(60)


def test_an_act_that_hangs_is_left_to_another_worker_and_changes_nothing_when_it_wakes_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.3))
    monkeypatch.setattr(contexts, "GRACE_SECONDS", 0.1)
    hangs, wakes = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        hangs.set()
        assert wakes.wait(120)

    stage.on_act = hang
    now = datetime.now(UTC)
    flow = workflow(step("test_left", "one", timeout_seconds=0.1), now=now)
    run = run_start(workflow=flow, subject=TOLD, actor=SITE, now=now)
    looked: list[bool] = []
    worker = threading.Thread(target=lambda: looked.extend(at_once(lambda: run_look(run.pk))))
    worker.start()
    assert hangs.wait(60)
    until(lambda: run_look(run.pk))
    ended = fresh(run)
    assert (ended.state, states(run)) == (RunState.ESCALATED, ["failed"])
    wakes.set()
    worker.join()
    assert looked == [False]
    assert stage.log == ["test_left one"]
    after = fresh(run)
    assert (after.state, after.outcome, after.fence) == (ended.state, ended.outcome, ended.fence)
    assert states(run) == ["failed"]


# --- The auditor ------------------------------------------------------------------------------


def audited() -> list[tuple[str, str]]:
    entries = journal.read(0, ["healing"])
    return [(each.kind, each.payload["text"]) for each in entries if each.key == "auditor"]


def test_a_due_run_that_nobody_looks_at_is_told_once_and_so_is_its_end(stage: Stage) -> None:
    now = datetime.now(UTC)
    run = begin(now)
    assert runs_audit(now + timedelta(seconds=59)) == []
    assert audited() == []
    for seconds in (61, 75):
        assert runs_audit(now + timedelta(seconds=seconds)) == [run.pk]
    text = "1 due healing run was not looked at for 61 s: heal_it on quiet"
    assert audited() == [("audit.overdue", text)]
    run_look(run.pk)
    assert runs_audit(now + timedelta(seconds=90)) == []
    assert [kind for kind, _ in audited()] == ["audit.overdue", "audit.well"]


def test_a_detector_that_stands_still_is_told(stage: Stage) -> None:
    now = datetime.now(UTC)
    DetectorCursor.objects.create(reader="failure_detector", position=0, looked_at=now)
    runs_audit(now + timedelta(seconds=30))
    assert audited() == []
    runs_audit(now + timedelta(seconds=90))
    assert audited() == [("audit.overdue", "the failure detector has not looked for 90 s")]


def test_a_run_whose_worker_died_was_looked_at_until_its_lease_was_over(stage: Stage) -> None:
    now = datetime.now(UTC)
    run = begin(now)
    # A step of ten minutes, in which nothing but the lease was written.
    over = now + timedelta(minutes=10)
    HealingRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING, lease_until=over)
    for seconds in (-5, 5, 59):
        assert runs_audit(over + timedelta(seconds=seconds)) == []
    assert audited() == []
    assert runs_audit(over + timedelta(seconds=61)) == [run.pk]
    text = "1 due healing run was not looked at for 61 s: heal_it on quiet"
    assert audited() == [("audit.overdue", text)]
