"""`manage.py replay_policy`: what another policy would have done with recorded calls."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from breakers.domain.policy import TUNABLE, PolicyError
from breakers.domain.replay_result import Course, Replay
from breakers.domain.settings import settings_read
from breakers.runtime.policy_fields import to_fields
from breakers.selectors.outcomes import outcome_instances
from breakers.selectors.replays import replay_instance
from resilience_site.core.formatting import duration, exact
from resilience_site.core.problems import Problem
from resilience_site.core.timerange import TimeRange, parse_range

_DEFAULT = timedelta(hours=1)


class Command(BaseCommand):
    """Replay the recorded outcomes of a breaker with the policy that was in force, or with another."""

    help = "Show what another policy would have done with the recorded calls of a breaker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--service", required=True)
        parser.add_argument("--breaker", required=True)
        parser.add_argument("--instance", default="", help="Default: each that has a record.")
        parser.add_argument("--since", default="", help="RFC 3339, or how long ago: 1h (default).")
        parser.add_argument("--until", default="", help="Default: now.")
        parser.add_argument(
            "--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes",
            help=f"Change a setting of the policy that was in force: {', '.join(TUNABLE)}.",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        service, name = options["service"], options["breaker"]
        try:
            within = parse_range(options["since"], options["until"], now=now, default=_DEFAULT)
            changes = settings_read(_texts(options["changes"]))
            found = self._replays(service, name, options["instance"], within, changes)
        except Problem as problem:
            raise CommandError(problem.detail) from None
        except PolicyError as error:
            raise CommandError(str(error)) from None
        if not found:
            raise CommandError(
                f"Nothing is recorded of {name} of {service} "
                f"from {exact(within.since)} to {exact(within.until)}."
            )
        if options["json"]:
            self.stdout.write(_json(service, name, changes, found))
            return
        for instance, each in found.items():
            self.stdout.write(_text(name, instance, each, changes))

    def _replays(
        self, service: str, name: str, instance: str, within: TimeRange, changes: dict[str, Any]
    ) -> dict[str, Replay]:
        instances = [instance] if instance else outcome_instances(service, name, within)
        replays = {
            each: replay_instance(
                service=service, name=name, instance=each, within=within, changes=changes
            )
            for each in instances
        }
        return {each: found for each, found in replays.items() if found is not None}


def _texts(settings: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for each in settings:
        field, equals, value = each.partition("=")
        if not equals or field not in TUNABLE:
            raise CommandError(f"{each!r}: give FIELD=VALUE with one of {', '.join(TUNABLE)}.")
        texts[field] = value
    return texts


def _text(name: str, instance: str, found: Replay, changes: dict[str, Any]) -> str:
    told = ", ".join(f"{field} = {value}" for field, value in changes.items())
    lines = [
        f"{name} in {instance or 'an instance without a name'}, "
        f"{exact(found.since)} to {exact(found.until)}",
        f"  policy                   {told or 'the one that was in force'}",
        f"  calls                    {found.calls:,}, {found.failures:,} failed; "
        f"{found.rejected:,} rejected",
        *_recorded(found),
        f"  opened                   {_opened(found.simulated)} (in fact {_opened(found.recorded)})",
        f"  failures avoided         {found.failures_avoided:,}",
        f"  good calls refused       {found.good_calls_refused:,}",
        f"  unknown                  {found.unknown:,} of the rejected calls would have been made",
        f"  same transitions         {'yes' if found.reproduced else 'no'}",
        f"  policy in force repeats  {'yes' if found.verified else 'no'}",
        *(f"  gap                      {exact(g.since)} to {exact(g.until)}: {g.reason}"
          for g in found.gaps),
        *(f"  {exact(t.at)}  {t.from_state} -> {t.to_state}  {t.reason}"
          for t in found.simulated.transitions),
    ]  # fmt: skip
    return "\n".join(lines)


def _recorded(found: Replay) -> list[str]:
    begin, end = found.begins_late, found.ends_early
    told = []
    if begin is not None:
        told.append(f"from {exact(begin)}")
    if end is not None:
        told.append(f"until {exact(end)}")
    return [f"  recorded                 {' '.join(told)}"] if told else []


def _opened(course: Course) -> str:
    return f"{course.opened:,} times, {duration(course.open_seconds)}"


def _json(service: str, name: str, changes: dict[str, Any], found: dict[str, Replay]) -> str:
    document = {
        "service": service,
        "breaker": name,
        "changes": changes,
        "instances": [{"instance": each, **_document(one)} for each, one in found.items()],
    }
    return orjson.dumps(document, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode()


def _document(found: Replay) -> dict[str, Any]:
    policy = found.policy and to_fields(found.policy)
    told = {name: getattr(found, name) for name in Replay.__slots__ if name != "policy"}
    return {"policy": policy, **{name: _plain(value) for name, value in told.items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [asdict(each) for each in value]
    return asdict(value) if isinstance(value, Course) else value
