"""Who is told to look at a run: a worker of its own, at once and again each second."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery
from django.conf import settings
from kombu import matcher

from alerting import tasks as alerting_tasks
from alerting.models import Alert
from alerting.services.rules import evaluate
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from healing import tasks
from healing.actions.base import Subject
from healing.models import HealingRun
from healing.services import recovery_orchestrator
from healing.services.recovery_orchestrator import run_start
from healing.services.runs import telling
from health import tasks as health_tasks
from resilience_site.celery import app
from resilience_site.config import config
from resilience_site.core import taskqueue
from resilience_site.embedded.site import site_programs
from resilience_site.probes import checks
from resilience_site.schedule import BEAT_SCHEDULE
from tests.healing.engine.scenes import SITE, Stage, workflow
from tests.patience import PATIENCE, until


def queue_of(task: str) -> str:
    return str(app.amqp.router.route({}, task)["queue"].name)


def test_all_of_healing_has_a_queue_of_its_own_but_for_who_watches_it() -> None:
    named = {each["task"] for each in BEAT_SCHEDULE.values()}
    own = {each for each in named if each.startswith("healing.")}
    assert own <= set(app.tasks)
    assert telling.LOOK in app.tasks
    assert queue_of("healing.tasks.runs_audit") == taskqueue.QUEUE
    assert {queue_of(each) for each in own - {"healing.tasks.runs_audit"}} == {"healing"}
    assert queue_of(telling.LOOK) == telling.QUEUE == taskqueue.HEALING
    others = {each for each in named - own if not each.startswith("alerting.")}
    assert {queue_of(each) for each in others} == {taskqueue.QUEUE}


def test_what_tells_people_waits_for_none_of_the_rest() -> None:
    named = {each["task"] for each in BEAT_SCHEDULE.values() if "alerting." in each["task"]}
    slow = {each for each in named if each.endswith(("_prune", "reports_make"))}
    assert len(slow) == 4
    assert {queue_of(each) for each in slow} == {taskqueue.QUEUE}
    assert {queue_of(each) for each in named - slow} == {taskqueue.ALERTING}
    (served,) = [
        argv[argv.index("--queues") + 1]
        for argv in (list(each.argv) for each in site_programs())
        if "--queues" in argv
    ]
    assert served.split(",") == [taskqueue.HEALING, taskqueue.ALERTING]


def test_a_queue_is_late_to_the_watch_before_it_discards_what_is_due_most_often() -> None:
    soonest = min(each["options"]["expire_seconds"] for each in BEAT_SCHEDULE.values())
    assert soonest >= 2 * checks.QUEUE_WARNING
    late = checks._queue(taskqueue.QueueState(7, soonest - 1, taskqueue.ALERTING))
    assert (late.status, late.output) == (
        checks.WARN,
        f"7 tasks wait, the oldest for {soonest - 1} s in the queue alerting",
    )
    assert checks._queue(taskqueue.QueueState(7, 2.0, taskqueue.ALERTING)).status == checks.PASS


@pytest.mark.parametrize("task", [tasks.run_look, alerting_tasks.rules_evaluate])
def test_slow_passes_leave_threads_of_the_worker_to_others(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many at once as the worker has threads: few of them begin, the others are over at once."""
    threads, most = 12, {tasks.run_look: 6, alerting_tasks.rules_evaluate: 1}[task]
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(*_: object, **__: object) -> None:
        begun.release()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr(recovery_orchestrator, "run_look", slow)
    monkeypatch.setattr(evaluate, "rules_evaluate", slow)
    given = [str(uuid4())] if task is tasks.run_look else []
    with ThreadPoolExecutor(threads) as worker:
        turns = [worker.submit(task, *given) for _ in range(threads)]
        try:
            assert all(begun.acquire(timeout=PATIENCE) for _ in range(most))
            until(lambda: sum(each.done() for each in turns) == threads - most)
        finally:
            go_on.set()
        for each in turns:
            each.result(PATIENCE)
    assert not begun.acquire(blocking=False), "more began than may"
    task(*given)
    assert begun.acquire(blocking=False), "the next one comes to its turn"


def test_the_worker_that_heals_does_not_stand_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pattern = f"(?!{taskqueue.HEALING}@)"
    assert matcher.match("celery@here", pattern, "pcre")
    assert not matcher.match("healing@here", pattern, "pcre")
    begun: list[str] = []
    monkeypatch.setattr(health_tasks, "keep_probing", lambda: begun.append("probing"))
    health_tasks._begin(sender=SimpleNamespace(hostname="healing@here"))
    assert begun == []
    health_tasks._begin(sender=SimpleNamespace(hostname="celery@here"))
    assert begun == ["probing"]


@pytest.fixture
def broker() -> redis.Redis:
    client = redis.Redis.from_url(config.redis_url)
    client.delete(telling.QUEUE)
    return client


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The broker is there, but the machine may be busy."""
    monkeypatch.setattr(telling, "_TIMEOUT", 60.0)
    telling._sender.cache_clear()
    yield
    telling._sender.cache_clear()


def told(broker: redis.Redis) -> list[tuple[str, str]]:
    """The tasks that wait in the queue, with what they are about."""
    messages = [json.loads(each) for each in broker.lrange(telling.QUEUE, 0, -1)]  # type: ignore[union-attr]
    return [(each["headers"]["task"], each["headers"]["argsrepr"]) for each in messages]


def begin() -> HealingRun:
    now = datetime.now(UTC)
    subject = Subject(kind="service", name="quiet", service="quiet", trigger_kind="alert")
    return run_start(workflow=workflow(now=now), subject=subject, actor=SITE, now=now)


@pytest.mark.django_db(transaction=True)
def test_a_run_is_looked_at_once_it_is_there_and_at_every_tick(
    stage: Stage, broker: redis.Redis, patient: None
) -> None:
    run = begin()
    assert [name for name, _ in told(broker)] == [telling.LOOK]
    assert str(run.pk) in told(broker)[0][1]
    tasks.runs_follow()
    assert len(told(broker)) == 2
    tasks.run_look(str(run.pk))
    assert stage.log == ["test_left test_left"]
    tasks.runs_follow()
    assert len(told(broker)) == 2, "what is over is not due"


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_does_not_answer_keeps_no_run_from_beginning(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert settings.CELERY_BROKER_URL
    nowhere = Celery("nowhere", broker="redis://127.0.0.1:1/0", set_as_current=False)
    nowhere.conf.broker_transport_options = {"socket_connect_timeout": 1, "max_retries": 1}
    monkeypatch.setattr(telling, "_sender", lambda: nowhere)
    with caplog.at_level(logging.WARNING):
        run = begin()
    assert HealingRun.objects.filter(pk=run.pk, state="pending").exists()
    assert "the next tick finds it" in caplog.text


# --- Who proves it ----------------------------------------------------------------------------


def alerted() -> Alert | None:
    """The alert of the shipped rule, once the alerting app has read what the journal tells."""
    rules_evaluate(now=datetime.now(UTC))
    return Alert.objects.filter(rule_name="healing_unwatched").order_by("-started_at").first()


@pytest.mark.django_db(transaction=True)
def test_a_due_run_whose_message_was_lost_pages_until_somebody_looks_at_it(
    stage: Stage, broker: redis.Redis, patient: None
) -> None:
    rules_ship(now=datetime.now(UTC))
    assert alerted() is None
    run = begin()
    # Its worker never hears of it, and the beat that would tell another stands still.
    assert broker.delete(telling.QUEUE) == 1
    tasks.runs_audit()
    assert alerted() is None, "it is only just due"
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    HealingRun.objects.filter(pk=run.pk).update(created_at=long_ago, due_at=long_ago)
    tasks.runs_audit()
    found = alerted()
    assert found is not None
    assert (found.severity, found.state) == ("page", "firing")
    assert "1 due healing run was not looked at for" in found.annotations["summary"]
    assert "heal_it on quiet" in found.annotations["summary"]
    assert stage.log == []
    # The beat comes round again, and a worker hears of it.
    tasks.runs_follow()
    ((task, _),) = told(broker)
    app.tasks[task](str(run.pk))
    assert stage.log == ["test_left test_left"]
    tasks.runs_audit()
    found = alerted()
    assert found is not None
    assert found.state == "resolved"
