"""A Celery fleet of its own: the application, and its workers as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery
from celery.signals import before_task_publish

from resilience_site.core import taskqueue

ROOT = Path(__file__).resolve().parents[3]
BROKER = "FLEET_BROKER_URL"

app = Celery("fleet", broker=os.environ.get(BROKER, "memory://"), set_as_current=False)
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False


@app.task
def doze(seconds: float) -> None:
    time.sleep(seconds)


class Worker:
    """A worker process that takes tasks of `queue`."""

    def __init__(self, broker: str, name: str, queue: str = "celery") -> None:
        environment = {**os.environ, BROKER: broker}
        # Celery would set up the whole site in each worker, for seconds.
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.health.checks.fleet", "worker"),
                *("-P", "threads", "-c", "1", "-Q", queue, "-n", f"{name}@fleet", "-l", "WARNING"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def worker(broker: str, name: str, queue: str = "celery") -> Iterator[Worker]:
    started = Worker(broker, name, queue)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def sender(broker: str) -> Iterator[Celery]:
    """An application that sends tasks to `broker`."""
    client = Celery("sender", broker=broker, set_as_current=False)
    # An application elsewhere does not write the time into its tasks as this site does.
    stamping = before_task_publish.disconnect(taskqueue.stamp)
    try:
        yield client
    finally:
        client.close()
        if stamping:
            before_task_publish.connect(taskqueue.stamp)
