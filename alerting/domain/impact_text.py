"""The figures of an impact in words, each with its window and of how many it is; the same on the page
of an incident, by the API and in its Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from resilience_site.core.formatting import duration

# Who calls whom is looked for in so many hours before they are counted.
CALLS_OF_HOURS: Final = 24


def impact_words(impact: Mapping[str, Any]) -> dict[str, str]:
    """Of an impact, as it is kept, the `window` in which its errors were counted, and the figures
    `lost`, `users`, `tiers`, `services`, `depend` and `budget`; none of an empty one."""
    if not impact:
        return {}
    return {
        "window": _window(impact),
        "lost": _lost(impact),
        "users": _users(impact),
        "tiers": _tiers(impact),
        "services": f"named by the errors of {_looked_at(impact)}",
        "depend": f"by the calls of the {CALLS_OF_HOURS} h{_until(impact)}, and by the catalogue",
        "budget": _budget(impact),
    }


def _window(impact: Mapping[str, Any]) -> str:
    since, until = _moment(impact.get("since")), _moment(impact.get("until"))
    if since is None or until is None:
        return "not known"
    end = f"{until:%Y-%m-%d %H:%M:%S}" if until.date() != since.date() else f"{until:%H:%M:%S}"
    length = duration((until - since) / timedelta(seconds=1))
    return f"{since:%Y-%m-%d %H:%M:%S} to {end} UTC ({length})"


def _lost(impact: Mapping[str, Any]) -> str:
    service, calls = str(impact["service"]), impact.get("calls")
    of = f"{calls:,} calls of {service}" if calls else f"{service}, whose calls are not known"
    text = f"{_least(impact)}{impact['requests_lost']:,} of {of}"
    if degraded := impact.get("served_degraded"):
        text += f"; a fallback answered {degraded:,} more of {_looked_at(impact)}"
    return text


def _users(impact: Mapping[str, Any]) -> str:
    users = impact.get("users")
    if users is None:
        return "not known: nothing names one"
    return f"{_least(impact)}{users:,}, named by {_looked_at(impact)}"


def _tiers(impact: Mapping[str, Any]) -> str:
    tiers = impact.get("requests_by_tier") or {}
    if not tiers:
        return "not known: none is named"
    named = ", ".join(f"{tier} {count:,}" for tier, count in tiers.items())
    return f"{named} of {_looked_at(impact)}"


def _looked_at(impact: Mapping[str, Any]) -> str:
    """The requests that failed, of which the newest were looked at one by one."""
    examined, failed = impact.get("examined"), impact.get("requests")
    if examined is None or failed is None:
        return "the requests that failed"
    if examined < failed:
        return f"the newest {examined:,} of {failed:,} requests that failed"
    return f"{examined:,} request{'s'[: examined != 1]} that failed"


def _budget(impact: Mapping[str, Any]) -> str:
    budget, words = impact.get("budget") or {}, impact.get("words") or {}
    if not budget:
        return "not known"
    within = f"in the {budget['days']} days{_until(impact)}"
    if impact.get("error_budget_spent") is None:
        return f"n/a: {impact['service']} has no calls {within}"
    if budget.get("unit") == "seconds":
        return (
            f"{words['spent']}: down for {duration(budget['failed'])} of the "
            f"{duration(budget['allowed'])} that {words['target']} allows of "
            f"{duration(budget['calls'])} counted {within}"
        )
    return (
        f"{words['spent']}: {budget['failed']:,} of the {words['allowed']} failures that "
        f"{words['target']} allows of {budget['calls']:,} calls {within}"
    )


def _until(impact: Mapping[str, Any]) -> str:
    """Those end when they were counted, which may be after the window."""
    until = _moment(impact.get("as_of")) or _moment(impact.get("until"))
    return f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else " until then"


def _least(impact: Mapping[str, Any]) -> str:
    return "at least " if impact.get("approximate") else ""


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None
