"""Which alerts are of one cause: what each points at, and which incident that makes it part of.

An alert points at its cause by keys. A strong one names the cause itself: `root:SERVICE` (where the
chain of errors began, or the service of the check that explains the others), `check:ID`,
`breaker:SERVICE/NAME`, `pattern:ID`, `slo:ID`. A weak one names only where it shows: `service:NAME`,
`dependency:NAME`, `part:NAME`, `rule:NAME`; it joins what begins within a few minutes, so that a
ticket that stands open for days does not take in every later outage of its service.

Nor does it by a strong one: what is more urgent, and begins long after the last that a less urgent
incident heard of, is another incident, which nobody has looked at yet and which lasts from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Final
from uuid import UUID

_STRONG: Final = frozenset({"root", "check", "breaker", "pattern", "slo"})
# Most urgent first.
SEVERITIES: Final = ("page", "ticket", "info")
# Of these alone an incident is made; others only join one.
OPENING: Final = frozenset({"page", "ticket"})
# How far apart two alerts may begin that only a weak key joins, or of which one leads to the other.
NEAR: Final = timedelta(minutes=15)
# An incident whose alerts ended opens again for one that fires within this.
REOPENS: Final = timedelta(minutes=10)
# What this site calls itself in its own telemetry.
THIS_SITE: Final = "resilience-site"
MOST_TITLE: Final = 300
MOST_KEY: Final = 300


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
    began, the checks that explain why its service fails, as id → service, and the services that its
    breaker or dependency stands for."""

    roots: frozenset[str] = frozenset()
    checks: Mapping[str, str] = field(default_factory=dict)
    called: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        return bool(self.roots or self.checks)


@dataclass(frozen=True)
class Keys:
    """What an alert points at, and the services that are named in it."""

    strong: frozenset[str]
    weak: frozenset[str]
    roots: frozenset[str]
    services: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.strong | self.weak


def keys_of(alert: Seen, around: Around) -> Keys:
    """What an alert points at. Where its root is known, its own service is only where it shows."""
    roots = set(around.roots) | set(around.checks.values())
    # A figure of the whole site names the service that most of it came from.
    if named := "" if alert.service else _text(alert.facts.get("culprit")):
        roots.add(named)
    strong = {f"root:{each}" for each in roots} | {f"check:{each}" for each in around.checks}
    strong |= set(_named(alert))
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
    )


def dependencies_of(alert: Seen) -> frozenset[str]:
    """What the alert names as called by its service."""
    named = (_text(alert.labels.get(name)) for name in ("breaker", "dependency"))
    return frozenset(filter(None, named))


def _named(alert: Seen) -> Iterable[str]:
    """Strong keys by what labels and facts name."""
    if check := _id_of(alert, "check"):
        yield f"check:{check}"
    culprit = alert.facts.get("culprit")
    if isinstance(culprit, Mapping) and (of := _text(culprit.get("id"))):
        yield f"check:{of}"
    if breaker := _text(alert.labels.get("breaker")):
        yield f"breaker:{alert.service}/{breaker}"
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


@dataclass
class Held:
    """An incident as far as others may be part of it: open, or ended by itself lately.

    `last_at` is when the last of its alerts began.
    """

    id: UUID
    started_at: datetime
    last_at: datetime
    ended_at: datetime | None = None
    severity: str = "page"
    keys: set[str] = field(default_factory=set)


class Ledger:
    """The incidents that alerts may become part of, found by their keys."""

    def __init__(self, held: Iterable[Held] = ()) -> None:
        self._held: dict[UUID, Held] = {}
        self._by_key: dict[str, set[UUID]] = {}
        for each in held:
            self.add(each)

    def add(self, held: Held) -> None:
        self._held[held.id] = held
        self.point(held.id, held.keys)

    def get(self, incident_id: UUID) -> Held:
        return self._held[incident_id]

    def point(self, incident_id: UUID, keys: Iterable[str]) -> set[str]:
        """Give an incident more keys; the ones that it did not have."""
        held = self._held[incident_id]
        new = set()
        for key in keys:
            others = self._by_key.setdefault(key, set())
            if incident_id not in others:
                others.add(incident_id)
                new.add(key)
        held.keys |= new
        return new

    def forget(self, incident_id: UUID) -> None:
        for key in self._held.pop(incident_id).keys:
            self._by_key[key].discard(incident_id)

    def matching(self, alert: Seen, keys: Keys) -> list[UUID]:
        """The incidents of the alert's cause, the oldest first: all that a strong key names, but
        for those that the alert or a more urgent one of them is apart from; else the one that a
        weak key does."""
        near = [each for each in self._named(keys.strong) if _overlap(each, alert)]
        near.sort(key=lambda each: (SEVERITIES.index(each.severity), _away(each, alert)))
        # What the alert would be alone, and then the incidents that are one with it.
        strong = [Held(alert.id, alert.started_at, alert.started_at, None, alert.severity)]
        for each in near:
            if not any(_apart(each, other) for other in strong):
                strong.append(each)
        if len(strong) > 1:
            return [each.id for each in sorted(strong[1:], key=_age)]
        weak = [
            each
            for each in self._named(keys.weak)
            if _overlap(each, alert) and _away(each, alert) <= NEAR
        ]
        return [each.id for each in weak[:1]]

    def merge(self, kept: UUID, gone: UUID) -> None:
        """Let the first incident be what the second was, too."""
        other = self._held[gone]
        self.forget(gone)
        self.point(kept, other.keys)
        held = self._held[kept]
        held.started_at = min(held.started_at, other.started_at)
        held.last_at = max(held.last_at, other.last_at)
        held.severity = worst([held.severity, other.severity])

    def same_cause(self, active: Iterable[UUID]) -> Iterator[tuple[UUID, UUID]]:
        """Those of the `active` that share a strong key, as (the older, the younger), the most
        urgent first; those that were merged meanwhile are passed over."""
        among = set(active)
        pairs: dict[tuple[UUID, UUID], str] = {}
        for ids in self._by_key_strong().values():
            held = sorted((self._held[each] for each in ids & among), key=_age)
            for older, younger in combinations(held, 2):
                pairs[older.id, younger.id] = worst([older.severity, younger.severity])
        for older_id, younger_id in sorted(pairs, key=lambda each: SEVERITIES.index(pairs[each])):
            first, second = self._held.get(older_id), self._held.get(younger_id)
            if first and second and not _apart(first, second):
                yield older_id, younger_id

    def _by_key_strong(self) -> dict[str, set[UUID]]:
        return {key: ids for key, ids in self._by_key.items() if is_strong(key) and len(ids) > 1}

    def _named(self, keys: Iterable[str]) -> list[Held]:
        found = {each for key in keys for each in self._by_key.get(key, ())}
        return sorted((self._held[each] for each in found), key=_age)


def _age(held: Held) -> tuple[datetime, str]:
    return held.started_at, str(held.id)


def _away(held: Held, alert: Seen) -> timedelta:
    return abs(alert.started_at - held.last_at)


def _apart(one: Held, other: Held) -> bool:
    """Whether the less urgent of two was all that there was long before the more urgent began.
    What is only for the record is no outage that the other could be taken for."""
    if one.severity == other.severity:
        return False
    urgent, lesser = sorted((one, other), key=lambda each: SEVERITIES.index(each.severity))
    return lesser.severity in OPENING and urgent.started_at - lesser.last_at > NEAR


def _overlap(held: Held, alert: Seen) -> bool:
    """Whether the alert began before the incident was over for good, and ended after it began."""
    if held.ended_at is not None and alert.started_at > held.ended_at + REOPENS:
        return False
    return alert.ended_at is None or alert.ended_at >= held.started_at - REOPENS


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
