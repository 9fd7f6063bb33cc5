"""In which column of a drawing each node of a graph stands: right of what leads to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def layers(edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The column of each node: one right of its rightmost caller. Circles are cut where they
    close."""
    callees: dict[str, list[str]] = {}
    called = set()
    for caller, callee in edges:
        callees.setdefault(caller, []).append(callee)
        callees.setdefault(callee, [])
        called.add(callee)
    column = dict.fromkeys(callees, 0)
    # Without an entry, as in a circle, any start is as good; names make it always the same one.
    entries = sorted(name for name in callees if name not in called)
    order = _outward([*entries, *sorted(callees)], callees)
    place = {name: index for index, name in enumerate(order)}
    for name in order:
        for callee in callees[name]:
            if place[callee] > place[name]:
                column[callee] = max(column[callee], column[name] + 1)
    return column


def _outward(starts: Sequence[str], callees: Mapping[str, Sequence[str]]) -> list[str]:
    """All nodes, each before what it calls, but for calls that close a circle."""
    done: list[str] = []
    seen: set[str] = set()
    for start in starts:
        waiting = [(start, False)]
        while waiting:
            name, left = waiting.pop()
            if left:
                done.append(name)
            elif name not in seen:
                seen.add(name)
                waiting.append((name, True))
                waiting.extend((callee, False) for callee in callees[name] if callee not in seen)
    return done[::-1]
