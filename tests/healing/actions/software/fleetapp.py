"""A Celery application whose workers have pools of processes, and may restart them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

ROOT = Path(__file__).resolve().parents[4]
BROKER = "FLEET_BROKER_URL"

app = Celery("fleet", broker=os.environ.get(BROKER, "memory://"), set_as_current=False)
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
app.conf.worker_pool_restarts = os.environ.get("FLEET_RESTARTS") != "off"
app.conf.worker_prefetch_multiplier = 1


@app.task
def hold(gate: str) -> None:
    """Runs until there is such a file."""
    while not Path(gate).exists():
        time.sleep(0.02)


@contextmanager
def worker(broker: str, name: str, *queues: str, restarts: bool = True) -> Iterator[None]:
    """A worker process `NAME@fleet` with a pool of one process, that takes from `queues`."""
    environment = {**os.environ, BROKER: broker, "FLEET_RESTARTS": "on" if restarts else "off"}
    # Celery would set up the whole site in each worker, for seconds.
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "tests.healing.actions.software.fleetapp"),
            *("worker", "-P", "prefork", "-c", "1", "-n", f"{name}@fleet", "-l", "WARNING"),
            *("-Q", ",".join(queues)),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # Its pool's processes end with it.
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
