"""What an entry of the journal tells in the timeline of an incident, in words of people."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from resilience_site.core.breaker_reasons import reason_words

# What is looked for before an incident began: what people and releases changed further back than
# what only shows.
CHANGES: Final = frozenset({"releases", "toggles", "degraded", "maintenance"})
# Those that concern no single service.
EVERYWHERE: Final = frozenset({"toggles", "maintenance", "site"})
TOPICS: Final = (
    "breakers",
    "bulkheads",
    "health",
    "degraded",
    "toggles",
    "releases",
    "anomalies",
    "predictions",
    "maintenance",
    "patterns",
    "healing",
    "site",
    "alerts",
)


URGENCIES: Final = {"page": "Page", "ticket": "Ticket", "info": "Info"}
_OPENS: Final = " to open"
_FAILURE: Final = "The failure of check "
# Services that one line names.
_MOST_NAMED: Final = 5
_BREAKS: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Recorded:
    """An entry of the journal."""

    id: int
    at: datetime
    topic: str
    kind: str
    key: str
    state: str
    service: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A line of a timeline; `kind` is an `EntryKind`, `link` a path of the site. `actor` is who did
    it, of a delivery whom it told. `held`: of an alert of which nobody was told."""

    at: datetime
    kind: str
    text: str
    link: str = ""
    actor: str = ""
    held: bool = False


def line_of(entry: Recorded) -> Line | None:
    """What the entry tells, None where it is not worth a line."""
    words = _WORDS.get(entry.topic)
    return words(entry) if words else None


def is_change(entry: Recorded) -> bool:
    """Whether somebody changed something, which may be the cause of what shows only later."""
    return entry.topic in CHANGES or entry.kind.startswith(("override.", "policy."))


def fired_text(severity: str, words: str) -> str:
    """That an alert fired."""
    return f"{URGENCIES.get(severity, severity)}: {words}"


def fired_urgency(line: Line) -> str:
    """The urgency of the alert whose firing the line tells, empty for every other line."""
    if line.kind != "alert":
        return ""
    said = line.text.partition(":")[0]
    return next((each for each, word in URGENCIES.items() if word == said), "")


def is_opening(line: Line) -> bool:
    """Whether it tells that a breaker opened, which nobody made it do."""
    return line.kind == "transition" and _OPENS in line.text


def check_turned(line: Line) -> bool:
    """Whether it tells that a failure of a check is certain, or over: not each change on the way."""
    return line.kind == "check" and line.text.startswith(_FAILURE)


def is_refusal(line: Line) -> bool:
    """Whether it tells of a run of healing that a guardrail kept from beginning."""
    return line.kind == "healing" and ": Refused by " in line.text


def concerns(entry: Recorded, services: Collection[str]) -> bool:
    """Whether an entry that is of no single service is of any of these. A toggle, or a maintenance,
    says where it holds; a toggle that holds everywhere names in its key what it is for, as
    `planner.write` does. What troubles this site concerns all that it watches."""
    if listed := _listed(entry):
        return not set(services).isdisjoint(listed)
    if entry.topic == "maintenance":
        # Its last service, or check, may be gone: it holds nowhere then.
        return entry.payload.get("everything") is not False
    if entry.topic != "toggles":
        return True
    return not {_words_of(name)[0] for name in services}.isdisjoint(_words_of(entry.key))


def _listed(entry: Recorded) -> list[str]:
    """The services where it holds; none where that is everywhere, or nowhere."""
    listed = entry.payload.get("services")
    if entry.payload.get("everything") or not isinstance(listed, list):
        return []
    return [str(each) for each in listed]


def _where(entry: Recorded) -> str:
    """For which services, as the end of what is told of it; empty where none are named."""
    listed = _listed(entry)
    if not listed:
        return " of everything" if entry.payload.get("everything") else ""
    more = len(listed) - _MOST_NAMED
    named = ", ".join(listed[:_MOST_NAMED])
    return f" of {named} and {more:,} more" if more > 0 else f" of {named}"


def _breakers(entry: Recorded) -> Line | None:
    name, link = str(entry.payload.get("name") or "?"), _breaker_link(entry)
    who, why = _by(entry), _because(entry)
    if entry.kind == "breaker.transition":
        if _is_probe(entry):
            return None
        before, instance = _word(entry.payload.get("from_state")), entry.payload.get("instance")
        at = f" in {instance}" if instance else ""
        text = f"Breaker {name} of {entry.service} went from {before} to {_word(entry.state)}{at}"
        if reason := entry.payload.get("reason"):
            because = reason_words(str(reason), str(entry.payload.get("from_state")))
            text = f"{text}: {because}"
        return Line(entry.at, "transition", text, link)
    if entry.kind == "override.set":
        text = f"Breaker {name} of {entry.service} was set to {_word(entry.state)}{who}{why}"
        return Line(entry.at, "override", text, link, _actor(entry))
    if entry.kind.startswith("override."):
        ending = _word(entry.kind.partition(".")[2])
        text = f"The override of breaker {name} of {entry.service} is over ({ending}){who}"
        return Line(entry.at, "override", text, link, _actor(entry))
    said = {"policy.changed": "The policy of breaker", "breaker.reset": "Breaker"}.get(entry.kind)
    if said is None:
        return None
    done = "was reset" if entry.kind == "breaker.reset" else "was changed"
    text = f"{said} {name} of {entry.service} {done}{who}{why}"
    return Line(entry.at, "override", text, link, _actor(entry))


def _bulkheads(entry: Recorded) -> Line | None:
    if entry.kind != "policy.changed":
        return None
    name = str(entry.payload.get("name") or "?")
    text = f"The limits of bulkhead {name} of {entry.service} were changed{_by(entry)}"
    link = f"/bulkheads/{quote(f'{entry.service}/{name}')}"
    return Line(entry.at, "override", text, link, _actor(entry))


def _is_probe(entry: Recorded) -> bool:
    """Whether an open breaker only tried whether it may close, or may not yet: every few seconds
    while what it stands before is down."""
    before = entry.payload.get("from_state")
    return (before, entry.state) in {("open", "half_open"), ("half_open", "open")}


def _health(entry: Recorded) -> Line | None:
    check = entry.payload.get("check")
    named = check.get("name") if isinstance(check, Mapping) else entry.payload.get("name")
    name, link = str(named or entry.key), f"/health/checks/{quote(entry.key, safe='')}"
    if entry.kind == "state_changed":
        before, state = _word(entry.payload.get("from_state")), _word(entry.state)
        culprit = entry.payload.get("culprit")
        why = f", as {culprit} fails" if isinstance(culprit, str) else ""
        at = _moment(entry.payload.get("since")) or entry.at
        text = f"Check {name} of {entry.service} went from {before} to {state}{why}"
        return Line(at, "check", text, link)
    if entry.kind == "failure_confirmed":
        output = str(entry.payload.get("output") or "")
        below = entry.payload.get("unreachable") or []
        text = f"{_FAILURE}{name} is confirmed" + (f": {output}" if output else "")
        also = f"; it explains {len(below)} more" if below else ""
        return Line(entry.at, "check", f"{text}{also}", link)
    if entry.kind == "failure_ended":
        return Line(entry.at, "check", f"{_FAILURE}{name} is over", link)
    if entry.kind in ("flapping_started", "flapping_ended"):
        word = "began" if entry.kind == "flapping_started" else "stopped"
        return Line(entry.at, "check", f"Check {name} {word} to go up and down", link)
    return None


def _degraded(entry: Recorded) -> Line:
    notice = str(entry.payload.get("notice") or "")
    told = f"; users read: “{notice}”" if notice else ""
    text = f"{entry.service} is in the mode {_word(entry.state)}{_by(entry)}{_because(entry)}{told}"
    return Line(entry.at, "degraded", text, f"/degraded/{_part(entry.service)}", _actor(entry))


def _toggles(entry: Recorded) -> Line:
    done = {"set": "was set", "unset": "was taken back"}.get(entry.state, "was changed")
    text = f"Toggle {entry.key}{_where(entry)} {done}{_by(entry)}{_because(entry)}"
    return Line(entry.at, "override", text, f"/toggles/{_part(entry.key)}", _actor(entry))


def _releases(entry: Recorded) -> Line:
    version, before = entry.payload.get("version"), entry.payload.get("previous")
    after = f", after {before}" if before else ""
    where = entry.payload.get("environment")
    text = f"{entry.service} runs version {version}{after}" + (f" in {where}" if where else "")
    at = _moment(entry.payload.get("first_seen")) or entry.at
    link = f"/what-changed?service={quote(entry.service, safe='')}"
    return Line(at, "release", text, link)


def _anomalies(entry: Recorded) -> Line | None:
    metric = _word(entry.payload.get("metric") or entry.state)
    link = f"/trends?service={quote(entry.service, safe='')}"
    if entry.kind == "anomaly_started":
        value, expected = entry.payload.get("value"), entry.payload.get("expected")
        figures = f": {_figure(value)}, {_figure(expected)} expected" if value is not None else ""
        at = _moment(entry.payload.get("started_at")) or entry.at
        return Line(at, "anomaly", f"Unusual {metric} of {entry.service}{figures}", link)
    if entry.kind == "anomaly_ended":
        at = _moment(entry.payload.get("ended_at")) or entry.at
        return Line(at, "anomaly", f"The {metric} of {entry.service} is usual again", link)
    return None


def _predictions(entry: Recorded) -> Line | None:
    what = _word(entry.payload.get("kind"))
    if entry.kind == "prediction_made":
        share = entry.payload.get("probability")
        sure = f" ({share:.0%})" if isinstance(share, int | float) else ""
        return Line(
            entry.at, "prediction", f"Foreseen for {entry.service}: {what}{sure}", "/predictions"
        )
    if entry.kind == "prediction_settled":
        outcome = {"hit": "came true", "miss": "did not come true"}.get(entry.state, entry.state)
        text = f"What was foreseen for {entry.service} ({what}) {outcome}"
        return Line(entry.at, "prediction", text, "/predictions")
    return None


def _maintenance(entry: Recorded) -> Line:
    done = _word(entry.kind.partition(".")[2])
    text = f"Maintenance “{entry.payload.get('name') or entry.key}”{_where(entry)} was {done}"
    return Line(entry.at, "maintenance", text, "/health/maintenance")


_PATTERNS: Final = {
    "pattern.new": "A new kind of error",
    "pattern.regressed": "An error that was resolved is back",
    "pattern.escalating": "Many more than usual of an error",
}


def _patterns(entry: Recorded) -> Line | None:
    said = _PATTERNS.get(entry.kind)
    if said is None:
        return None
    words = ": ".join(
        str(entry.payload[name]) for name in ("type", "template") if entry.payload.get(name)
    )
    text = f"{said} of {entry.service}: {words}"
    return Line(entry.at, "errors", text, f"/patterns/{_part(entry.key)}")


# What could be healed is told by the run that does, or by the guardrail that keeps it from it.
_HEALING_HINTS: Final = frozenset({"opportunity.opened", "opportunity.ended", "run.asked"})
_HEALING_WHOLE: Final = frozenset({"run.created", "run.step", "run.failed_again"})


def _healing(entry: Recorded) -> Line | None:
    if entry.kind in _HEALING_HINTS or (entry.kind, entry.state) == ("run.step", "running"):
        # A step that began is told once it ended.
        return None
    text = entry.payload.get("text")
    workflow, target = (str(entry.payload.get(name) or "") for name in ("workflow", "target"))
    if isinstance(text, str) and text:
        # How a run ended does not say by itself which one it was.
        bare = entry.kind.startswith("run.") and entry.kind not in _HEALING_WHOLE
        text = f"{_word(workflow)} of {target}: {text}" if bare and workflow and target else text
    else:
        what = " ".join(
            str(entry.payload[name]) for name in ("workflow", "action") if entry.payload.get(name)
        )
        state = f": {_word(entry.state)}" if entry.state else ""
        text = f"Healing {what or _word(entry.kind)}{state}"
    return Line(entry.at, "healing", text, str(entry.payload.get("link") or ""), _actor(entry))


def _site(entry: Recorded) -> Line | None:
    text = str(entry.payload.get("text") or entry.key)
    if entry.kind == "site.trouble_began":
        return Line(entry.at, "state", f"The site itself has trouble: {text}", "/healthz")
    if entry.kind == "site.trouble_ended":
        return Line(entry.at, "state", f"The site itself is well again: {text}", "/healthz")
    return None


def _silences(entry: Recorded) -> Line | None:
    """Alerts themselves have lines of their own."""
    if entry.kind == "silence.created":
        until = _moment(entry.payload.get("ends_at"))
        end = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        text = f"Alerts of {entry.service} were silenced{_by(entry)}{end}{_because(entry)}"
        return Line(entry.at, "override", text, "/alerts/silences", _actor(entry))
    if entry.kind == "silence.ended":
        text = f"A silence of {entry.service} was ended{_by(entry)}"
        return Line(entry.at, "override", text, "/alerts/silences", _actor(entry))
    return None


_WORDS: Final[Mapping[str, Callable[[Recorded], Line | None]]] = {
    "breakers": _breakers,
    "bulkheads": _bulkheads,
    "health": _health,
    "degraded": _degraded,
    "toggles": _toggles,
    "releases": _releases,
    "anomalies": _anomalies,
    "predictions": _predictions,
    "maintenance": _maintenance,
    "patterns": _patterns,
    "healing": _healing,
    "site": _site,
    "alerts": _silences,
}


# --- Words ------------------------------------------------------------------------------------


def _word(value: Any) -> str:
    return str(value or "unknown").replace("_", " ")


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)


def _actor(entry: Recorded) -> str:
    return str(entry.payload.get("actor") or "")


def _by(entry: Recorded) -> str:
    return f" by {_actor(entry)}" if _actor(entry) else ""


def _because(entry: Recorded) -> str:
    reason = entry.payload.get("reason")
    return f": {reason}" if reason else ""


def _words_of(name: str) -> list[str]:
    return _BREAKS.split(name.casefold())


def _part(text: str) -> str:
    return quote(text, safe="")


def _breaker_link(entry: Recorded) -> str:
    return f"/breakers/{_part(entry.key)}"


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None
