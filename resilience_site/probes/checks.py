"""What the site needs to work, each part looked at within a bounded time."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import redis
from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader

from analytics.selectors.ingest_status import ingest_status
from health.selectors.lateness import checks_lateness
from resilience_site.config import config
from resilience_site.core import background
from resilience_site.core.taskqueue import HEALING, SHORTEST_EXPIRY, QueueState, quick_client

PASS, WARN, FAIL = "pass", "warn", "fail"
CONNECT_SECONDS = 2
STATEMENT_SECONDS = 2
WORKER_SECONDS = 1.0
LAG_WARNING = 30.0  # seconds
# A queue twice as slow discards what is due most often.
QUEUE_WARNING = SHORTEST_EXPIRY / 2  # seconds
CHECKS_WARNING = 30.0  # seconds
# What does not work without the database.
ALL_OF_IT = ("/", "/api/v1/{+path}", "/v1/{signal}")


@dataclass(frozen=True)
class Outcome:
    """One finding: `name` is `component:measurement`, `output` says what is wrong, `affected` are
    the paths that do not work while it fails, `about` is the path of a page that tells more."""

    name: str
    status: str
    output: str = ""
    value: float | str | None = None
    unit: str = ""
    kind: str = "component"
    affected: tuple[str, ...] = ()
    about: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def component(self) -> str:
        return self.name.rpartition(":")[0]


# --- Database --------------------------------------------------------------------------------


@functools.cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """Every migration of the code, by app and name."""
    return frozenset(MigrationLoader(None).graph.nodes)


def database() -> list[Outcome]:
    """Its connection, and whether the migrations of this code are applied."""
    started = time.perf_counter()
    try:
        applied = _applied_migrations()
    except psycopg.errors.UndefinedTable:
        applied = set()
    except (psycopg.Error, OSError) as error:
        return [
            Outcome(
                "database:connection",
                FAIL,
                _first_line(error),
                kind="datastore",
                affected=ALL_OF_IT,
            ),
            Outcome(
                "migrations:applied",
                FAIL,
                "unknown while the database is down",
                affected=ALL_OF_IT,
            ),
        ]
    connection = Outcome("database:connection", PASS, "", _milliseconds(started), "ms", "datastore")
    missing = known_migrations() - applied
    if missing:
        first = "{}.{}".format(*min(missing))
        output = f"{len(missing)} migrations are not applied, {first} among them"
        return [connection, Outcome("migrations:applied", FAIL, output, affected=ALL_OF_IT)]
    return [connection, Outcome("migrations:applied", PASS)]


def _applied_migrations() -> set[tuple[str, str]]:
    # A connection of its own: waiting for one of the pool is bounded by the pool, not by us.
    parameters = connections["default"].get_connection_params()
    wanted = {
        name: value
        for name, value in parameters.items()
        if name not in ("cursor_factory", "context", "pool")
    }
    wanted["connect_timeout"] = CONNECT_SECONDS
    with psycopg.connect(**wanted, autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = {STATEMENT_SECONDS * 1000}")
        rows = connection.execute("SELECT app, name FROM django_migrations").fetchall()
        return {(app, name) for app, name in rows}


def backlog(is_down: bool) -> list[Outcome]:
    """How far the work on what was received lags behind; `is_down`: the database is."""
    if is_down:
        return [Outcome("ingest:lag", WARN, "unknown while the database is down")]
    try:
        status = ingest_status(now=datetime.now(UTC))
    except DatabaseError as error:
        return [Outcome("ingest:lag", FAIL, _first_line(error))]
    lag, late = status.chains_age, ""
    if lag > LAG_WARNING:
        late = f"the oldest waiting trace is {lag:.0f} s late"
    found = [Outcome("ingest:lag", WARN if late else PASS, late, round(lag, 3), "s")]
    folding = status.folding_words
    found.append(
        Outcome(
            "ingest:patterns", WARN if folding else PASS, folding, len(status.folding), "services"
        )
    )
    full = status.services_words
    found.append(Outcome("ingest:services", WARN if full else PASS, full))
    names = status.names_words
    found.append(
        Outcome("ingest:names", WARN if names else PASS, names, len(status.full_names), "services")
    )
    if status.queue is not None:
        found.append(_queue(status.queue))
    if config.health_checks_enabled:
        found.append(_lateness())
    return found


def _lateness() -> Outcome:
    """Whether health checks are run when they are due: while not, what is known of services ages."""
    try:
        overdue = checks_lateness(datetime.now(UTC))
    except DatabaseError as error:
        return Outcome("checks:lateness", FAIL, _first_line(error))
    late = f"a health check is {overdue:.0f} s overdue" if overdue > CHECKS_WARNING else ""
    return Outcome("checks:lateness", WARN if late else PASS, late, round(overdue, 3), "s")


# --- Redis and workers -----------------------------------------------------------------------


def connection_to_redis() -> Outcome:
    """Whether it answers."""
    started = time.perf_counter()
    try:
        quick_client(config.redis_url).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return Outcome(
            "redis:connection", FAIL, _first_line(error), kind="datastore", affected=("/ws/live/",)
        )
    return Outcome("redis:connection", PASS, "", _milliseconds(started), "ms", "datastore")


def worker(is_down: bool) -> Outcome:
    """Whether any background worker answers; `is_down`: Redis, through which it is asked, is."""
    if is_down:
        return Outcome("worker:heartbeat", WARN, "unknown while redis is down")
    from resilience_site.celery import app

    # The one that heals does nothing of what the others do.
    others = app.control.inspect(
        timeout=WORKER_SECONDS,
        limit=1,
        pattern=f"(?!{HEALING}@)",
        matcher="pcre",  # type: ignore[arg-type]  # The name of one, whatever its stubs say.
    )
    answers = others.ping()
    if not answers:
        return Outcome("worker:heartbeat", WARN, "no background worker answered")
    return Outcome("worker:heartbeat", PASS)


def _queue(state: QueueState) -> Outcome:
    age, late = state.oldest_age or 0.0, ""
    if age > QUEUE_WARNING:
        late = (
            f"{state.length} tasks wait, the oldest for {age:.0f} s in the queue {state.oldest_in}"
        )
    return Outcome("tasks:queue_age", WARN if late else PASS, late, round(age, 3), "s")


# --- This process ----------------------------------------------------------------------------


def background_tasks() -> Outcome:
    """Whether the tasks of this process that never end still run."""
    ill = [each for each in background.statuses() if not each.alive]
    output = "; ".join(f"{each.name} is {each.state}: {each.last_error}" for each in ill)
    return Outcome("background:tasks", FAIL if ill else PASS, output)


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
