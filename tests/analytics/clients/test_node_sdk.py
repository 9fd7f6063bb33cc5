"""The OpenTelemetry SDK of Node sends to a running site, over a real socket."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from analytics.models import ErrorEvent, ErrorPattern, LogRecord, LogRollup, Span, StackTrace
from health.models import Service
from tests.analytics.clients.relay import Relay
from tests.livesite import LiveSite

SENDER = Path(__file__).parent / "node"
# What the pinned packages ask for.
OLDEST = (20, 6)
INSTALL_SECONDS = 20
SEND_SECONDS = 120
# Another failure than these is one of the pins.
UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|ECONN\w+|EAI_\w+|E?TIMED?_?OUT|ENETUNREACH|E4\d\d|E5\d\d)\b"
)
CONTENT_TYPES = {"json": "application/json", "protobuf": "application/x-protobuf"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sender with its packages, outside of the checkout."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node and npm on PATH; install Node.js 20 to test its OpenTelemetry SDK")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    if tuple(map(int, re.findall(r"\d+", version.stdout)[:2])) < OLDEST:
        pytest.skip(f"node {version.stdout.strip()} is older than {OLDEST[0]}.{OLDEST[1]}")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "send.mjs"):
        shutil.copy(SENDER / name, folder)
    options = "--no-package-lock --no-audit --no-fund --ignore-scripts --prefer-offline"
    command = [npm, "install", *options.split(), "--fetch-retries=0"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not get the OpenTelemetry SDK within {INSTALL_SECONDS} s")
    if done.returncode and (reason := UNREACHABLE.search(done.stderr)):
        pytest.skip(f"npm cannot get the OpenTelemetry SDK ({reason[0]}); let it reach a registry")
    assert done.returncode == 0, done.stderr
    return folder


class Sent:
    """What one run of the sender says of itself."""

    def __init__(self, folder: Path, relay: Relay, key: str, encoding: str, compression: str):
        # Names of their own for each run: the web process remembers services and stack traces.
        number = next(_numbers)
        self.service = f"plans-{os.getpid()}-{number}"
        self.script = f"send-{number}.mjs"
        shutil.copy(folder / "send.mjs", folder / self.script)
        environment = {
            **os.environ,
            "SITE": relay.url,
            "KEY": key,
            "ENCODING": encoding,
            "COMPRESSION": compression,
            "SERVICE": self.service,
        }
        done = subprocess.run(
            [shutil.which("node") or "node", self.script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SEND_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        self.results: list[Any] = said["results"]
        self.trace, self.root, self.child = said["trace"], said["root"], said["child"]


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("encoding", list(CONTENT_TYPES))
def test_spans_and_logs_of_node_become_rows(
    sender: Path, site: LiveSite, relay: Relay, encoding: str, compression: str
) -> None:
    sent = Sent(sender, relay, site.ingest_key, encoding, compression)

    assert sent.results == [0, 0]
    _came_chunked(relay, encoding, compression)
    _is_stored(sent)


def _came_chunked(relay: Relay, encoding: str, compression: str) -> None:
    assert [each.path for each in relay.requests] == ["/v1/traces", "/v1/logs"]
    for each in relay.requests:
        assert each.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in each.headers
        assert each.headers["content-type"] == CONTENT_TYPES[encoding]
        assert each.headers.get("content-encoding", "none") == compression
        body = gzip.decompress(each.body) if compression == "gzip" else each.body
        assert b"plan 7 has no tasks" in body
        assert body.startswith(b"{") is (encoding == "json")


def _is_stored(sent: Sent) -> None:
    root, child = Span.objects.filter(trace_id=sent.trace).order_by("started_at", "operation")
    assert (root.operation, root.span_id, root.parent_span_id) == ("GET /plans", sent.root, "")
    assert (child.operation, child.span_id, child.parent_span_id) == (
        "load plan",
        sent.child,
        sent.root,
    )
    assert child.attributes == {"plan.id": 7, "big": 2**53}
    assert Span.objects.count() == 2
    seen = Service.objects.get(name=sent.service)
    assert (seen.version, seen.language) == ("4.2.0", "nodejs")
    records = LogRecord.objects.filter(trace_id=sent.trace).order_by("time", "body")
    assert {(each.body, each.span_id) for each in records} == {
        ("plan 7 is asked for", sent.root),
        ("the plan cannot be summarized", sent.child),
    }
    assert sum(LogRollup.objects.values_list("records", flat=True)) == 2
    # Span and log record told of the same failure.
    error = ErrorEvent.objects.get()
    assert (error.type, error.message) == ("TypeError", "plan 7 has no tasks")
    assert error.span_id == sent.child
    assert ErrorPattern.objects.get(service=sent.service).count == 1


def test_the_stack_of_v8_is_read_into_frames(sender: Path, site: LiveSite, relay: Relay) -> None:
    sent = Sent(sender, relay, site.ingest_key, "json", "none")

    error = ErrorEvent.objects.get()
    assert error.stack_hash is not None
    stack = StackTrace.objects.get(hash=error.stack_hash)
    (exception,) = stack.frames
    assert (stack.language, exception["type"]) == ("javascript", "TypeError")
    calls = [each for each in exception["frames"] if each["in_app"]]
    assert [each["function"] for each in calls][-2:] == ["summarize", "loadPlan"]
    assert Path(calls[-1]["file"]).name == sent.script
    assert calls[-1]["line"] > 0


def test_what_was_refused_with_503_node_sends_again_by_itself(
    sender: Path, site: LiveSite, relay: Relay
) -> None:
    relay.busy = 1
    sent = Sent(sender, relay, site.ingest_key, "protobuf", "gzip")

    assert sent.results == [0, 0]
    assert [each.status for each in relay.requests] == [503, 200, 200]
    _is_stored(sent)
