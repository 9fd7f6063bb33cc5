from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from health.domain.availability import COLUMNS, DEFAULT, percent_text
from health.models import Check
from health.services.recount import Recounted, health_recount
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import parse_instant


class Command(BaseCommand):
    help = (
        "Work out the seconds by state again, from the changes of state and the maintenance "
        "windows, and say what changed. Times are RFC 3339 or such as 24h or now-7d."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", required=True)
        parser.add_argument("--until", default="now")
        parser.add_argument(
            "--check", action="append", metavar="NAME", help="only this check; may be repeated"
        )

    def handle(
        self, *args: Any, since: str, until: str, check: list[str] | None, **options: Any
    ) -> None:
        now = datetime.now(UTC)
        try:
            start = parse_instant(since, now, "--since")
            end = parse_instant(until, now, "--until")
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        if start >= end:
            raise CommandError("--since must lie before --until.")
        changed = 0
        for each in health_recount(since=start, until=end, checks=_ids(check), now=now):
            changed += 1
            self.stdout.write(_line(each))
        self.stdout.write(f"{changed} check{'' if changed == 1 else 's'} changed.")


def _ids(names: list[str] | None) -> list[Any] | None:
    if names is None:
        return None
    found = dict(Check.objects.filter(name__in=names).values_list("name", "id"))
    missing = [name for name in names if name not in found]
    if missing:
        raise CommandError(f"There is no check {missing[0]!r}.")
    return list(found.values())


def _line(each: Recounted) -> str:
    seconds = ", ".join(
        f"{column} {before:.0f} s → {after:.0f} s"
        for column, before, after in zip(COLUMNS, each.before, each.after, strict=True)
        if before != after
    )
    before, after = DEFAULT.apply(each.before).ratio, DEFAULT.apply(each.after).ratio
    return f"{each.name}: {percent_text(before)} → {percent_text(after)} ({seconds})"
