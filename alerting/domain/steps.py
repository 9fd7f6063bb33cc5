"""What to do about an incident, from what is known of it: the first things to look at, in order."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

_MOST: Final = 8
_CHECKS: Final = "/health/checks/"


@dataclass(frozen=True)
class Step:
    """One thing to do; `link` is a path of the site, or the whole URL of a runbook that is elsewhere."""

    text: str
    link: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Told:
    """An alert as far as it says what to do; `details` are empty where they advise nothing.

    `held` says that nobody is told of it, `objective` that it tells of a budget, not of what fails.
    """

    rule: str
    summary: str
    details: str
    runbook_url: str
    link: str
    held: bool = False
    objective: bool = False


def steps_of(
    alerts: Sequence[Told],
    cause: Mapping[str, Any],
    keys: Iterable[str],
    time: str,
    strangers: Container[str] = (),
) -> list[Step]:
    """Where the cause can be looked at first, then what each rule advises, those of budgets last;
    `time` is the query string of the incident's time, `strangers` are services without a page."""
    service = str(cause.get("service") or "")
    service = "" if service in strangers else service
    compare = Step("Compare all services of this time", f"/root-cause{time}")
    first = [*_of_cause(service, cause, keys, time), *([] if service else [compare])]
    last = [compare] if service else []
    room = _MOST - len(first) - len(last)
    return [*first, *_of_rules(alerts)[:room], *last]


def _of_cause(
    service: str, cause: Mapping[str, Any], keys: Iterable[str], time: str
) -> Iterable[Step]:
    if service:
        yield Step(
            f"Look at {service}, where it probably began", f"/services/{_part(service)}{time}"
        )
    if check := _check_of(cause, keys):
        yield Step("See what the failing check found, and run it again", check)
    if service:
        changed = f"/what-changed{time}&service={_part(service)}"
        yield Step("See what is different about the calls that fail", changed)


def _check_of(cause: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Where the failing check is shown that most speaks for the cause, else any that alerts name."""
    links = [str(each.get("link") or "") for each in cause.get("evidence") or ()]
    named = [f"{_CHECKS}{name}" for key in sorted(keys) if (name := _name_of(key, "check"))]
    return next((each for each in [*links, *named] if each.startswith(_CHECKS)), "")


def _name_of(key: str, kind: str) -> str:
    of, _, name = key.partition(":")
    return name if of == kind else ""


def _of_rules(alerts: Sequence[Told]) -> list[Step]:
    """What is to be done by each rule, as its first alert says that people are told of; of none,
    what those say that are held back."""
    heard = [each for each in alerts if not each.held] or alerts
    steps: dict[str, Step] = {}
    for each in sorted(heard, key=lambda each: each.objective):
        if each.runbook_url:
            text = f"Follow the runbook of “{each.summary}”"
            steps.setdefault(each.rule, Step(text, each.runbook_url, each.details))
        elif each.details:
            steps.setdefault(each.rule, Step(each.summary, each.link, each.details))
    return list(steps.values())


def _part(text: str) -> str:
    return quote(text, safe="")
