"""Says which attributes the failures of a moment have in common."""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.domain.differences.explanation import Explanation, described, explain
from analytics.domain.differences.rows import Moments, moments_of
from analytics.domain.differences.table import table_of
from analytics.management.files import output_apart


class Command(BaseCommand):
    help = (
        "Rank the sets of attributes that explain why more failed at TIMESTAMP than before, best "
        'first: [{"attributes": {...}, "score": ...}]. Leading sets ("leading": true) do not '
        "overlap: as many of them as there are causes; what follows are other descriptions. Sets "
        "are found with at least 5 failures, tested against chance with at most 5 % false ones "
        "(Benjamini-Hochberg)."
    )

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--input",
            required=True,
            help="CSV: min (time), value (failures), cnt (all), any other columns are attributes",
        )
        parser.add_argument(
            "--at",
            required=True,
            help="the moment, as in the column min, in RFC 3339 or in seconds since the epoch",
        )
        parser.add_argument("--output", required=True, help="JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        output_apart(Path(options["output"]), Path(options["input"]))
        found = _moments(options["input"], options["at"])
        table = table_of(found.rows)
        for note in found.notes:
            self.stderr.write(note)
        for folded in table.folded:
            self.stderr.write(
                f"{folded.name} has {folded.values} values: "
                + (f"the {folded.kept} with most failures" if folded.kept else "none")
                + " of them were looked at."
            )
        answer = [_entry(described(one)) for one in explain(table)]
        if not answer:
            self.stderr.write(
                f"No set of attributes stands out: {table.failed.sum():,.0f} failures of "
                f"{table.total.sum():,.0f} at that moment."
            )
        try:
            Path(options["output"]).write_text(
                json.dumps(answer, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
            )
        except OSError as error:
            raise CommandError(
                f"--output: {options['output']} cannot be written: {error.strerror}."
            ) from None


def _moments(path: str, at: str) -> Moments:
    try:
        with Path(path).open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.DictReader(file)
            return moments_of(reader.fieldnames or (), reader, at)
    except OSError as error:
        raise CommandError(f"--input: {path} cannot be read: {error.strerror}.") from None
    except csv.Error as error:
        raise CommandError(f"--input: {path} is no CSV: {error}.") from None
    except ValueError as error:
        raise CommandError(f"--input: {path}: {error}.") from None


def _entry(one: Explanation) -> dict[str, Any]:
    return {
        "attributes": one.attributes,
        "score": one.score,
        "leading": one.leading,
        "p_value": one.p_value,
        "failed": round(one.failed),
        "total": round(one.total),
        "expected": round(one.expected, 1),
    }
