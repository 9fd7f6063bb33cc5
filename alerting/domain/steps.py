"""What to do about an incident, from what is known of it: the first things to look at, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_MOST = 8


@dataclass(frozen=True)
class Step:
    """One thing to do; `link` is a path of the site, or the whole URL of a runbook that is elsewhere."""

    text: str
    link: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Told:
    """An alert as far as it says what to do."""

    summary: str
    details: str
    runbook_url: str
    service: str
    link: str


def steps_of(
    alerts: Sequence[Told], cause: Mapping[str, Any], keys: Iterable[str], time: str
) -> list[Step]:
    """The runbooks of the alerts first, then what the alerts advise, then where the cause can be
    looked at; `time` is the query string of the incident's time."""
    steps: dict[str, Step] = {}

    def add(step: Step) -> None:
        steps.setdefault(step.link or step.text, step)

    for each in alerts:
        if each.runbook_url:
            add(Step(f"Follow the runbook of “{each.summary}”", each.runbook_url))
    for each in alerts:
        if each.details:
            add(Step(each.summary, each.link, each.details))
    service = str(cause.get("service") or "")
    if service:
        add(
            Step(f"Look at {service}, where it probably began", f"/services/{_part(service)}{time}")
        )
    for key in sorted(keys):
        kind, _, name = key.partition(":")
        if kind == "check":
            add(
                Step("See what the failing check found, and run it again", f"/health/checks/{name}")
            )
    if service:
        changed = f"/what-changed{time}&service={_part(service)}"
        add(Step("See what is different about the calls that fail", changed))
    add(Step("Compare all services of this time", f"/root-cause{time}"))
    return list(steps.values())[:_MOST]


def _part(text: str) -> str:
    return quote(text, safe="")
