"""`manage.py detect_anomalies --input CSV --output CSV`: what stands out in a series."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.domain.anomalies.detector import Detector
from analytics.domain.series_rows import Row, RowError, rows_read
from analytics.management.files import output_apart

HEADER = ("timestamp", "value", "anomaly_score", "is_anomaly")


class Command(BaseCommand):
    help = (
        "Tells for each value of a series how unusual it is after those before it, from 0 to 1, "
        "and whether an anomaly begins there."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--input", required=True, help="CSV: timestamp,value.")
        parser.add_argument("--output", required=True, help=f"CSV: {','.join(HEADER)}.")

    def handle(self, *args: Any, **options: Any) -> None:
        source, target = Path(options["input"]), Path(options["output"])
        output_apart(target, source)
        try:
            with source.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
                rows = rows_read(lines)
                with target.open("w", encoding="utf-8", newline="") as out:
                    writer = csv.writer(out, lineterminator="\n")
                    writer.writerow(HEADER)
                    count = anomalies = 0
                    for row in _judged(rows):
                        writer.writerow(row)
                        count += 1
                        anomalies += row[3]
        except RowError as problem:
            raise CommandError(f"{source}: {problem}") from problem
        except OSError as problem:
            raise CommandError(
                f"{problem.filename or source}: {problem.strerror}. Give a file that can be read "
                "as --input and one that can be written as --output."
            ) from problem
        self.stdout.write(f"{anomalies:,} anomalies in {count:,} rows: {target}")


def _judged(rows: Iterator[Row]) -> Iterator[tuple[str, str, str, int]]:
    detector = Detector()
    for row in rows:
        verdict = detector.update(row.at, row.value)
        yield row.timestamp, row.text, f"{verdict.score:.6f}", int(verdict.is_anomaly)
