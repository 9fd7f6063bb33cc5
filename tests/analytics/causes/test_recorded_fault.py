"""A recorded fault of a real system, posted as OTLP, explained by the running site."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.analytics.otlp.documents import DATA
from tests.livesite import LiveSite

FAULT, NORMAL = "tt01", "tt_normal"
RECORDED = DATA.parent / "nezha_tt"
_STAMPED = re.compile(
    r"^\S+\s+(INFO|WARN|ERROR|DEBUG)\s+\S+\s+(?:TraceID: \S* SpanID: \S* )?(.*)$", re.S
)
_POD = re.compile(r"-[0-9a-f]{6,10}-[a-z0-9]{5}$")
_TIMES = re.compile(r'"(startTimeUnixNano|endTimeUnixNano)":"(\d+)"')
_SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}
_HEADERS = {"content-type": "application/json"}


@pytest.mark.shared
def test_the_culprit_of_a_recorded_fault_leads(http: httpx.Client, site: LiveSite) -> None:
    """The traces are those kept as OTLP, the logs those recorded with them; both are old, so they
    are moved: the fault ends now, the normal minute ends ten minutes before."""
    path = DATA / f"{FAULT}.otlp.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recording {path}")
    [case] = [
        each for each in json.loads((RECORDED / "cases.json").read_text()) if each["case"] == FAULT
    ]
    now = datetime.now(UTC)
    borders = {}
    for name, folder, end in (
        (FAULT, FAULT, now - timedelta(seconds=5)),
        (NORMAL, case["normal"], now - timedelta(minutes=10)),
    ):
        requests = list(_traces(name))
        times = [int(time) for request in requests for _, time in _TIMES.findall(request)]
        shift = int(end.timestamp() * 1e9) - max(times)
        for request in requests:
            moved = _TIMES.sub(lambda m: f'"{m[1]}":"{int(m[2]) + shift}"', request)  # noqa: B023
            _accepted(http, "/v1/traces", moved)
        for request in _logs(RECORDED / folder / "logs.csv.gz", shift):
            _accepted(http, "/v1/logs", request)
        borders[name] = (min(times) + shift) / 1e9 - 1, (max(times) + shift) / 1e9 + 1
    answer = httpx.get(
        f"{site.url}/api/v1/root-cause",
        params={
            "since": f"{borders[FAULT][0]:.3f}",
            "until": f"{borders[FAULT][1]:.3f}",
            "baseline_since": f"{borders[NORMAL][0]:.3f}",
            "baseline_until": f"{borders[NORMAL][1]:.3f}",
        },
        headers={"authorization": f"Bearer {site.operator_key}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["items"][0]["service"] == case["root_cause_service"], found["items"][:3]
    assert "failed" in found["items"][0]["evidence"][0]["text"]


def _traces(name: str) -> Iterator[str]:
    with gzip.open(DATA / f"{name}.otlp.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from lines


def _accepted(http: httpx.Client, path: str, body: str) -> None:
    answer = http.post(path, content=body, headers=_HEADERS)
    assert (answer.status_code, answer.content) == (200, b"{}")


def _logs(path: Path, shift: int) -> Iterator[str]:
    """The log records of a folder as OTLP, one request a service."""
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            try:
                text = json.loads(row["Log"])["log"].strip()
            except (ValueError, KeyError, TypeError):
                text = row["Log"]
            stamped = _STAMPED.match(text)
            record = {
                "timeUnixNano": str(int(row["TimeUnixNano"]) + shift),
                "severityNumber": _SEVERITIES[stamped[1]] if stamped else 0,
                "body": {"stringValue": stamped[2] if stamped else text},
                "traceId": row["TraceID"],
                "spanId": row["SpanID"],
            }
            records[_POD.sub("", row["PodName"])].append(record)
    for service, found in records.items():
        name = {"key": "service.name", "value": {"stringValue": service}}
        scope = {"scopeLogs": [{"logRecords": found}]}
        yield json.dumps({"resourceLogs": [{"resource": {"attributes": [name]}, **scope}]})
