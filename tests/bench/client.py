"""A load generator of its own process: keep-alive connections, prepared bodies, nothing else.

`python -m tests.bench.client PORT KEY CLIENTS REQUESTS RATE SEED`; RATE is requests per second
over all clients, 0 for as many as go. Prints one JSON object.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time

from tests.bench.payloads import request


def _work(
    port: int, key: str, bodies: list[bytes], gap: float, start: threading.Barrier, out: list[float]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-protobuf"}
    start.wait()
    due = time.perf_counter()
    for body in bodies:
        if gap:
            # Latency counts from when the request was due, so that a slow answer cannot hide
            # the ones behind it.
            time.sleep(max(0.0, due - time.perf_counter()))
        began = due if gap else time.perf_counter()
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200 or content:
            raise SystemExit(f"refused: {answer.status} {content[:300]!r}")
        out.append(time.perf_counter() - began)
        due += gap


def main() -> None:
    port, key, clients, requests = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    rate, seed = float(sys.argv[5]), int(sys.argv[6])
    source = random.Random(seed)
    bodies = [request(source) for _ in range(requests)]
    start = threading.Barrier(clients + 1)
    latencies: list[float] = []
    gap = clients / rate if rate else 0.0
    threads = [
        threading.Thread(target=_work, args=(port, key, bodies[i::clients], gap, start, latencies))
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "requests": len(latencies), "latencies": latencies}))


if __name__ == "__main__":
    main()
