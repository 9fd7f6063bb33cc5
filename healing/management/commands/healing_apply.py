from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from healing.choices import Mode
from healing.services.workflows.applying import Applied, healing_apply, workflows_ship
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid

ACTOR = Actor.system("healing_apply")


class Command(BaseCommand):
    help = (
        "Bring healing workflows, and how services are reached for them, in line with a YAML file; "
        "without one, with what this site ships. A second run changes nothing. Ends with 1 if the "
        "file is wrong; then nothing is applied."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", metavar="FILE.yaml")
        parser.add_argument(
            "--mode",
            choices=Mode.values,
            help="for the workflows of the file (the shipped ones where it has none), except where "
            "a person has set the mode",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="show it, with what each step would do to the services now, and change nothing",
        )
        parser.add_argument(
            "--name",
            help="by which the site knows what this file made (default: the name of the file)",
        )

    def handle(
        self,
        *args: Any,
        file: Path | None,
        mode: str | None,
        dry_run: bool,
        name: str | None,
        **options: Any,
    ) -> None:
        try:
            done = self._apply(file, mode, dry_run, name)
        except Invalid as problem:
            told = [each.message for each in problem.errors] or [problem.detail]
            where = file or "workflows.yaml"
            raise CommandError("\n".join(f"{where}: {each}" for each in told)) from None
        for change in done.changes or ["nothing to do"]:
            self.stdout.write(f"{'dry run: ' if dry_run else ''}{change}")
        for effect in done.effects:
            self.stdout.write(f"would now do: {effect}")

    def _apply(
        self, file: Path | None, mode: str | None, dry_run: bool, name: str | None
    ) -> Applied:
        now = datetime.now(UTC)
        if file is None:
            return workflows_ship(mode=mode, dry_run=dry_run, actor=ACTOR, now=now)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        return healing_apply(
            text=text, source=name or file.name, mode=mode, dry_run=dry_run, actor=ACTOR, now=now
        )
