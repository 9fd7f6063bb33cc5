"""`manage.py group_messages --input FILE --output FILE`: which messages say the same."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from analytics.domain.templates.miner import MAX_TEMPLATES, OTHERS, Miner
from analytics.management.files import output_apart

# Bytes of a line that are read; the rest of a longer one is skipped.
_LONGEST = 65_536
_WRITTEN_AT_ONCE = 10_000


class Command(BaseCommand):
    help = (
        "Groups messages by the template that they were written from: for each line of the input "
        "one line with the id of its group."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--input", required=True, help="A file with one message a line.")
        parser.add_argument("--output", required=True, help="The file to write group ids to.")

    def handle(self, *args: Any, **options: Any) -> None:
        source, target = Path(options["input"]), Path(options["output"])
        _check(source, target)
        miner = Miner()
        try:
            with source.open("rb") as lines, target.open("w", encoding="ascii") as out:
                written = _write(out, miner.group(_messages(lines)))
        except OSError as problem:
            raise CommandError(
                f"{problem.filename or source}: {problem.strerror}. Give a file that can be read "
                "as --input and one that can be written as --output."
            ) from problem
        self.stdout.write(f"{written:,} messages in {miner.groups:,} groups: {target}")
        if miner.others:
            self.stdout.write(
                f"{miner.others:,} of them fit none of the {MAX_TEMPLATES:,} templates that are "
                f"kept at most; they are group {OTHERS}."
            )


def _check(source: Path, target: Path) -> None:
    if not source.exists():
        raise CommandError(f"{source} does not exist. Give a file with one message a line.")
    if source.is_dir() or target.is_dir():
        folder = source if source.is_dir() else target
        raise CommandError(f"{folder} is a folder. Give files as --input and --output.")
    output_apart(target, source)


def _messages(lines: BinaryIO) -> Iterator[str]:
    first = True
    while line := lines.readline(_LONGEST):
        ended = line.endswith(b"\n")
        text = line.rstrip(b"\r\n").decode("utf-8", "replace")
        yield text.removeprefix("\ufeff") if first else text
        first = False
        while not ended and (rest := lines.readline(_LONGEST)):
            ended = rest.endswith(b"\n")


def _write(out: Any, groups: Iterator[int]) -> int:
    written = 0
    while part := list(islice(groups, _WRITTEN_AT_ONCE)):
        out.write("\n".join(map(str, part)) + "\n")
        written += len(part)
    return written
