"""The bodies that Alertmanager (webhook version 4) and Grafana post.

Grafana's is Alertmanager's with more about each alert. What is not an object, a list or a text
where one has to be is refused with its place, all of a post at once; what is long is cut.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from alerting.domain.inbound.names import ANNOTATIONS_FIRST, LABELS_FIRST

MOST_ALERTS: Final = 10_000
MOST_LABELS: Final = 64
MOST_ANNOTATIONS: Final = 64
LONGEST_NAME: Final = 200
LONGEST_VALUE: Final = 1_000
LONGEST_TEXT: Final = 4_000
# The database gives back whole numbers, and many a reader of JSON takes no longer ones.
_NUMBERS_END: Final = 2.0**63
_MOST_FAULTS: Final = 20
# The label that says of how many more an alert was told, and keeps it apart from others.
LEFT_OUT: Final = "labels_left_out"
_DIGEST: Final = 12
# The zero time of Go, which stands for none, and all others that no alert can mean.
_FIRST_YEAR: Final = 1971
_LAST_YEAR: Final = 9000
_UNSHOWN: Final = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
# Fields of an alert that are links, and what they are called here.
_LINKS: Final = {
    "generatorURL": "generator_url",
    "dashboardURL": "dashboard_url",
    "panelURL": "panel_url",
    "silenceURL": "silence_url",
    "imageURL": "image_url",
}


class Fault(NamedTuple):
    """What is wrong at one place of a body, such as `alerts.3.labels.job`."""

    place: str
    message: str


class Unreadable(Exception):
    """A body is no post of alerts; `faults` say where, the first of them at most 20."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{each.place}: {each.message}" for each in faults))
        self.faults = faults


@dataclass(frozen=True)
class PostedAlert:
    """An alert as another system tells it; times are None where it gives none.

    `links` hold whole http(s) URLs only. `values` are what Grafana's expressions came to. Of its
    labels `labels_left_out` were too many; the label of that name stands for them.
    """

    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    labels_left_out: int = 0


@dataclass(frozen=True)
class Post:
    """A notification: its alerts, and how many more of them the sender left out of it."""

    alerts: tuple[PostedAlert, ...]
    left_out: int = 0
    receiver: str = ""
    external_url: str = ""


def post_read(document: Any, form: str = "Alertmanager's webhook of version 4") -> Post:
    """The post that a body's JSON holds; `form` is what its sender calls it. Raises `Unreadable`."""
    reading = _Reading()
    if not isinstance(document, dict):
        raise Unreadable([Fault("body", "must be an object")])
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise Unreadable([Fault("alerts", _no_alerts(document, form))])
    if len(alerts) > MOST_ALERTS:
        said = f"at most {MOST_ALERTS:,} alerts go into one post; set max_alerts at the sender"
        raise Unreadable([Fault("alerts", said)])
    found = [reading.alert(f"alerts.{index}", each) for index, each in enumerate(alerts)]
    if reading.faults:
        raise Unreadable(reading.faults[:_MOST_FAULTS])
    truncated = document.get("truncatedAlerts")
    return Post(
        tuple(each for each in found if each is not None),
        truncated if isinstance(truncated, int) and truncated > 0 else 0,
        _plain(document.get("receiver"), LONGEST_NAME),
        whole_link(document.get("externalURL")),
    )


def _no_alerts(document: Mapping[str, Any], form: str) -> str:
    if "ruleName" in document and "state" in document:
        return (
            "must be a list; this is the form of Grafana's legacy alerting, which ended with "
            "Grafana 11: use a contact point of its unified alerting"
        )
    return f"must be a list of alerts, as in {form}"


class _Reading:
    """Reads alerts and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def alert(self, place: str, given: Any) -> PostedAlert | None:
        if not isinstance(given, dict):
            self._wrong(place, "must be an object")
            return None
        status = given.get("status")
        if status not in ("firing", "resolved"):
            self._wrong(f"{place}.status", "must be firing or resolved")
            return None
        links = {name: whole_link(given.get(key)) for key, name in _LINKS.items()}
        labels, left_out = self._labels(f"{place}.labels", given.get("labels"))
        return PostedAlert(
            status,
            labels,
            self._annotations(f"{place}.annotations", given.get("annotations")),
            self._time(f"{place}.startsAt", given.get("startsAt")),
            self._time(f"{place}.endsAt", given.get("endsAt")),
            {name: link for name, link in links.items() if link},
            dict(_numbers(given.get("values"))),
            left_out,
        )

    def _labels(self, place: str, given: Any) -> tuple[dict[str, str], int]:
        """The labels, and how many more there were."""
        # Names may be any text; an empty value is a label that is not there.
        shown = {
            _identity(name, LONGEST_NAME): _identity(value, LONGEST_VALUE)
            for name, value in self._texts(place, given, LABELS_FIRST)
        }
        labels = [(name, value) for name, value in shown.items() if name and value]
        if given == {}:
            self._wrong(place, "must hold at least one label")
        kept, left_out = dict(labels[:MOST_LABELS]), labels[MOST_LABELS:]
        if left_out:
            kept[LEFT_OUT] = f"{len(left_out):,} ({_digest(repr(left_out))})"
        return kept, len(left_out)

    def _annotations(self, place: str, given: Any) -> dict[str, str]:
        texts = self._texts(place, {} if given is None else given, ANNOTATIONS_FIRST)
        return {
            cut(name, LONGEST_NAME): cut(value, LONGEST_TEXT)
            for name, value in texts[:MOST_ANNOTATIONS]
        }

    def _texts(self, place: str, given: Any, first: Sequence[str]) -> list[tuple[str, str]]:
        """Names with texts, those of `first` before the others, each of them sorted."""
        if not isinstance(given, dict):
            self._wrong(place, "must be an object of texts")
            return []
        for name, value in given.items():
            if not isinstance(value, str):
                self._wrong(f"{place}.{cut(name, LONGEST_NAME)}", "must be a text")
        texts = [(name, value) for name, value in given.items() if isinstance(value, str)]
        return sorted(texts, key=lambda each: (each[0] not in first, each[0]))

    def _time(self, place: str, given: Any) -> datetime | None:
        if given in (None, ""):
            return None
        text = given.strip().upper() if isinstance(given, str) else ""
        try:
            moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
        except ValueError:
            moment = None
        if moment is None:
            self._wrong(place, "must be an RFC 3339 time")
            return None
        return moment.astimezone(UTC) if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None

    def _wrong(self, place: str, message: str) -> None:
        self.faults.append(Fault(place, message))


def cut(text: str, longest: int) -> str:
    """`text` without what no screen can show, in at most `longest` characters."""
    shown = _UNSHOWN.sub("", text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _identity(text: str, longest: int) -> str:
    """As `cut`, but different texts stay different: alerts are told apart by their labels."""
    shown = _UNSHOWN.sub("", text)
    if len(shown) <= longest:
        return shown
    return f"{shown[: longest - _DIGEST - 1]}…{_digest(shown)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def _plain(given: Any, longest: int) -> str:
    return cut(given, longest) if isinstance(given, str) else ""


def whole_link(given: Any) -> str:
    """A whole http(s) URL; empty for anything else, as a page would make it a link."""
    text = _plain(given, LONGEST_TEXT).strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.netloc else ""


def _numbers(given: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(given, dict):
        return
    for name in sorted(given)[:MOST_LABELS]:
        value = given[name]
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) < _NUMBERS_END
        ):
            yield cut(name, LONGEST_NAME), float(value)
