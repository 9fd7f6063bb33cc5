"""Matchers of labels: `service=planner`, `severity=~page|ticket`, `team!=`; all of a list must hold.

A label that is not there is the empty text. Patterns of `=~` and `!~` must match the whole value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, cast

Op = Literal["=", "!=", "=~", "!~"]
OPS: Final[tuple[Op, ...]] = ("=~", "!~", "!=", "=")

MOST_MATCHERS: Final = 20
MOST_VALUE: Final = 1_000
MOST_PATTERN: Final = 200
# What a pattern is matched against: labels of other systems may be long.
_MOST_MATCHED: Final = 300
# Each repeat may try every length, each group or question mark every way: what they cost multiplies,
# and one pattern is matched against thousands of alerts.
MOST_REPEATS: Final = 2
MOST_CHOICES: Final = 4
# The alternatives within groups multiply as well: so many ways at most to match one value.
_MOST_WAYS: Final = 8 * _MOST_MATCHED**2

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}", re.ASCII)
_WRITTEN = re.compile(
    r"\s*(?P<label>[A-Za-z_][A-Za-z0-9_.:/-]*)\s*(?P<op>=~|!~|!=|=)(?P<value>.*)", re.ASCII
)
_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}|\{\d+\}")
_STORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_UNMEANT: Final = tuple(
    {"alertname": "a-name-of-no-rule", "severity": severity, "source": source}
    for severity in ("page", "ticket", "info")
    for source in ("rule", "site", "alertmanager", "grafana")
)


class MatcherError(ValueError):
    """Something that is no matcher; its text says what is wrong with it."""


@dataclass(frozen=True, order=True)
class Matcher:
    """One condition on one label."""

    label: str
    op: Op
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.op == "=":
            return found == self.value
        if self.op == "!=":
            return found != self.value
        fits = _pattern(self.value).fullmatch(found[:_MOST_MATCHED]) is not None
        return fits if self.op == "=~" else not fits

    def __str__(self) -> str:
        return f"{self.label}{self.op}{self.value}"


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher holds; none of them hold for everything."""
    return all(each.matches(labels) for each in matchers)


def matchers_read(given: Any) -> tuple[Matcher, ...]:
    """Matchers in any of their forms, each once and in order of their labels.

    `{"service": "planner"}`; a list of `{"label", "op", "value"}`, where Alertmanager's `name`,
    `isEqual` and `isRegex` do as well; a list of texts such as `severity=~page|ticket`; or one text
    with a matcher a line. Raises `MatcherError`.
    """
    if isinstance(given, str):
        given = [line for line in given.splitlines() if line.strip()]
    if isinstance(given, Mapping):
        found = [_matcher(label, "=", value) for label, value in given.items()]
    elif isinstance(given, Sequence) and not isinstance(given, bytes):
        found = [_read(each) for each in given]
    else:
        raise MatcherError('Matchers are an object such as {"service": "planner"}, or a list.')
    if len(found) > MOST_MATCHERS:
        raise MatcherError(f"There may be at most {MOST_MATCHERS} matchers.")
    return tuple(sorted(set(found)))


def matchers_stored(stored: Iterable[Mapping[str, str]]) -> tuple[Matcher, ...]:
    """Matchers as `matchers_json` gave them."""
    return tuple(Matcher(each["label"], cast(Op, each["op"]), each["value"]) for each in stored)


def matchers_json(matchers: Iterable[Matcher]) -> list[dict[str, str]]:
    """The form in which matchers are kept and shown by the API."""
    return [{"label": each.label, "op": each.op, "value": each.value} for each in matchers]


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """All of them in one line, for people."""
    return ", ".join(map(str, matchers))


def matches_everything(matchers: Iterable[Matcher]) -> bool:
    """Whether they hold for an alert without labels, or for those of each severity and source that
    nobody can have meant, and so, in all likelihood, for every one."""
    held = tuple(matchers)
    return all_match(held, {}) or all(all_match(held, each) for each in _UNMEANT)


def _read(each: Any) -> Matcher:
    if isinstance(each, str):
        written = _WRITTEN.fullmatch(each)
        if written is None:
            raise MatcherError(f"{each[:80]!r} is no matcher: write service=planner, or =~ != !~.")
        return _matcher(written["label"], written["op"], _unquoted(written["value"].strip()))
    if not isinstance(each, Mapping):
        raise MatcherError("A matcher is a text such as service=planner, or label, op and value.")
    label = each.get("label", each.get("name"))
    op = each.get("op", each.get("operator"))
    if op is None:
        equal, pattern = each.get("isEqual", True), each.get("isRegex", False)
        op = ("=~" if pattern else "=") if equal else ("!~" if pattern else "!=")
    return _matcher(label, op, each.get("value"))


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    return value[1:-1].replace('\\"', '"') if quoted else value


def _matcher(label: Any, op: Any, value: Any) -> Matcher:
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise MatcherError(f"{str(label)[:80]!r} is not the name of a label.")
    if op not in OPS:
        raise MatcherError(f"{str(op)[:20]!r} is not one of = != =~ !~ (label {label}).")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MatcherError(f"The value of the label {label} must be a text.")
    text = str(value)
    if len(text) > MOST_VALUE or _STORABLE.search(text):
        raise MatcherError(
            f"The value of the label {label} is longer than {MOST_VALUE} characters, or holds "
            "control characters."
        )
    if op in ("=~", "!~"):
        _pattern_check(label, text)
    return Matcher(label, cast(Op, op), text)


def _pattern_check(label: str, pattern: str) -> None:
    """Refuse patterns that do not compile, or that may take for ever on some value."""
    if len(pattern) > MOST_PATTERN:
        raise MatcherError(f"A pattern has at most {MOST_PATTERN} characters (label {label}).")
    try:
        with warnings.catch_warnings():
            # Of what may mean something else in a later Python.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise MatcherError(f"The pattern of the label {label} is wrong: {error}.") from None
    bare = re.sub(r"\\.", "x", pattern, flags=re.DOTALL)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", bare)
    if re.search(r"\\[1-9]", pattern) or "(?" in bare.replace("(?:", "("):
        raise MatcherError(
            f"The pattern of the label {label} may use groups and alternatives, but neither "
            "back references nor (?…)."
        )
    if re.search(r"\)(?:[*+]|\{)", bare):
        raise MatcherError(f"The pattern of the label {label} may not repeat a whole group.")
    repeats = len(_REPEAT.findall(bare))
    optional = bare.replace("(?:", "(").count("?")
    choices = repeats + optional + bare.count("(")
    if repeats > MOST_REPEATS or choices > MOST_CHOICES:
        raise MatcherError(
            f"The pattern of the label {label} may hold at most {MOST_REPEATS} of * + {{n}}, and "
            f"{MOST_CHOICES} of these, ? and groups together; alternatives outside of groups are free."
        )
    if _MOST_MATCHED**repeats * 2**optional * _alternatives(bare) > _MOST_WAYS:
        raise MatcherError(
            f"The pattern of the label {label} has too many alternatives within groups beside what "
            "it repeats: put fewer into a group, or none into any group."
        )


def _alternatives(bare: str) -> int:
    """In how many ways the groups of a pattern can be gone through, one alternative of each."""
    ways, open_groups = 1, []
    for each in bare:
        if each == "(":
            open_groups.append(1)
        elif each == "|" and open_groups:
            open_groups[-1] += 1
        elif each == ")" and open_groups:
            ways *= open_groups.pop()
    return ways


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)
