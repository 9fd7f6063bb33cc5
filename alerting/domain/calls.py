"""The calls of services to what they depend on, as breakers, fallbacks and retries name them.

Two calls of one service that fail at a time are two faults, unless what both suffer from is known:
that both were seen in one service, as in its budget, says nothing of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import Final, TypeAlias

_KIND: Final = "breaker:"
_WORD: Final = re.compile(r"[^\W_]+")
# A shorter name stands in too many words.
_SHORTEST: Final = 3


# Service → the names of its calls.
Calls: TypeAlias = Mapping[str, Set[str]]


def call_key(service: str, name: str) -> str:
    """The key of a call; a breaker, a fallback and a retry budget of one name guard the same one."""
    return f"{_KIND}{service}/{name}"


def calls_in(keys: Iterable[str]) -> dict[str, set[str]]:
    """The calls that keys name."""
    found: dict[str, set[str]] = {}
    for key in keys:
        if key.startswith(_KIND):
            service, _, name = key.removeprefix(_KIND).partition("/")
            found.setdefault(service, set()).add(name)
    return found


def named_in(words: str, names: Iterable[str]) -> frozenset[str]:
    """Those of the names that stand in words, but for case and separators: `microsoft_graph` does in
    “Microsoft Graph did not answer”, and `graph` then only as a part of it."""
    told = f" {_plain(words)} "
    found = {
        name: plain
        for name in names
        if len(plain := _plain(name)) >= _SHORTEST and f" {plain} " in told
    }
    return frozenset(
        name
        for name, plain in found.items()
        if not any(plain != other and f" {plain} " in f" {other} " for other in found.values())
    )


def are_separate(mine: Calls, theirs: Calls, shared: Iterable[str]) -> frozenset[str]:
    """The services of which two incidents tell of different calls, if nothing explains that these
    fail together: of the keys that both have a check or another service in which it began, a call
    that is the same, or one of a service that is called itself."""
    split = mine.keys() & theirs.keys()
    if any(mine[each] & theirs[each] for each in split):
        return frozenset()
    # What began behind one of the calls says nothing of the other, unless it is called by this.
    behind = {_plain(name) for each in split for name in mine[each] | theirs[each]}
    if behind & {_plain(each) for each in (mine.keys() | theirs.keys()) - split}:
        return frozenset()
    for key in shared:
        kind, _, what = key.partition(":")
        if kind == "check" or (kind == "root" and what not in split and _plain(what) not in behind):
            return frozenset()
    return frozenset(split)


def elsewhere(calls: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
    """The services behind those of the calls (name → service, empty if it is not known) that have
    none of the names."""
    own = set(names)
    behind = {calls[name] for name in own if name in calls}
    return frozenset(of for name, of in calls.items() if name not in own) - behind - {""}


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
