"""From findings about this site to troubles: what lasts is told once, and its end once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from resilience_site.probes.checks import PASS, Outcome

# How long a finding must last before it is a trouble, and be gone before the trouble is over.
BEGIN_AFTER: Final = timedelta(seconds=60)
END_AFTER: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class Part:
    """A part of the site that can be in trouble, and what still works meanwhile."""

    name: str
    what_works: str


PARTS: Final[Mapping[str, Part]] = {
    "database:connection": Part(
        "database", "Senders keep their telemetry and come again; protected services work on."
    ),
    "redis:connection": Part(
        "redis", "Pages, the API and telemetry work; pages do not renew themselves, and background "
        "work waits. Alerts are evaluated by the web process."
    ),
    "worker:heartbeat": Part(
        "worker", "Pages, the API and telemetry work; checks, chains and forecasts stand still. "
        "Alerts are evaluated by the worker that heals, or else by the web process."
    ),
    "tasks:queue_age": Part("tasks", "Everything works, later than it should."),
    "ingest:lag": Part("ingest", "Telemetry is taken; chains and patterns are shown late."),
    "checks:lateness": Part("checks", "What is known of services by their checks is old."),
    "background:tasks": Part("background", "Requests are answered; pages may not renew themselves."),
}  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """Something to tell of a part: its trouble `began`, or ended, since when."""

    part: Part
    began: bool
    since: datetime
    text: str = ""
    status: str = ""


@dataclass
class _Seen:
    """`since` is when the present finding was first made, `told` whether its trouble was."""

    bad: bool
    since: datetime
    text: str = ""
    status: str = PASS
    told: bool = False
    began: datetime | None = None


@dataclass
class Watch:
    """What was found so far; `told` names the parts whose trouble somebody told of before."""

    told: Mapping[str, datetime] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self, found: Iterable[Outcome], now: datetime) -> list[Trouble]:
        """What is to be told after a look at the site. What cannot be judged stays as it was."""
        told = []
        for outcome in found:
            part = PARTS.get(outcome.name)
            if part is None or outcome.output.startswith("unknown"):
                continue
            trouble = self._judge(part, outcome, now)
            if trouble is not None:
                told.append(trouble)
        return told

    def _judge(self, part: Part, outcome: Outcome, now: datetime) -> Trouble | None:
        bad = outcome.status != PASS
        seen = self._seen.get(part.name)
        if seen is None:
            began = self.told.get(part.name)
            seen = self._seen[part.name] = _Seen(bad, now, told=began is not None, began=began)
        if seen.bad != bad:
            seen.bad, seen.since = bad, now
        seen.text, seen.status = outcome.output, outcome.status
        lasted = now - seen.since
        if bad and not seen.told and lasted >= BEGIN_AFTER:
            seen.told, seen.began = True, seen.since
            return Trouble(part, True, seen.since, seen.text, seen.status)
        if not bad and seen.told and lasted >= END_AFTER:
            seen.told = False
            return Trouble(part, False, seen.began or seen.since, status=PASS)
        return None
