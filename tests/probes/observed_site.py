"""A web process that observes itself, run by `test_feedback`: `python -m … PORT`.

It receives its own telemetry, and for each request of it queries the database and logs a warning,
as a receiver in trouble would. Prints what arrived after each of several rounds of exporting.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import django
import uvicorn
from django.db import connection

from resilience_site import otel
from tests.runtime.sink import MESSAGES

REQUESTS = 5
ROUNDS = 6
received: list[Any] = []
ended = threading.Semaphore(0)
log = logging.getLogger("tests.observed_site")


def query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    log.warning("queried")


async def site(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] in MESSAGES:
        received.append((scope["path"], MESSAGES[scope["path"]].FromString(body)))
    await asyncio.to_thread(query)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def noted(application: otel.Application) -> otel.Application:
    """Tells of the end of each request, which comes after its answer and its span."""

    async def note(scope: Any, receive: Any, send: Any) -> None:
        await application(scope, receive, send)
        if scope["path"] == "/work":
            ended.release()

    return note


def _await_listening(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30).close()
        except ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def counts() -> dict[str, int]:
    spans = logs = 0
    for _, message in received:
        for group in getattr(message, "resource_spans", ()):
            spans += sum(len(scope.spans) for scope in group.scope_spans)
        for group in getattr(message, "resource_logs", ()):
            logs += sum(len(scope.log_records) for scope in group.scope_logs)
    return {"spans": spans, "logs": logs}


def main(port: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "resilience_site.settings"
    django.setup()
    server = uvicorn.Server(
        uvicorn.Config(
            noted(otel.observed(site)), "127.0.0.1", port, lifespan="off", log_level="error"
        )
    )
    threading.Thread(target=server.run, daemon=True).start()
    # Whom it cannot reach, its client complains about, which would be a warning more.
    _await_listening(port)
    otel.setup("web")
    done = 0
    while done < REQUESTS:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/work", timeout=30).read()
            done += 1
        except ConnectionError:
            continue
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
    for _ in range(REQUESTS):
        assert ended.acquire(timeout=30)
    rounds = []
    for _ in range(ROUNDS):
        assert otel._connections[0].flush(30)
        rounds.append(counts())
    names = sorted(
        {
            span.name
            for _, message in received
            for group in getattr(message, "resource_spans", ())
            for scope in group.scope_spans
            for span in scope.spans
        }
    )
    instances = sorted(
        {
            attribute.value.string_value
            for _, message in received
            for group in getattr(message, "resource_spans", ())
            for attribute in group.resource.attributes
            if attribute.key in ("service.name", "service.instance.id")
        }
    )
    print(json.dumps({"rounds": rounds, "names": names, "resource": instances}))
    server.should_exit = True


if __name__ == "__main__":
    main(int(sys.argv[1]))
