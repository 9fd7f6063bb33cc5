"""How the API shows availability and reliability, and reads what is asked of them."""

from __future__ import annotations

from typing import Any

from health.domain.availability import DEFAULT, Policy, percent_text
from health.domain.reliability import Reliability
from health.selectors.availability import WINDOWS, Figure, Window
from resilience_site.core.problems import Invalid


def figure_shown(figure: Figure) -> dict[str, Any]:
    """The fields of `FigureOut`."""
    return {
        "window": figure.window.replace(" ", ""),
        "since": figure.since,
        "until": figure.until,
        "availability": figure.ratio,
        "percent": percent_text(figure.ratio),
        "good_seconds": figure.counted.good,
        "bad_seconds": figure.counted.bad,
        "excluded_seconds": figure.counted.excluded,
        "target": figure.target,
        "met": figure.met,
        "budget_left_seconds": figure.budget_left,
    }


def reliability_shown(kept: Reliability) -> dict[str, Any]:
    """What `ReliabilityOut` has beside the figure."""
    return {
        "mttr_seconds": kept.mttr,
        "repaired": kept.repaired,
        "mtbf_seconds": kept.mtbf,
        "failures": kept.failures,
    }


def windows_of(text: str) -> tuple[Window, ...]:
    """The windows that are asked for, the shortest first; all by default. Raises `Invalid`."""
    known = {window.name.replace(" ", ""): window for window in WINDOWS}
    wanted = {name.strip() for name in text.split(",")} - {""}
    strange = sorted(wanted - set(known))
    if strange:
        raise Invalid.field("query.window", f"{strange[0]!r} is none of {', '.join(known)}.")
    return tuple(window for name, window in known.items() if not wanted or name in wanted)


def policy_of(good: str, bad: str) -> Policy:
    """The policy that is asked for; a side that is not named is the usual one. Raises `Invalid`."""
    try:
        return Policy(
            good=_columns(good) or DEFAULT.good,
            bad=_columns(bad) or DEFAULT.bad,
        )
    except ValueError as error:
        raise Invalid.field("query.good" if good else "query.bad", f"{error}.") from None


def _columns(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",")) - {""}
