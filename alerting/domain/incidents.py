"""Which alerts are of one cause: what each points at, and which incident that makes it part of.

An alert points at its cause by keys. A strong one names the cause itself: `root:SERVICE` (where the
chain of errors began, or the service of the check that explains the others), `check:ID`,
`breaker:SERVICE/NAME` (the call that a breaker, a fallback or a retry budget of that name guards),
`pattern:ID`, `slo:ID`. A weak one names only where it shows: `service:NAME`, `dependency:NAME`,
`part:NAME`, `rule:NAME`; it joins what begins within a few minutes, so that a ticket that stands
open for days does not take in every later outage of its service.

Different calls of one service are different causes (`alerting.domain.calls`). What names no call, as
the budget of a service, is a symptom that any of them may have: it joins one, and joins no two.

Nor does it by a strong one: what is more urgent, and begins long after the last that a less urgent
incident heard of, is another incident, which nobody has looked at yet and which lasts from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from alerting.domain.calls import call_key, calls_in

_STRONG: Final = frozenset({"root", "check", "breaker", "pattern", "slo"})
# Most urgent first.
SEVERITIES: Final = ("page", "ticket", "info")
# Of these alone an incident is made; others only join one.
OPENING: Final = frozenset({"page", "ticket"})
# How far apart two alerts may begin that only a weak key joins, or of which one leads to the other.
NEAR: Final = timedelta(minutes=15)
# What this site calls itself in its own telemetry.
THIS_SITE: Final = "resilience-site"
MOST_TITLE: Final = 300
MOST_KEY: Final = 300
MOST_WORDS: Final = 2_000


@dataclass(frozen=True)
class Seen:
    """An alert as far as its cause is asked for."""

    id: UUID
    rule: str
    severity: str
    labels: Mapping[str, Any]
    facts: Mapping[str, Any]
    service: str
    started_at: datetime
    ended_at: datetime | None = None
    summary: str = ""


@dataclass(frozen=True)
class Around:
    """What the site knows about the place of an alert: in which services the chains of its errors
    began, the checks that explain why its service fails, as id → service, the services that its
    breaker or dependency stands for, the call that its words name, as (service, name), and the
    services behind the other calls."""

    roots: frozenset[str] = frozenset()
    checks: Mapping[str, str] = field(default_factory=dict)
    called: frozenset[str] = frozenset()
    named: tuple[str, str] | None = None
    elsewhere: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        return bool(self.roots or self.checks)


@dataclass(frozen=True)
class Keys:
    """What an alert points at, and the services that are named in it; `own` are those of the strong
    keys that it names itself."""

    strong: frozenset[str]
    weak: frozenset[str]
    roots: frozenset[str]
    services: frozenset[str]
    own: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        return self.strong | self.weak

    @property
    def of_call(self) -> bool:
        return bool(calls_in(self.own))


def keys_of(alert: Seen, around: Around) -> Keys:
    """What an alert points at. Where its root is known, its own service is only where it shows."""
    own = set(_named(alert, around))
    roots = set(around.roots) | set(around.checks.values())
    if calls_in(own):
        roots -= around.elsewhere
    # A figure of the whole site names the service that most of it came from.
    if named := "" if alert.service else _text(alert.facts.get("culprit")):
        roots.add(named)
    strong = {f"root:{each}" for each in roots} | {f"check:{each}" for each in around.checks}
    strong |= own
    weak = {f"service:{each}" for each in roots or {alert.service} if each}
    # What is called may be what fails, even where nothing that it sends says so.
    weak |= {f"service:{each}" for each in around.called}
    weak |= {f"dependency:{each}" for each in dependencies_of(alert)}
    if part := _text(alert.labels.get("part")):
        weak.add(f"part:{part}")
    if alert.facts.get("topic") == "site":
        # A worker that died shows in all that it no longer does.
        weak.add(f"service:{THIS_SITE}")
    if not strong and not weak:
        weak.add(f"rule:{alert.rule}")
    return Keys(
        _cut(strong),
        _cut(weak),
        frozenset(roots),
        frozenset({alert.service, *roots, *around.called} - {""}),
        _cut(own),
    )


def dependencies_of(alert: Seen) -> frozenset[str]:
    """What the alert names as called by its service."""
    named = (_text(alert.labels.get(name)) for name in ("breaker", "dependency"))
    return frozenset(filter(None, named))


def words_of(alert: Seen) -> str:
    """What an alert says of the error or the failure that it is of."""
    check = alert.facts.get("check")
    said = [check.get("name")] if isinstance(check, Mapping) else []
    said += [alert.facts.get(each) for each in ("type", "template", "output")]
    return " ".join(filter(None, map(_text, said)))[:MOST_WORDS]


def _named(alert: Seen, around: Around) -> Iterable[str]:
    """Strong keys by what labels, facts and words name."""
    if check := _id_of(alert, "check"):
        yield f"check:{check}"
    culprit = alert.facts.get("culprit")
    if isinstance(culprit, Mapping) and (of := _text(culprit.get("id"))):
        yield f"check:{of}"
    for name in dependencies_of(alert):
        yield call_key(alert.service, name)
    if around.named:
        yield call_key(*around.named)
    if pattern := _id_of(alert, "pattern"):
        yield f"pattern:{pattern}"
    if slo := _id_of(alert, "slo"):
        yield f"slo:{slo}"


def _id_of(alert: Seen, what: str) -> str:
    """The id of a thing: from `facts.what.id`, or `what_id` or `what` of facts or labels."""
    found = alert.facts.get(what)
    if isinstance(found, Mapping):
        return _text(found.get("id")) or _text(found.get("name"))
    for place in (alert.facts, alert.labels):
        for name in (f"{what}_id", what):
            if text := _text(place.get(name)):
                return text
    return ""


def is_root(key: str) -> bool:
    """Whether a key names the service in which it began."""
    return key.startswith("root:")


def is_strong(key: str) -> bool:
    """Whether a key names the cause itself, not only where it shows."""
    return key.partition(":")[0] in _STRONG


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _cut(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(key[:MOST_KEY] for key in keys)


def worst(severities: Iterable[str]) -> str:
    """The most urgent of severities; info of none."""
    return min(severities, key=SEVERITIES.index, default="info")


def began(alerts: Iterable[tuple[str, datetime]]) -> datetime:
    """When the incident of these alerts, each as (severity, since when), began: with the first of
    the most urgent ones, or with others that led to it, each within `NEAR` of the next."""
    found = list(alerts)
    graver = worst(severity for severity, _ in found)
    first = min(at for severity, at in found if severity == graver)
    for at in sorted((at for _, at in found if at < first), reverse=True):
        if first - at > NEAR:
            break
        first = at
    return first


def title_of(alerts: Sequence[Seen]) -> str:
    """The words of the most urgent alert, of those the first."""
    first = min(alerts, key=lambda each: (SEVERITIES.index(each.severity), each.started_at))
    words = first.summary or f"{first.rule} of {first.service or 'no service'}"
    return " ".join(words.split())[:MOST_TITLE]
