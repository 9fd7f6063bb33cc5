from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from health.services.catalogue_apply import catalogue_apply
from health.services.catalogue_diff import changes_summary
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid, Problem

ACTOR = Actor.system("health_apply")


class Command(BaseCommand):
    help = (
        "Bring services, checks and dependencies in line with a YAML file, and show what that "
        "changes. A second run changes nothing. Ends with 1 if the file is wrong; then nothing "
        "is applied."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.yaml")
        parser.add_argument("--dry-run", action="store_true", help="show it, and change nothing")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="remove checks and dependencies that this file made and no longer names",
        )
        parser.add_argument(
            "--name",
            help="by which the site knows what this file made (default: the name of the file)",
        )

    def handle(
        self, *args: Any, file: Path, dry_run: bool, prune: bool, name: str | None, **options: Any
    ) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        try:
            changes = catalogue_apply(
                text=text,
                source=name or file.name,
                dry_run=dry_run,
                prune=prune,
                actor=ACTOR,
                now=datetime.now(UTC),
            )
        except Invalid as problem:
            raise CommandError(_told(file, problem)) from None
        except Problem as problem:
            raise CommandError(f"{file}: {problem.detail}") from None
        for change in changes:
            for line in change.lines():
                self.stdout.write(line)
        summary = changes_summary(changes)
        self.stdout.write(f"{file}: {'dry run, ' if dry_run else ''}{summary}")


def _told(file: Path, problem: Invalid) -> str:
    faults = [
        f"{file}: {each.field}: {each.message}" if each.field else f"{file}: {each.message}"
        for each in problem.errors
    ]
    return "\n".join(faults or [f"{file}: {problem.detail}"])
