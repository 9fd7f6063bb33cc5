"""`manage.py forecast --input CSV --output CSV --horizon N`: what a series will do next."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.domain.forecasts.forecasting import NotEnough, forecast
from analytics.domain.forecasts.rows import HEADER, rows_of, rows_read
from analytics.domain.series_rows import RowError
from analytics.management.files import output_apart

_FURTHEST = 10_000


class Command(BaseCommand):
    help = "Forecasts the next values of a series, each with a band that holds 95 % of them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--input", required=True, help="CSV: timestamp,value.")
        parser.add_argument("--output", required=True, help="CSV: timestamp,value,lower,upper.")
        parser.add_argument("--horizon", required=True, type=int, help="Steps to forecast.")

    def handle(self, *args: Any, **options: Any) -> None:
        source, target = Path(options["input"]), Path(options["output"])
        horizon = options["horizon"]
        if not 1 <= horizon <= _FURTHEST:
            raise CommandError(f"--horizon {horizon} is not within 1 and {_FURTHEST:,} steps.")
        output_apart(target, source)
        try:
            with source.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
                rows = rows_read(lines)
            found = forecast(rows.grid, horizon)
            if isinstance(found, NotEnough):
                raise CommandError(f"{source}: {found.reason}.")
            with target.open("w", encoding="ascii", newline="") as out:
                writer = csv.writer(out, lineterminator="\n")
                writer.writerow(HEADER)
                writer.writerows(rows_of(found, rows))
        except RowError as problem:
            raise CommandError(f"{source}: {problem}") from problem
        except OSError as problem:
            raise CommandError(
                f"{problem.filename or source}: {problem.strerror}. Give a file that can be read "
                "as --input and one that can be written as --output."
            ) from problem
        self.stdout.write(f"{horizon:,} steps of {rows.grid.step:g} s: {target}")
