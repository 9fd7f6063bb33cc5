"""A background worker reports its tasks, from the process that runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import redis

from resilience_site.config import config
from tests.probes.observed_worker import QUEUE, observed
from tests.probes.test_feedback import database_url
from tests.runtime.sink import Sink, attributes

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_is_a_span_with_its_queries_below(pool: str) -> None:
    reply = f"tests.observed.{uuid.uuid4().hex}"
    with Sink().listening() as sink:
        worker = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.probes.observed_worker", "worker"),
                *("--pool", pool, "--concurrency", "1", "--queues", QUEUE, "--loglevel", "error"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "PORT": str(sink.port),
                "HOST": "127.0.0.1",
                "DATABASE_URL": database_url(),
                "REDIS_URL": config.redis_url,
                "DISTRIBUTED_TRACING_ENABLED": "true",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            observed.apply_async((reply,), queue=QUEUE)
            client = redis.Redis.from_url(config.redis_url, socket_timeout=120)
            done = client.blpop([reply], timeout=90)
        finally:
            worker.terminate()
            _, errors = worker.communicate(timeout=60)
        assert done, errors
        spans = {span.name: span for span in sink.spans()}
        task, query = spans["run/tests.observed"], spans["SELECT"]
        assert query.parent_span_id == task.span_id
        # A slow worker may send them one after the other.
        groups = [g for _, _, message in sink.of("/v1/traces") for g in message.resource_spans]
        for group in groups:
            resource = attributes(group.resource.attributes)
            assert resource["service.name"] == "resilience-site"
            assert resource["service.instance.id"].startswith("worker-")
        assert len({attributes(g.resource.attributes)["service.instance.id"] for g in groups}) == 1
