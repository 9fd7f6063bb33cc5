"""How a group of alerts is told in words, for every channel alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Final

from alerting.domain.incident_brief import incident_pairs
from alerting.domain.messages import AlertTold, IncidentTold, Message, Occasion, Why

# Alerts that a message lists; beyond them it counts.
MOST_LISTED: Final = 30
# Incidents whose cause and impact it tells.
MOST_INCIDENTS: Final = 3
# Lines of the plain text.
_MOST_LINES: Final = 10
_MOST_TITLE: Final = 200
_URGENCY: Final = ("page", "ticket", "info")
_WHY: Final[Mapping[Occasion, str]] = {
    "first": "This is the first that you hear of it.",
    "grown": "More of it has begun to fire since you were told.",
    "resolved": "All that you were told of is over.",
    "shrunk": "Some of what you were told of is over.",
    "repeated": "It still goes on; you were told before.",
}


def why_told(
    occasion: Occasion, *, route: str, matchers: str, group_labels: Mapping[str, str], others: bool
) -> Why:
    """Why a channel is told, now. `others` says that the group takes what was too much to tell
    one by one."""
    text = f"{_WHY[occasion]} It came by the route {route}"
    text += f" ({matchers})." if matchers else ", which takes all alerts."
    if others:
        text += " So many different alerts fire that the rest of them is told together."
    return Why(occasion, text, route, dict(group_labels), matchers)


def message_of(
    *,
    firing: Sequence[AlertTold],
    firing_count: int,
    over: Sequence[AlertTold],
    over_count: int,
    why: Why,
    group_key: str,
    url: str,
    incidents: Sequence[IncidentTold] = (),
) -> Message:
    """The message of a group: of the alerts that fire and are over, those listed and how many, and
    the incidents of those listed."""
    listed = (*firing, *over)[:MOST_LISTED]
    about = _about(why.group_labels)
    title = _title(firing, firing_count, over, over_count, about, incidents)
    return Message(
        title=title,
        text="\n".join(_lines(listed, firing_count, over_count, why, incidents)),
        status="firing" if firing_count else "resolved",
        severity=_worst(firing or over),
        url=url,
        group_key=group_key,
        alerts=tuple(listed),
        left_out=firing_count + over_count - len(listed),
        why=why,
        incidents=tuple(incidents[:MOST_INCIDENTS]),
    )


def without_ends(message: Message, unheard: Set[str]) -> Message | None:
    """`message` for a channel that never heard that these alerts fire: without those of them that
    are over; None where it has nothing to say then. One that leaves alerts out stays as it is, unless
    all that it is about may be over unheard."""
    why = message.why
    over = [each for each in message.alerts if each.status == "resolved"]
    ended = [each for each in over if each.id not in unheard]
    if why is None or len(ended) == len(over):
        return message
    if message.left_out:
        return None if message.status == "resolved" and not ended else message
    firing = [each for each in message.alerts if each.status == "firing"]
    if not ended and why.occasion in ("shrunk", "resolved"):
        new = sum(each.id in unheard for each in firing)
        if not new:
            return None
        why = _instead(why, "first" if new == len(firing) else "grown")
    urls = {each.incident_url for each in (*firing, *ended)}
    said = message_of(
        firing=firing,
        firing_count=len(firing),
        over=ended,
        over_count=len(ended),
        why=why,
        group_key=message.group_key,
        url=message.url,
        incidents=[each for each in message.incidents if each.url in urls],
    )
    return replace(said, note=message.note, in_place_of=message.in_place_of)


def _instead(why: Why, occasion: Occasion) -> Why:
    text = why.text.replace(_WHY[why.occasion], _WHY[occasion], 1)
    return replace(why, occasion=occasion, text=text)


def _about(common: Mapping[str, str]) -> str:
    if common.get("service"):
        return f" of {common['service']}"
    return " of one incident" if common.get("incident") else ""


def _title(
    firing: Sequence[AlertTold],
    firing_count: int,
    over: Sequence[AlertTold],
    over_count: int,
    about: str,
    incidents: Sequence[IncidentTold],
) -> str:
    """What it is about; whatever is told of one incident bears the name of that."""
    told, count = (firing, firing_count) if firing_count else (over, over_count)
    first = told[0].summary if told else ""
    named = _one_incident(told, incidents)
    if count > 1:
        verb, words = "fire" if firing_count else "are over", named or first
        title = f"{count:,} alerts{about} {verb}: {words}" if words else f"{count:,} alerts {verb}"
    else:
        part = f"{first} (part of: {named})" if named not in ("", first) else first
        title = part if firing_count else f"Over: {part}"
    return title if len(title) <= _MOST_TITLE else f"{title[: _MOST_TITLE - 1]}…"


def _one_incident(told: Sequence[AlertTold], incidents: Sequence[IncidentTold]) -> str:
    """What the one incident is called that all these alerts are of; empty where they are of more."""
    titles = {each.url: each.title for each in incidents}
    found = {each.incident_url for each in told}
    return titles.get(found.pop(), "") if len(found) == 1 else ""


def _lines(
    listed: Sequence[AlertTold],
    firing: int,
    over: int,
    why: Why,
    incidents: Sequence[IncidentTold],
) -> list[str]:
    lines = [_line(each) for each in listed[:_MOST_LINES]]
    rest = firing + over - len(lines)
    if rest > 0:
        lines.append(f"… and {rest:,} more.")
    if len(listed) == 1 and listed[0].details:
        lines += ["", listed[0].details]
    if len(listed) == 1 and listed[0].runbook_url:
        lines.append(f"What to do: {listed[0].runbook_url}")
    counts = " and ".join(
        f"{count:,} {words}" for count, words in ((firing, "firing"), (over, "over")) if count
    )
    return [*lines, *_incidents(incidents), "", f"{counts}. {why.text}"]


def _incidents(incidents: Sequence[IncidentTold]) -> list[str]:
    lines: list[str] = []
    for each in incidents[:MOST_INCIDENTS]:
        lines += ["", f"Incident: {each.title}"]
        lines += [f"{name}: {text}" for name, text in incident_pairs(each)]
        lines.append(each.url)
    rest = len(incidents) - MOST_INCIDENTS
    if rest > 0:
        lines += ["", f"… and {rest:,} more incident{'s'[: rest != 1]}."]
    return lines


def _line(each: AlertTold) -> str:
    if each.status == "resolved":
        return f"Over{_moment(each.ended_at)}: {each.summary}"
    return f"[{each.severity}] {each.summary}, since{_moment(each.started_at)}"


def _moment(at: datetime | None) -> str:
    return f" {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _worst(alerts: Sequence[AlertTold]) -> str:
    found = {each.severity for each in alerts}
    return next((each for each in _URGENCY if each in found), "info")
