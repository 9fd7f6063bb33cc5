"""`manage.py config`: every variable with its effective value and where that came from."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand

from resilience_site.config import config


class Command(BaseCommand):
    help = "Print the effective configuration with its sources; secrets are masked."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object per variable"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [_row(name) for name in config.variables()]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=1))
        else:
            self.stdout.write("\n".join(_lines(rows)))
        for name, near in config.suspects():
            self.stderr.write(f"warning: {name} is set but unknown; did you mean {near}?")


def _row(name: str) -> dict[str, Any]:
    variable = config.variables()[name]
    return {
        "name": name,
        "value": config.shown(name),
        "source": config.source(name),
        "allowed": variable.kind.allowed,
        "help": variable.help,
        "section": variable.section,
        "owner": variable.owner,
    }


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    # Variables of one section are declared by several owners; sorting keeps the first order.
    order = list(dict.fromkeys(row["section"] for row in rows))
    rows = sorted(rows, key=lambda row: order.index(row["section"]))
    for section, members in groupby(rows, key=lambda row: str(row["section"])):
        lines += ["", section]
        for row in members:
            lines.append(f"  {row['name']}={row['value']}  ({row['source']})")
            lines.append(f"      {row['help']}")
    return lines[1:]
