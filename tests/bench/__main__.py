"""Runs the benchmarks, prints one table and writes `var/bench/*.json`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
from datetime import UTC, datetime
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")

import django

django.setup()
# Breakers that are opened on purpose, and the miners' own words, would drown the tables.
for _loud in ("breakers.runtime", "drain3"):
    logging.getLogger(_loud).setLevel(logging.ERROR)

from tests.bench import (
    anomalies,
    causes,
    checks,
    control,
    differences,
    forecasts,
    ingest,
    page,
    patterns,
    predictions,
    runtime,
    runtime_shared,
    screens,
    trends,
)
from tests.bench.payloads import SPANS_PER_REQUEST
from tests.bench.running import ROOT, running_site


def measure(requests: int, runs: int) -> dict[str, Any]:
    """All figures of one run on one site."""
    with running_site() as site:
        memory = site.memory_mib()
        print(f"The idle site uses {sum(memory.values()):,.0f} MiB; measuring ingest", flush=True)
        http_rates = ingest.through_http(site, requests, runs)
        sent = (requests * runs + 16) * SPANS_PER_REQUEST
        durable = ingest.stored(site)
        at_half = ingest.latency(site, statistics.median(http_rates) / 2, requests)
        rows = page.time_to_row(site)
        copy_rates = ingest.by_copy(site, requests * SPANS_PER_REQUEST, runs)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "errors_per_second_http": http_rates,
        "errors_per_second_copy": copy_rates,
        "ratio": statistics.median(http_rates) / statistics.median(copy_rates),
        "acknowledged": sent,
        "stored": durable,
        "latency_ms_at_half_load": at_half,
        "post_to_row_ms": rows,
        "idle_memory_mib": memory,
    }


def table(figures: dict[str, Any]) -> str:
    latency, rows = figures["latency_ms_at_half_load"], figures["post_to_row_ms"]
    lines = [
        (
            "errors/s acknowledged, POST /v1/traces",
            f"{statistics.median(figures['errors_per_second_http']):,.0f}",
        ),
        (
            "errors/s, the same rows by one COPY",
            f"{statistics.median(figures['errors_per_second_copy']):,.0f}",
        ),
        ("ratio (fails below 0.25, aim 0.5)", f"{figures['ratio']:.2f}"),
        ("acknowledged / stored", f"{figures['acknowledged']:,} / {figures['stored']:,}"),
        (
            "latency at half load p50 / p95 / p99",
            " / ".join(f"{latency[k]:.0f} ms" for k in ("p50", "p95", "p99")),
        ),
        (
            "POST to row in an open page p50 / p95",
            f"{rows['p50']:.0f} ms / {rows['p95']:.0f} ms" if rows else "no browser found",
        ),
        ("memory of the idle site", f"{sum(figures['idle_memory_mib'].values()):,.0f} MiB"),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


PARTS = (
    "patterns",
    "causes",
    "differences",
    "anomalies",
    "forecasts",
    "predictions",
    "trends",
    "runtime",
    "control",
    "checks",
    "screens",
    "site",
)


def write(name: str, figures: dict[str, Any]) -> None:
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--requests", type=int, default=120, help="requests of 512 spans a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    arguments = parser.parse_args()
    parts = (arguments.only,) if arguments.only else PARTS
    if "patterns" in parts:
        print("Grouping messages beside drain3", flush=True)
        figures = patterns.measure()
        write("patterns", figures)
        print(patterns.table(figures), flush=True)
    if "causes" in parts:
        print("Ranking causes beside simple anchors", flush=True)
        figures = causes.measure()
        write("causes", figures)
        print(causes.table(figures), flush=True)
    if "differences" in parts:
        print("Explaining incidents by attributes", flush=True)
        figures = differences.measure()
        write("differences", figures)
        print(differences.table(figures), flush=True)
    if "anomalies" in parts:
        print("Finding anomalies in public series", flush=True)
        found = anomalies.measure()
        if found is not None:
            write("anomalies", found)
        print(anomalies.table(found), flush=True)
    if "forecasts" in parts:
        print("Forecasting hourly series beside statsforecast", flush=True)
        figures = forecasts.measure()
        write("forecasts", figures)
        print(forecasts.table(figures), flush=True)
    if "predictions" in parts:
        print("Foretelling failures of generated machines beside scikit-learn", flush=True)
        figures = predictions.measure()
        write("predictions", figures)
        print(predictions.table(figures), flush=True)
    if "trends" in parts:
        print("Reading trends of a quarter of a year", flush=True)
        figures = trends.measure()
        write("trends", figures)
        print(trends.table(figures), flush=True)
    if "runtime" in parts:
        print("Measuring the runtime beside its peers", flush=True)
        figures = runtime.measure()
        write("runtime", figures)
        print(runtime.table(figures), flush=True)
        shared = runtime_shared.measure()
        write("runtime_shared", shared)
        print(runtime_shared.table(shared), flush=True)
    if "control" in parts:
        print("Measuring control documents with 2,000 waiting instances", flush=True)
        figures = control.measure()
        write("control", figures)
        print(control.table(figures), flush=True)
    if "checks" in parts:
        print("Measuring one worker with 5,000 health checks", flush=True)
        figures = checks.measure()
        write("checks", figures)
        print(checks.table(figures), flush=True)
    if "screens" in parts:
        print("Measuring the screens with 200 breakers", flush=True)
        figures = screens.measure()
        write("screens", figures)
        print(screens.table(figures), flush=True)
    if "site" in parts:
        figures = measure(arguments.requests, arguments.runs)
        write("first_light", figures)
        print(table(figures))
        if figures["stored"] != figures["acknowledged"]:
            raise SystemExit("acknowledged errors are missing from the store")


if __name__ == "__main__":
    main()
