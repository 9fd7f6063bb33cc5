"""The site's own programs, and what they find in their environment."""

from __future__ import annotations

import sys

from resilience_site.config import config
from resilience_site.core import taskqueue
from resilience_site.embedded.programs import ROOT, Program

WEB, WORKER, HEALING, BEAT = "web", "worker", "healing", "beat"
# Each process keeps at most one pool of the size in the settings, and few connections beside it.
_CONNECTIONS_PER_PROCESS = 18
_SPARE_CONNECTIONS = 40
# Neither is to wait for what burdens the other worker.
_QUEUES = f"{taskqueue.HEALING},{taskqueue.ALERTING}"


def site_programs() -> list[Program]:
    """Web, workers and beat, in the order of starting."""
    celery = [sys.executable, "-m", "celery", "--app", "resilience_site.celery"]
    return [
        Program(
            WEB,
            [sys.executable, "-m", "resilience_site.embedded.web"],
            directory=ROOT,
            stop_seconds=15,
            # Stops after the others, whose last telemetry it takes.
            priority=100,
            copies=config.resilience_web_processes,
            listen=(config.host, config.port),
        ),
        Program(
            WORKER,
            [
                *(*celery, "worker", "--loglevel", "INFO"),
                # Threads share what one process has loaded: a forked pool needs that again.
                *("--pool", "threads", "--concurrency", "2", "--prefetch-multiplier", "1"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
                *("--hostname", "celery@%h"),
            ],
            directory=ROOT,
            stop_seconds=15,
            priority=200,
            # Requests come before background work.
            nice=10,
        ),
        Program(
            HEALING,
            [
                *(*celery, "worker", "--loglevel", "INFO"),
                # What is healed may be slow to answer: half of the threads may wait for that, and the
                # others tell people. Another process for these would take 160 MiB more.
                *("--pool", "threads", "--concurrency", "12", "--prefetch-multiplier", "1"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
                *("--hostname", f"{taskqueue.HEALING}@%h", "--queues", _QUEUES),
            ],
            directory=ROOT,
            stop_seconds=15,
            priority=205,
            # Healing comes before other background work: it is to end what delays it.
            nice=5,
        ),
        Program(
            BEAT,
            [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""],
            directory=ROOT,
            priority=210,
            nice=10,
        ),
    ]


def preparation() -> Program:
    """Migrations, first rows and static files; ends by itself."""
    return Program("prepare", [sys.executable, "manage.py", "prepare"], directory=ROOT)


def max_connections() -> int:
    """Of the embedded PostgreSQL: every process of the site and some others at once."""
    processes = config.resilience_web_processes + 3
    return _SPARE_CONNECTIONS + processes * _CONNECTIONS_PER_PROCESS


def address() -> str:
    """The URL under which the site is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{config.port}"


def site_host() -> str:
    """A host name that the site answers to; empty when it answers to any."""
    names = config.resilience_allowed_hosts
    return "" if "*" in names else names[0].removeprefix(".")
