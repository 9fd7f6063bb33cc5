"""Learns from the failures of some entities and gives alarms for the others."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.domain.foresight.evaluation import alarms_given
from analytics.domain.foresight.histories import histories_of
from analytics.domain.foresight.model import Aim
from analytics.domain.foresight.tables import BadRow, rows_read, seconds_of
from analytics.management.files import output_apart

# One alarm a day and entity, however short the horizon is.
_QUIET = 86_400.0


class Command(BaseCommand):
    help = (
        "Learn which events go before failures, from the entities in LIST, and write alarms "
        "(entity,timestamp,probability) for all others: at most one per 24 hours and entity, given "
        "at the moment of an event. Failures of the others are used as past ones only, as they "
        "would be known at that moment. With fewer than 20 failures to learn from, a safe rule "
        "gives the alarms; which one it was is said on stderr."
    )

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", required=True, help="CSV: entity,timestamp,type")
        parser.add_argument("--failures", required=True, help="CSV: entity,timestamp")
        parser.add_argument("--horizon", required=True, help="such as 48h, 30m, 2d")
        parser.add_argument(
            "--train", required=True, help="entities to learn from: a file, or a list with commas"
        )
        parser.add_argument("--output", required=True, help="CSV: entity,timestamp,probability")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            horizon = seconds_of(options["horizon"])
        except ValueError as error:
            raise CommandError(f"--horizon: {error}.") from None
        output_apart(*(Path(options[name]) for name in ("output", "events", "failures")))
        events = _rows(options["events"], ("entity", "timestamp", "type"))
        failures = _rows(options["failures"], ("entity", "timestamp"))
        histories = histories_of(
            ((values[0], at, values[2]) for at, values in events),
            ((values[0], at) for at, values in failures),
        )
        training = _training(options["train"])
        unknown = [name for name in training if name not in histories.entities]
        if len(unknown) == len(training):
            raise CommandError(
                f"--train: none of its {len(training)} entities occurs in the events or failures; "
                f"the first is {unknown[0][:40]!r}."
            )
        if unknown:
            self.stderr.write(
                f"{len(unknown)} of {len(training)} entities of --train occur nowhere, such as "
                f"{unknown[0][:40]!r}; they count as without events."
            )
        found = alarms_given(histories, training, Aim(horizon, _QUIET))
        for note in found.notes:
            self.stderr.write(note)
        # Times are written as they were read.
        written = {(values[0], at): values[1] for at, values in events}
        try:
            with Path(options["output"]).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("entity", "timestamp", "probability"))
                for alarm in found.alarms:
                    at = written[alarm.entity, alarm.at]
                    writer.writerow((alarm.entity, at, f"{alarm.probability:.4f}"))
        except OSError as error:
            raise CommandError(
                f"--output: {options['output']} cannot be written: {error.strerror}."
            ) from None


def _rows(path: str, columns: tuple[str, ...]) -> list[tuple[float, list[str]]]:
    return_to = f"the columns {','.join(columns)}"
    try:
        with Path(path).open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return rows_read(file, columns)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}. Name a CSV file with {return_to}."
        ) from None
    except BadRow as error:
        raise CommandError(f"{path}, {error}.") from None


def _training(text: str) -> list[str]:
    """Names from a file (one a line, or with commas), or from the argument itself."""
    try:
        path = Path(text)
        if path.is_file():
            text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        # A list too long to be a path.
        pass
    names = [name.strip().strip('"') for line in text.splitlines() for name in line.split(",")]
    if names and names[0].lower() == "entity":
        names = names[1:]
    found = sorted({name for name in names if name})
    if not found:
        raise CommandError("--train: names no entity; give a file, or names with commas between.")
    return found
