"""Celery: whether its workers answer a ping, how long its queues are and how old their oldest task.

Never a task of our own: one would wait behind the others while all is well, and run twice while it
is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from health.checks.base import CheckKind, Context, Failed, Finding, kind
from health.checks.celerylink import Rabbit, broker_failure, broker_judged, broker_of
from health.checks.judgement import Judgement, require_limits
from health.checks.options import OptionError, require_range
from health.checks.reaching import place, reach
from health.checks.redislink import RedisServer, redis_link
from health.checks.words import one_line
from resilience_site.core.taskqueue import PUBLISHED_AT

# kombu keeps each priority of a queue in a list of its own.
_PRIORITIES: Final = ("", *(f"\x06\x16{step}" for step in range(1, 10)))
_MOST_QUEUES: Final = 50
_YEAR: Final = 365 * 86_400.0


@dataclass(frozen=True)
class CeleryOptions:
    """Options of a Celery check; a threshold that is null is not judged.

    `min_workers` of 0 pings nobody. The age of a queue is that of its oldest waiting task; where
    its message carries no time, it is measured from when the check first saw it. RabbitMQ shows no
    message without handing it out, so there the age is not measured.
    """

    broker_url: str
    queues: tuple[str, ...] = ("celery",)
    min_workers: int = 1
    # How long after its last answer to wait for another worker's.
    reply_seconds: float = 1.0
    queue_warn_length: float | None = None
    queue_fail_length: float | None = None
    queue_warn_seconds: float | None = None
    queue_fail_seconds: float | None = None
    control_exchange: str = "celery"


@kind("celery", "Celery")
class CeleryCheck(CheckKind[CeleryOptions]):
    Options = CeleryOptions
    # It remembers the oldest task.
    shared = False
    url_secrets = frozenset({"broker_url"})

    def validate(self, options: CeleryOptions) -> None:
        broker = broker_of(options.broker_url)
        if len(options.queues) > _MOST_QUEUES or not all(options.queues):
            raise OptionError("queues", f"must be at most {_MOST_QUEUES} names, none of them empty")
        if not 0 <= options.min_workers <= 10_000:
            raise OptionError("min_workers", "must be from 0 to 10000")
        require_range("reply_seconds", options.reply_seconds, 0.1, 30.0)
        require_limits(options, "queue", "length", high=1e12)
        require_limits(options, "queue", "seconds", high=_YEAR)
        aged = options.queue_warn_seconds is not None or options.queue_fail_seconds is not None
        if aged and isinstance(broker, Rabbit):
            raise OptionError(
                "queue_warn_seconds" if options.queue_warn_seconds else "queue_fail_seconds",
                "cannot be judged: RabbitMQ shows no message without handing it out",
            )

    def hosts(self, options: CeleryOptions) -> tuple[tuple[str, int], ...]:
        broker = broker_of(options.broker_url)
        return (broker.called if isinstance(broker, RedisServer) else (broker.host, broker.port),)

    def load(self) -> None:
        from health.checks import brokers  # noqa: F401

    async def run(self, options: CeleryOptions, context: Context) -> Finding:
        broker = broker_of(options.broker_url)
        if not context.deep:
            return await reach(context, broker.host, broker.port)
        judgement = Judgement()
        memory: dict[str, Any] = {}
        if isinstance(broker, RedisServer):
            memory = await _redis_queues(broker, options, context, judgement)
        words, latency = await _workers(broker, options, context, judgement)
        return judgement.finding(words, latency_ms=latency, memory=memory)


async def _redis_queues(
    server: RedisServer, options: CeleryOptions, context: Context, judgement: Judgement
) -> dict[str, Any]:
    """Lengths and ages of the queues; returns what is to be remembered of their oldest tasks."""
    keys = [(name, name + each) for name in options.queues for each in _PRIORITIES]
    async with redis_link(context, server) as link:
        context.doing("waiting for the lengths of the queues")
        commands = [
            (verb, key, *at) for _, key in keys for verb, *at in (("LLEN",), ("LINDEX", -1))
        ]
        replies = await link.ask_all([("PING",), *commands])
    for reply in replies:
        if isinstance(reply, Exception):
            raise Failed(f"{server.place} refuses a look at the queues: {one_line(str(reply))}")
    seen: dict[str, Any] = {}
    before = context.memory.get("oldest", {})
    for name in options.queues:
        length, ages = 0, [0.0]
        for n, (whose, key) in enumerate(keys):
            if whose != name:
                continue
            length += int(replies[1 + 2 * n])
            if oldest := replies[2 + 2 * n]:
                age, seen_now = _age(oldest, before.get(key), context.now)
                ages.append(age)
                if seen_now:
                    seen[key] = seen_now
        _judge_queue(name, length, max(ages), options, judgement)
    return {"oldest": seen}


def _age(
    message: bytes, before: Mapping[str, str] | None, now: datetime
) -> tuple[float, dict[str, str] | None]:
    """The age of a message in seconds, and what to remember of one that carries no time."""
    headers: Any = {}
    try:
        read = json.loads(message)
        headers = read.get("headers") or {}
        published = headers.get(PUBLISHED_AT)
        if published is not None:
            return max(0.0, now.timestamp() - float(published)), None
    except (ValueError, TypeError, AttributeError, RecursionError):
        # Not Celery's, or not of this kind: it has no time, but it has a place in the queue.
        pass
    name = headers.get("id") if isinstance(headers, dict) else None
    identity = str(name or hashlib.sha256(message).hexdigest())[:64]
    if before is None or before.get("id") != identity:
        return 0.0, {"id": identity, "since": now.isoformat()}
    since = datetime.fromisoformat(before["since"])
    return max(0.0, (now - since).total_seconds()), dict(before)


def _judge_queue(
    name: str, length: int, age: float | None, options: CeleryOptions, judgement: Judgement
) -> None:
    judgement.observe(f"queue_length:{name}", length)
    judgement.observe(f"queue_age:{name}", age, "s")
    judgement.at_most(
        length,
        f"{length} tasks wait in the queue {name}",
        warn=options.queue_warn_length,
        fail=options.queue_fail_length,
        unit="tasks",
    )
    judgement.at_most(
        age,
        f"The oldest task in the queue {name} has waited for {age or 0:.0f} s",
        warn=options.queue_warn_seconds,
        fail=options.queue_fail_seconds,
        unit="s",
    )


async def _workers(
    broker: RedisServer | Rabbit, options: CeleryOptions, context: Context, judgement: Judgement
) -> tuple[str, float | None]:
    """Ping the workers; returns the words for the good case, and how long the answers took."""
    rabbit = isinstance(broker, Rabbit)
    if not options.min_workers and not rabbit:
        return "The queues are as they should be", None
    # Loaded when it is needed: it brings kombu and its transports.
    from health.checks import brokers

    called = await broker_judged(broker, context)
    context.doing(f"waiting for workers to answer by way of {place(broker.host, broker.port)}")
    try:
        answers = await brokers.ask(
            called,
            exchange=options.control_exchange,
            queues=options.queues if rabbit else (),
            wait=min(options.reply_seconds, context.timeout / 2) if options.min_workers else 0.0,
            seconds=context.timeout,
        )
    except brokers.BROKER_ERRORS as error:
        raise broker_failure(error, broker, judgement.observed) from None
    for name, state in answers.queues.items():
        if state is None:
            judgement.fail(f"There is no queue {name}")
        else:
            _judge_queue(name, state[0], None, options, judgement)
            judgement.observe(f"consumers:{name}", state[1])
    return _judge_workers(answers.workers, options, judgement)


def _judge_workers(
    workers: dict[str, float], options: CeleryOptions, judgement: Judgement
) -> tuple[str, float | None]:
    judgement.observe("workers", len(workers))
    if len(workers) < options.min_workers:
        judgement.fail(
            f"{len(workers) or 'No'} worker{'s' * (len(workers) > 1)} answered a ping within"
            f" {options.reply_seconds:g} s; {options.min_workers} must"
        )
        return "", None
    # As long as it took until enough had answered, without the wait for further ones.
    times = sorted(workers.values())
    latency = 1000 * times[options.min_workers - 1] if options.min_workers else None
    plural = "workers answer" if len(workers) != 1 else "worker answers"
    return f"{len(workers)} {plural}", latency
