"""An incident as Markdown: a short account to paste into a chat, and the draft of a post-mortem.

Everything in them is a fact that the site holds; what only people know is asked for in the draft.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from alerting.domain.impact_text import impact_words
from alerting.domain.incident_choice import chosen, gaps, response
from alerting.domain.timeline import Line, fired_urgency
from resilience_site.core.formatting import duration

_MOST_LINES: Final = 30
# A draft is worked on: it has room for more, and yet nobody reads thousands of lines.
_MOST_IN_DRAFT: Final = 200
_MOST_DETECTIONS: Final = 20
_SPECIAL: Final = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>|#"})
_SEVERITY: Final = {"page": "Page", "ticket": "Ticket", "info": "Info"}


@dataclass(frozen=True)
class Detection:
    """An alert as it was raised. `told_at` is when a channel was first told of it, None where none
    was; `held`: that it was held back."""

    text: str
    severity: str
    fired_at: datetime
    link: str
    told_at: datetime | None = None
    held: bool = False


@dataclass(frozen=True)
class Account:
    """What is told of an incident; `url` is whole, `base` what paths of the site begin with."""

    title: str
    state: str
    severity: str
    started_at: datetime
    ended_at: datetime | None
    lasted: str
    url: str
    base: str
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    assigned_to: str = ""
    resolved_by: str = ""
    services: Sequence[str] = ()
    cause: Mapping[str, Any] = field(default_factory=dict)
    impact: Mapping[str, Any] = field(default_factory=dict)
    # Its alerts, in the order in which they fired.
    alerts: Sequence[Detection] = ()
    alert_count: int = 0
    lines: Sequence[Line] = ()


def summary_markdown(account: Account) -> str:
    """The account in a few lines: how it stands, the cause, the impact, what mattered most."""
    parts = [
        f"## {_plain(account.title)}",
        "",
        *_facts(account),
        "",
        "### Probable cause",
        "",
        *_cause(account),
        "",
        "### Impact",
        "",
        *_impact(account.impact),
        "",
        *_timeline(account, "###", _MOST_LINES),
        "",
        account.url,
    ]
    return "\n".join(parts) + "\n"


def post_mortem_markdown(account: Account) -> str:
    """The draft: what is known stands in it, with questions where only people know the answer."""
    detected = next((line.at for line in account.lines if fired_urgency(line)), None)
    parts = [
        f"# Post-mortem: {_plain(account.title)}",
        "",
        "*A draft made from what was recorded. Correct it where it is wrong, and answer what is "
        "asked in italics.*",
        "",
        "## Summary",
        "",
        *_facts(account),
        "",
        "*What happened, in two sentences that somebody understands who was not there?*",
        "",
        "## Impact",
        "",
        *_impact(account.impact),
        "",
        "*What did users notice?*",
        "",
        "## Cause",
        "",
        *_cause(account),
        "",
        "*Is that the cause? Why could it have this effect? Why was it not found before?*",
        "",
        "## Detection",
        "",
        *_detection(account, detected),
        "",
        "*Would an earlier or a better alert have helped?*",
        "",
        "## Response",
        "",
        *_response(account),
        "",
        "*What went well, what went badly, where were we lucky?*",
        "",
        *_timeline(account, "##", _MOST_IN_DRAFT),
        "",
        "## What we will do",
        "",
        "| What | Who | Until | Prevents, detects or mitigates |",
        "|---|---|---|---|",
        "| *…* | *…* | *…* | *…* |",
        "",
        f"Source: {account.url}",
    ]
    return "\n".join(parts) + "\n"


def _facts(account: Account) -> Iterable[str]:
    urgency = _SEVERITY.get(account.severity, account.severity)
    yield f"- **State:** {account.state}, {urgency.lower()}"
    ended = f" to {_time(account.ended_at)}" if account.ended_at else ", still open"
    yield f"- **Time:** {_time(account.started_at)}{ended} ({account.lasted})"
    if account.services:
        yield f"- **Services:** {', '.join(map(_plain, account.services))}"
    if account.acknowledged_by:
        yield f"- **Acknowledged by:** {_plain(account.acknowledged_by)}"
    if account.assigned_to:
        yield f"- **Assigned to:** {_plain(account.assigned_to)}"


def _cause(account: Account) -> Iterable[str]:
    cause = account.cause
    if not cause.get("text"):
        yield "Not known yet."
        return
    confidence = cause.get("confidence")
    sure = f" (confidence {confidence:.0%})" if isinstance(confidence, int | float) else ""
    yield f"{_plain(str(cause['text']))}{sure}"
    yield ""
    for each in cause.get("evidence", ()):
        yield f"- {_linked(str(each['text']), str(each['link']), account.base)}"


def _impact(impact: Mapping[str, Any]) -> Iterable[str]:
    if not impact:
        yield "Not known: no errors of its services were stored."
        return
    words = impact_words(impact)
    yield f"- **Counted:** errors of {_plain(str(impact['service']))}, {words['window']}"
    yield f"- **Requests lost:** {_plain(words['lost'])}"
    yield f"- **Users:** {words['users']}"
    yield f"- **Tiers (requests):** {_plain(words['tiers'])}"
    services = ", ".join(map(_plain, impact["services"]))
    yield f"- **Services with failures:** {services} ({words['services']})"
    if impact.get("blast_radius"):
        depend = ", ".join(map(_plain, impact["blast_radius"]))
        yield f"- **Depend on it:** {depend} ({words['depend']})"
    yield f"- **Error budget spent:** {_plain(words['budget'])}"


def _detection(account: Account, detected: datetime | None) -> Iterable[str]:
    if detected is not None:
        yield f"- The first alert fired at {_time(detected)}{_after(account, detected)}."
    seen = [each for each in account.alerts if each.told_at is not None or not each.held]
    distinct: dict[tuple[str, str], list[Detection]] = {}
    for each in seen:
        distinct.setdefault((each.severity, each.text), []).append(each)
    for same in list(distinct.values())[:_MOST_DETECTIONS]:
        yield f"- {_detected(same, account.base)}"
    if (others := len(distinct) - _MOST_DETECTIONS) > 0:
        yield f"- and {others:,} more that say something else"
    if held := len(account.alerts) - len(seen):
        yield f"- {held:,} more alert{'s'[: held != 1]} fired of which nobody was told: held back"
    if (more := account.alert_count - len(account.alerts)) > 0:
        yield f"- and {more:,} more alerts"


def _detected(same: Sequence[Detection], base: str) -> str:
    """An alert, or several that say the same: when, how urgent, what, and when who was told."""
    first = same[0]
    urgency = _SEVERITY.get(first.severity, first.severity)
    times = f", {len(same):,} times" if len(same) > 1 else ""
    told = min((each.told_at for each in same if each.told_at), default=None)
    heard = f"people were told at {_time(told)}" if told else "nobody was told"
    said = _linked(first.text, first.link, base)
    return f"{_time(first.fired_at)}: {urgency}: {said}{times} ({heard})"


def _response(account: Account) -> Iterable[str]:
    if account.acknowledged_at is not None:
        who, late = _plain(account.acknowledged_by), _after(account, account.acknowledged_at)
        yield f"- Acknowledged by {who} at {_time(account.acknowledged_at)}{late}."
    else:
        yield "- Nobody acknowledged it."
    done = response(account.lines)
    shown = chosen(done, {}, _MOST_IN_DRAFT)
    for left_out, place in zip(gaps(shown, len(done)), shown, strict=False):
        yield from _left_out(left_out)
        yield f"- {_time(done[place].at)}: {_plain(done[place].text)}"
    if account.ended_at is not None:
        by = f"by {_plain(account.resolved_by)}" if account.resolved_by else "as all alerts ended"
        yield f"- Over at {_time(account.ended_at)}, {by}."


def _timeline(account: Account, head: str, most: int) -> Iterable[str]:
    """The lines that matter most, by day, and between them how many others there are."""
    lines = account.lines
    shown = chosen(lines, account.cause, most)
    cut = len(shown) < len(lines)
    note = f" ({len(shown):,} of {len(lines):,} lines, those that matter most)" if cut else ""
    yield f"{head} Timeline{note}"
    yield ""
    *between, after = gaps(shown, len(lines))
    day = ""
    for left_out, place in zip(between, shown, strict=True):
        line = lines[place]
        at = line.at.astimezone(UTC)
        if f"{at:%Y-%m-%d}" != day:
            # A list ends where a paragraph begins.
            yield from [""] if day else []
            day = f"{at:%Y-%m-%d}"
            yield f"**{day}** (UTC)"
            yield ""
        yield from _left_out(left_out)
        by = f" ({_plain(line.actor)})" if line.actor and line.kind == "note" else ""
        yield f"- {at:%H:%M:%S} {_linked(line.text, line.link, account.base)}{by}"
    yield from _left_out(after)


def _left_out(count: int) -> Iterable[str]:
    if count:
        yield f"- *{count:,} more line{'s'[: count != 1]}*"


def _after(account: Account, at: datetime) -> str:
    """How long after its beginning something was, empty where it was before."""
    seconds = (at - account.started_at).total_seconds()
    return f", {duration(seconds)} after it began" if seconds >= 1 else ""


def _linked(text: str, link: str, base: str) -> str:
    if not link:
        return _plain(text)
    whole = link if link.startswith("http") else f"{base}{link}"
    return f"[{_plain(text)}]({whole.replace('(', '%28').replace(')', '%29').replace(' ', '%20')})"


def _plain(text: str) -> str:
    """Words as words: what senders write is no markup."""
    return " ".join(text.split()).translate(_SPECIAL)


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "not known"
