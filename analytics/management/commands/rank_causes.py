"""`manage.py rank_causes --input DIR --output JSON`: which service an incident began in."""

from __future__ import annotations

import csv
import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError

from analytics.domain.causes.incident import Incident, Window
from analytics.domain.causes.ranking import lacking, rank
from analytics.domain.causes.tables import (
    BadTable,
    calls_read,
    edges_read,
    lines_read,
    series_read,
    symptom_read,
)

_Read = TypeVar("_Read")


class Command(BaseCommand):
    help = (
        "Ranks the services of an incident by what speaks for each as its cause, best first, with "
        "the evidence in words. DIR holds traces.csv, logs.csv, metrics.csv, graph.csv and "
        "target.json, each optional, and in normal/ the same of a normal window. What there is "
        "not enough data of is said on stderr."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--input", required=True, help="The folder of the incident.")
        parser.add_argument("--output", required=True, help="The file to write the ranking to.")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["input"])
        if not folder.is_dir():
            raise CommandError(
                f"--input: {folder} is not a folder. Name one with traces.csv, logs.csv or "
                "metrics.csv of an incident, and a normal window under normal/."
            )
        # A stack trace in a log line may be long.
        csv.field_size_limit(sys.maxsize)
        incident = incident_read(folder)
        for note in lacking(incident):
            self.stderr.write(note)
        suspects = rank(incident)
        if not suspects:
            self.stderr.write("Nothing stands out: no service differs from the normal window.")
        answer = [
            {
                "service": suspect.service,
                "score": suspect.score,
                "evidence": [
                    {
                        "kind": each.kind,
                        "text": each.text,
                        "value": each.value,
                        "normal": each.normal,
                    }
                    for each in suspect.evidence
                ],
            }
            for suspect in suspects
        ]
        try:
            Path(options["output"]).write_text(json.dumps(answer, indent=1), encoding="utf-8")
        except OSError as error:
            raise CommandError(
                f"--output: {options['output']} cannot be written: {error.strerror}."
            ) from None


def incident_read(folder: Path) -> Incident:
    """The incident of a folder. Raises CommandError where a file is not as it should be."""
    return Incident(
        window=_window(folder),
        normal=_window(folder / "normal"),
        edges=_table(folder / "graph.csv", edges_read, frozenset()),
        symptom=_table(folder / "target.json", lambda lines: symptom_read(_json(lines)), None),
    )


def _window(folder: Path) -> Window:
    return Window(
        calls=_table(folder / "traces.csv", calls_read, []),
        lines=_table(folder / "logs.csv", lines_read, []),
        series=_table(folder / "metrics.csv", series_read, {}),
    )


def _table(path: Path, read: Callable[[Iterable[str]], _Read], otherwise: _Read) -> _Read:
    if not path.exists():
        return otherwise
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return read(file)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}. Make it readable, or leave it out."
        ) from None
    except BadTable as error:
        raise CommandError(f"{path}: {error}. Mend that, or leave the file out.") from None


def _json(lines: Iterable[str]) -> object:
    try:
        return json.loads("".join(lines))
    except (ValueError, RecursionError) as error:
        raise BadTable(f"is not JSON ({error})") from None
