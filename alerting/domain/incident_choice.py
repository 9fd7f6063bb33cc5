"""Which lines of a long timeline stand in a short account of an incident.

What is never left out, as long as there is room: what speaks for the cause, the first alert of each
urgency, the newest alert, how it ended, and what people said of it. Then come the turning points:
breakers and checks as they failed and were well again, releases, and what was overridden of it; then
how healing began and what came of it. Of those that matter equally, such are taken as are far from all
that stand there already, so that the account reaches over the whole time of the incident.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from alerting.domain.timeline import Line, check_turned, fired_urgency, is_opening, is_refusal

# As far as there is room, in this order; what has no rank is never chosen.
_NEVER_LEFT_OUT, _PEOPLE, _TURNS, _ACTS, _SHOWS, _REST = range(6)
_CLOCK: Final = re.compile(r"\b\d\d:\d\d:\d\d\b")


def chosen(lines: Sequence[Line], cause: Mapping[str, Any], most: int) -> list[int]:
    """The places of the lines that tell most, at most so many, in their order."""
    if len(lines) <= most:
        return list(range(len(lines)))
    ranks = _ranks(lines, cause)
    found: list[int] = []
    for rank in range(_NEVER_LEFT_OUT, _REST + 1):
        of_rank = [place for place, each in enumerate(ranks) if each == rank]
        found += _apart(lines, of_rank, found, most - len(found))
    return sorted(found)


def gaps(places: Sequence[int], count: int) -> list[int]:
    """How many of `count` lines are left out before each of the chosen, and after the last."""
    return [after - before - 1 for before, after in pairwise([-1, *places, count])]


def response(lines: Sequence[Line]) -> list[Line]:
    """What people and healing did about an incident, without the steps between."""
    runs, opened = set(_runs(lines)), _opened(lines)
    return [
        line
        for place, line in enumerate(lines)
        if line.kind in ("note", "degraded")
        or (line.kind == "override" and _is_concerned(line, opened))
        or place in runs
    ]


def _ranks(lines: Sequence[Line], cause: Mapping[str, Any]) -> list[int | None]:
    opened = _opened(lines)
    ranks = [_rank(line, opened) for line in lines]
    for place in (
        *_ends(lines, lambda line: line.kind == "transition" and line.link in opened),
        *_ends(lines, check_turned),
    ):
        ranks[place] = _TURNS
    for place in _runs(lines):
        ranks[place] = _ACTS
    for place in (*_alerts(lines), *_evidence(lines, cause), *_last_state(lines)):
        ranks[place] = _NEVER_LEFT_OUT
    return ranks


def _rank(line: Line, opened: Container[str]) -> int | None:
    """What a line is worth by itself; of healing and of messages nothing."""
    match line.kind:
        case "note":
            return _PEOPLE
        case "state":
            return _PEOPLE if line.actor else _TURNS
        case "release" | "degraded":
            return _TURNS
        case "override":
            return _rank_of_override(line, opened)
        case "transition":
            return _SHOWS if line.link in opened else _REST
        case "errors":
            return _SHOWS
        case "check":
            return _SHOWS if check_turned(line) else _REST
        case "alert":
            return _SHOWS if fired_urgency(line) == "page" and not line.held else _REST
        case "healing" | "delivery":
            return None
    return _REST


def _rank_of_override(line: Line, opened: Container[str]) -> int:
    if line.link in opened or line.link.startswith("/toggles/"):
        return _TURNS
    return _ACTS if _is_concerned(line, opened) else _REST


def _alerts(lines: Sequence[Line]) -> Iterator[int]:
    """The first alert of each urgency, of those that somebody was told of if there are any, and the
    newest of all."""
    fired = [place for place, line in enumerate(lines) if fired_urgency(line)]
    first: dict[str, int] = {}
    for place in sorted(fired, key=lambda place: (lines[place].held, place)):
        first.setdefault(fired_urgency(lines[place]), place)
    yield from first.values()
    yield from fired[-1:]


def _last_state(lines: Sequence[Line]) -> list[int]:
    return [place for place, line in enumerate(lines) if line.kind == "state"][-1:]


def _runs(lines: Sequence[Line]) -> Iterator[int]:
    """How each run of healing began and what came of it."""
    return _ends(lines, lambda line: line.kind == "healing" and not is_refusal(line))


def _ends(lines: Sequence[Line], wanted: Callable[[Line], bool]) -> Iterator[int]:
    """Of each thing, by its link, the first and the last of the wanted lines."""
    seen: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if wanted(line):
            seen.setdefault(line.link or line.text, []).append(place)
    for places in seen.values():
        yield from {places[0], places[-1]}


def _opened(lines: Iterable[Line]) -> frozenset[str]:
    """The breakers that opened by themselves, by their links."""
    return frozenset(line.link for line in lines if is_opening(line))


def _is_concerned(line: Line, opened: Container[str]) -> bool:
    """Whether what was overridden is of the incident: of breakers, those that opened."""
    return not line.link.startswith("/breakers/") or line.link in opened


# --- Evidence ---------------------------------------------------------------------------------


def _evidence(lines: Sequence[Line], cause: Mapping[str, Any]) -> Iterator[int]:
    """For each piece of evidence the line that tells of it, if there is one."""
    for each in cause.get("evidence") or ():
        text, link = str(each.get("text") or ""), str(each.get("link") or "")
        found = [place for place, line in enumerate(lines) if _speaks_of(line, text, link)]
        found = found or _first_chain(lines, str(each.get("kind")), str(cause.get("service")))
        if found:
            yield min(found, key=lambda place: (_by_the_way(lines[place], text), place))


def _speaks_of(line: Line, text: str, link: str) -> bool:
    """Whether a line is of the thing that the evidence names."""
    if line.kind not in ("transition", "check", "errors"):
        return False
    if line.link and line.link == link:
        return True
    subject = " ".join(line.text.casefold().split()[:2])
    return subject in text.casefold() and f"{line.at:%H:%M:%S}" in _CLOCK.findall(text)


def _by_the_way(line: Line, text: str) -> tuple[bool, bool]:
    """Those first that tell of it at the very time, or that it failed."""
    return f"{line.at:%H:%M:%S}" not in _CLOCK.findall(text), not check_turned(line)


def _first_chain(lines: Sequence[Line], kind: str, service: str) -> list[int]:
    if kind != "chains":
        return []
    return [
        place
        for place, line in enumerate(lines)
        if line.kind == "errors" and line.link.startswith("/chains/") and service in line.text
    ][:1]


# --- Room -------------------------------------------------------------------------------------


def _apart(
    lines: Sequence[Line], places: Sequence[int], there: Iterable[int], most: int
) -> list[int]:
    """So many of the places, each as far in time as can be from those that are there."""
    if len(places) <= most:
        return list(places)
    taken: list[int] = []
    times = {place: lines[place].at.timestamp() for place in places}
    known = [lines[place].at.timestamp() for place in there]
    far = {
        place: min((abs(at - each) for each in known), default=float("inf"))
        for place, at in times.items()
    }
    while len(taken) < most:
        # Of several that are as far, the first.
        place = max(far, key=lambda each: (far[each], -each))
        taken.append(place)
        del far[place]
        far = {each: min(away, abs(times[each] - times[place])) for each, away in far.items()}
    return taken
