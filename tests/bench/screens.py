"""The first byte of the breaker screens with 200 breakers in three instances each."""

from __future__ import annotations

import http.cookiejar
import json
import re
import statistics
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import Any

from tests.bench.running import KEY, PASSWORD, Site, running_site

BREAKERS, INSTANCES = 200, 3
VISITS = 120
PATHS = {
    "/breakers, 200 tiles": ("/breakers", {}),
    "the same as an open page pulls it": ("/breakers", {"HX-Request": "true"}),
    "/retries": ("/retries", {}),
    "/toggles": ("/toggles", {}),
}
LIMIT_MS = 150
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def measure() -> dict[str, Any]:
    """Milliseconds to the first byte of each screen, on a site of its own."""
    with running_site() as site:
        base = f"http://127.0.0.1:{site.port}"
        for instance in range(INSTANCES):
            _report(base, f"bench-{instance}")
        visitor = _signed_in(base)
        # One that nobody has visited yet loads its templates.
        for path, headers in PATHS.values():
            _first_byte(visitor, base + path, headers)
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "breakers": BREAKERS,
            "instances": INSTANCES,
            "first_byte_ms": {
                name: _quantiles(
                    [_first_byte(visitor, base + path, headers) for _ in range(VISITS)]
                )
                for name, (path, headers) in PATHS.items()
            },
            "shown": _tiles(visitor, site),
        }


def _report(base: str, instance: str) -> None:
    """What a service tells of its breakers: policies, states and calls of the last two minutes."""
    now = time.time_ns()
    resource = {"attributes": _pairs({"service.name": "bench", "service.instance.id": instance})}
    policy = json.dumps({"minimum_number_of_calls": 10, "failure_threshold": 5, "timeout": 30})
    names = [f"dependency-{number:03}" for number in range(BREAKERS)]
    records = [_record(now, "configured", name, policy=policy, domains="") for name in names] + [
        _record(
            now, "transition", name, from_state="closed", to_state="open", reason="failure_rate"
        )
        for name in names[::9]
    ]
    _post(base, "logs", {
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]
    })  # fmt: skip
    for step in range(12, 0, -1):
        at = now - step * 10_000_000_000
        points = [
            _point(at, name, outcome, count * (13 - step))
            for name in names
            for outcome, count in (("success", 40), ("failure", 2))
        ]
        metric = {
            "name": "resilience.breaker.calls",
            "unit": "s",
            "histogram": {"aggregationTemporality": 2, "dataPoints": points},
        }
        _post(base, "metrics", {
            "resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]
        })  # fmt: skip


def _record(at: int, event: str, name: str, **attributes: str) -> dict[str, Any]:
    given = {"name": name, **attributes}
    return {
        "timeUnixNano": str(at),
        "eventName": f"resilience.breaker.{event}",
        "attributes": _pairs({f"resilience.breaker.{key}": v for key, v in given.items()}),
    }


def _point(at: int, name: str, outcome: str, count: int) -> dict[str, Any]:
    return {
        "attributes": _pairs(
            {"resilience.breaker.name": name, "resilience.breaker.outcome": outcome}
        ),
        "startTimeUnixNano": str(at - at % 10**12 - 60_000_000_000),
        "timeUnixNano": str(at),
        "count": str(count),
        "sum": count * 0.05,
        "bucketCounts": [str(count), "0"],
        "explicitBounds": [1.0],
    }


def _pairs(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _post(base: str, signal: str, body: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{base}/v1/{signal}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _signed_in(base: str) -> urllib.request.OpenerDirector:
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    visitor = urllib.request.build_opener(jar)
    with visitor.open(f"{base}/login") as page:
        token = _TOKEN.search(page.read().decode())
    assert token is not None
    form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    with visitor.open(f"{base}/login", urllib.parse.urlencode(form).encode()) as page:
        page.read()
    return visitor


def _first_byte(visitor: urllib.request.OpenerDirector, url: str, headers: dict[str, str]) -> float:
    began = time.perf_counter()
    with visitor.open(urllib.request.Request(url, headers=headers)) as page:
        page.read(1)
        took = time.perf_counter() - began
        page.read()
    return took * 1e3


def _tiles(visitor: urllib.request.OpenerDirector, site: Site) -> int:
    with visitor.open(f"http://127.0.0.1:{site.port}/breakers") as page:
        return page.read().decode().count("dependency-")


def _quantiles(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=20)
    return {"p50": cuts[9], "p95": cuts[18]}


def table(figures: dict[str, Any]) -> str:
    width = max(map(len, figures["first_byte_ms"])) + 30
    lines = [
        f"{f'first byte of {name} p50 / p95':<{width}}  {each['p50']:.0f} ms / {each['p95']:.0f} ms"
        for name, each in figures["first_byte_ms"].items()
    ]
    return "\n".join([*lines, f"{'limit of the p95 with 200 breakers':<{width}}  {LIMIT_MS} ms"])
