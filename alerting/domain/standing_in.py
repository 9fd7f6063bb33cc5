"""Messages that go in the place of others: whether one says all that another would, and why it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

# Of many channels that failed, so many are named, and so much is said of why each did.
MOST_NAMED: Final = 8
_MOST_WHY: Final = 160


def says_all_of(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether who gets one message, as the outbox keeps it, needs not get another: of each of its
    alerts it says the same, and it leaves out no more."""
    told, wanted = _told(theirs), _told(ours)
    return (
        bool(wanted)
        and wanted <= told
        and theirs.get("status") == ours.get("status")
        and _count(ours) <= _count(theirs)
    )


def told_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """What every message has in it that says of each alert what `message` does."""
    alerts = [{"id": name, "status": status} for name, status in sorted(_told(message))]
    return {"status": message.get("status"), "alerts": alerts}


def repeats(message: Mapping[str, Any]) -> bool:
    """Whether a message says once more what was said before, as it is time to."""
    return (message.get("why") or {}).get("occasion") == "repeated"


def note_of(in_place_of: Sequence[tuple[str, str]]) -> str:
    """Why a message goes by a channel: for those that failed, each named with why."""
    named, more = in_place_of[:MOST_NAMED], len(in_place_of) - MOST_NAMED
    if not named:
        return ""
    if len(in_place_of) == 1:
        name, why = named[0]
        return f"Sent here because the channel {name} failed: {_ended(why)}"
    names = [name for name, _ in named]
    last = f"{more} more" if more > 0 else names.pop()
    said = f"Sent here because the channels {', '.join(names)} and {last} failed"
    if len({why for _, why in in_place_of}) == 1:
        return f"{said}: {_ended(named[0][1])}"
    return " ".join([f"{said}.", *(f"{name}: {_ended(_short(why))}" for name, why in named)])


def not_taken(waited: timedelta, error: str) -> str:
    """Why another channel has a page that its own is still tried with."""
    seconds = max(round(waited.total_seconds()), 0)
    span = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
    said = f" ({error.rstrip('. ')})" if error else ", as it fails or asks to be left alone"
    return f"it has not taken it for {span}{said}"


def _told(message: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(each["id"], each["status"]) for each in message.get("alerts", ())}


def _count(message: Mapping[str, Any]) -> int:
    return len(message.get("alerts", ())) + int(message.get("left_out", 0))


def _ended(why: str) -> str:
    return f"{why.rstrip('. ')}."


def _short(why: str) -> str:
    return why if len(why) <= _MOST_WHY else why[: _MOST_WHY - 1] + "…"
