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


@pytest.fixture(scope="module")
def case() -> dict[str, Any]:
    """What was done to the system in the recorded fault."""
    if not (DATA / f"{FAULT}.otlp.jsonl.gz").exists():
        pytest.skip(f"no recording {DATA / FAULT}")
    known = json.loads((RECORDED / "cases.json").read_text())
    [found] = [each for each in known if each["case"] == FAULT]
    return dict(found)


@pytest.mark.shared
def test_the_culprit_of_a_recorded_fault_leads(
    http: httpx.Client, site: LiveSite, case: dict[str, Any]
) -> None:
    """The traces are those kept as OTLP, the logs those recorded with them; both are old, so they
    are moved: the fault ends now, the normal minute ends ten minutes before."""
    now = datetime.now(UTC)
    fault = _posted(http, FAULT, now - timedelta(seconds=5), logs=FAULT)
    normal = _posted(http, NORMAL, now - timedelta(minutes=10), logs=case["normal"])
    found = _asked(site, fault, normal)
    assert found["items"][0]["service"] == case["root_cause_service"], found["items"][:3]
    assert "failed" in found["items"][0]["evidence"][0]["text"]


@pytest.mark.shared
@pytest.mark.usefixtures("case")
def test_without_the_logs_of_the_fault_nobody_is_accused(
    http: httpx.Client, site: LiveSite
) -> None:
    """Its service answered wrongly, but as fast as normally and after the same steps: the spans
    alone do not tell. The normal minute ends one minute before the fault begins."""
    fault = _posted(http, FAULT, datetime.now(UTC) - timedelta(hours=3))
    normal = _posted(http, NORMAL, datetime.fromtimestamp(fault[0] - 60, UTC))
    found = _asked(site, fault, normal)
    assert found["traces"] > 100
    assert found["baseline_traces"] > 50
    assert all(each["score"] < 0.5 for each in found["items"]), found["items"][:3]
    assert "Not enough data: no logs of the incident." in found["missing"]
    assert any("cannot be told from one that is well" in note for note in found["missing"])


def _posted(
    http: httpx.Client, name: str, end: datetime, logs: str | None = None
) -> tuple[float, float]:
    """Post a recording so moved that it ends at `end`; since and until in seconds of the epoch."""
    requests = list(_traces(name))
    times = [int(time) for request in requests for _, time in _TIMES.findall(request)]
    shift = int(end.timestamp() * 1e9) - max(times)
    for request in requests:
        moved = _TIMES.sub(lambda m: f'"{m[1]}":"{int(m[2]) + shift}"', request)
        _accepted(http, "/v1/traces", moved)
    if logs is not None:
        for request in _logs(RECORDED / logs / "logs.csv.gz", shift):
            _accepted(http, "/v1/logs", request)
    return (min(times) + shift) / 1e9 - 1, (max(times) + shift) / 1e9 + 1


def _asked(
    site: LiveSite, fault: tuple[float, float], normal: tuple[float, float]
) -> dict[str, Any]:
    answer = httpx.get(
        f"{site.url}/api/v1/root-cause",
        params={
            "since": f"{fault[0]:.3f}",
            "until": f"{fault[1]:.3f}",
            "baseline_since": f"{normal[0]:.3f}",
            "baseline_until": f"{normal[1]:.3f}",
        },
        headers={"authorization": f"Bearer {site.operator_key}"},
        timeout=90,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


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
