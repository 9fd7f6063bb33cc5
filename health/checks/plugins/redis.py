"""Redis and its kin: PING, a value written and read back, memory, and the state of replication."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final

from redis.exceptions import ResponseError

from health.checks.base import CheckKind, Context, Failed, Finding, kind
from health.checks.judgement import Judgement, require_limits
from health.checks.options import OptionError
from health.checks.reaching import reach
from health.checks.redislink import RedisLink, RedisServer, redis_link, redis_server
from health.checks.words import one_line

KEY: Final = "resilience:probe:"
KEY_SECONDS: Final = 10
_YEAR: Final = 365 * 86_400.0
_ROLES: Final = {"master": "primary", "slave": "replica"}


@dataclass(frozen=True)
class RedisOptions:
    """Options of a Redis check; a threshold that is null is not judged."""

    url: str
    # Whether a value is written and read back; a replica is never written to.
    write: bool = True
    # Memory in use, in percent of maxmemory, where the server has one.
    memory_warn_percent: float | None = 90.0
    memory_fail_percent: float | None = None
    # `primary` or `replica`, where it must be one.
    role: str = ""
    # How long ago a replica heard from its primary; asked of a primary, the worst of its replicas.
    lag_warn_seconds: float | None = None
    lag_fail_seconds: float | None = None
    lag_warn_bytes: float | None = None
    lag_fail_bytes: float | None = None
    # How many replicas must follow a primary.
    min_replicas: int = 0


@kind("redis", "Redis")
class RedisCheck(CheckKind[RedisOptions]):
    Options = RedisOptions
    url_secrets = frozenset({"url"})

    def validate(self, options: RedisOptions) -> None:
        redis_server("url", options.url)
        require_limits(options, "memory", "percent", high=100.0)
        require_limits(options, "lag", "seconds", high=_YEAR)
        require_limits(options, "lag", "bytes", high=float(2**63))
        if options.role not in ("", *_ROLES.values()):
            raise OptionError("role", "must be primary or replica")
        if options.min_replicas < 0:
            raise OptionError("min_replicas", "must not be negative")

    def hosts(self, options: RedisOptions) -> tuple[tuple[str, int], ...]:
        return (redis_server("url", options.url).called,)

    async def run(self, options: RedisOptions, context: Context) -> Finding:
        server = redis_server("url", options.url)
        if not context.deep:
            return await reach(context, server.host, server.port)
        async with redis_link(context, server) as link:
            context.doing(f"waiting for {server.place} to answer")
            return await _probe(link, options, server)


async def _probe(link: RedisLink, options: RedisOptions, server: RedisServer) -> Finding:
    judgement = Judgement()
    began = time.perf_counter()
    reply = await link.ask("PING")
    judgement.observe("ping", 1000 * (time.perf_counter() - began), "ms")
    if reply != b"PONG":
        raise Failed(f"{server.place} answers PING with “{one_line(str(reply), 80)}”")
    info = await _info(link, options, judgement)
    _memory(info, options, judgement)
    role = _ROLES.get(info.get("role", ""), "")
    if options.role and role and role != options.role:
        judgement.fail(f"It is a {role}, not a {options.role}")
    if role == "replica":
        _as_replica(info, options, judgement)
    elif role == "primary":
        _as_primary(info, options, judgement)
    if options.write and role != "replica":
        await _round_trip(link, judgement)
    return judgement.finding(f"PING is answered; {role or 'role not seen'}")


async def _info(link: RedisLink, options: RedisOptions, judgement: Judgement) -> dict[str, str]:
    try:
        text = await link.ask("INFO")
    except ResponseError as error:
        if _needs_info(options):
            judgement.warn(f"Memory and replication cannot be seen: {one_line(str(error), 120)}")
        return {}
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def _needs_info(options: RedisOptions) -> bool:
    judged = (
        options.memory_warn_percent,
        options.memory_fail_percent,
        options.lag_warn_seconds,
        options.lag_fail_seconds,
        options.lag_warn_bytes,
        options.lag_fail_bytes,
    )
    return any(each is not None for each in judged) or bool(options.role or options.min_replicas)


def _memory(info: dict[str, str], options: RedisOptions, judgement: Judgement) -> None:
    used, most = _number(info, "used_memory"), _number(info, "maxmemory")
    judgement.observe("memory_used", used, "bytes")
    if used is None or not most:
        return
    percent = 100.0 * used / most
    judgement.observe("memory", percent, "percent")
    judgement.at_most(
        percent,
        f"{percent:.0f} % of its memory is used ({used / 2**20:.1f} of {most / 2**20:.1f} MiB)",
        warn=options.memory_warn_percent,
        fail=options.memory_fail_percent,
        unit="%",
    )


def _as_replica(info: dict[str, str], options: RedisOptions, judgement: Judgement) -> None:
    linked = info.get("master_link_status") == "up"
    silent = _number(
        info, "master_last_io_seconds_ago" if linked else "master_link_down_since_seconds"
    )
    if not linked:
        judgement.warn("The link to its primary is down")
    read, done = _number(info, "slave_read_repl_offset"), _number(info, "slave_repl_offset")
    behind = None if read is None or done is None else max(0.0, read - done)
    # A link that was never up is down since −1 s: nobody knows for how long.
    heard = None if silent is None or silent < 0 else silent
    _judge_lag(heard, behind, "It heard from its primary", options, judgement)


def _as_primary(info: dict[str, str], options: RedisOptions, judgement: Judgement) -> None:
    replicas = [
        dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        for name, value in info.items()
        if name.startswith("slave") and name[5:].isdigit()
    ]
    online = [each for each in replicas if each.get("state") == "online"]
    judgement.observe("replicas", len(online))
    if len(online) < options.min_replicas:
        judgement.fail(f"{len(online)} replicas follow; {options.min_replicas} must")
    if not online:
        return
    offset = _number(info, "master_repl_offset") or 0.0
    _judge_lag(
        max(_number(each, "lag") or 0.0 for each in online),
        max(offset - (_number(each, "offset") or 0.0) for each in online),
        "The slowest replica was heard",
        options,
        judgement,
    )


def _judge_lag(
    seconds: float | None,
    behind: float | None,
    heard: str,
    options: RedisOptions,
    judgement: Judgement,
) -> None:
    judgement.observe("replication_lag", seconds, "s")
    judgement.observe("replication_lag_bytes", behind, "bytes")
    judgement.at_most(
        seconds,
        f"{heard} {seconds or 0:.0f} s ago",
        warn=options.lag_warn_seconds,
        fail=options.lag_fail_seconds,
        unit="s",
    )
    judgement.at_most(
        behind,
        f"Replication is {behind or 0:.0f} bytes behind",
        warn=options.lag_warn_bytes,
        fail=options.lag_fail_bytes,
        unit="bytes",
    )


async def _round_trip(link: RedisLink, judgement: Judgement) -> None:
    """Write a value that nobody else has, read it back, and remove it."""
    key, value = KEY + secrets.token_hex(8), secrets.token_hex(8)
    began = time.perf_counter()
    written, read, _ = await link.ask_all(
        [("SET", key, value, "EX", KEY_SECONDS), ("GET", key), ("DEL", key)]
    )
    judgement.observe("round_trip", 1000 * (time.perf_counter() - began), "ms")
    if isinstance(written, ResponseError):
        judgement.fail(f"It does not take a value: {one_line(str(written), 160)}")
    elif isinstance(read, ResponseError):
        judgement.fail(f"It does not give a value back: {one_line(str(read), 160)}")
    elif read != value.encode():
        judgement.fail("It gave back another value than was written")


def _number(info: dict[str, str], name: str) -> float | None:
    try:
        return float(info[name])
    except (KeyError, ValueError):
        return None
