"""Why the errors of a pattern are together: what counted, what varies, and who put what into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.choices import MergeOrigin
from analytics.domain.fingerprints import (
    FRAMES_RULE,
    MOST_PATTERNS,
    OTHERS_RULE,
    counted,
)
from analytics.domain.stacktraces import Frame, ParsedStack
from analytics.domain.stacktraces.base import CAUSE, CONTEXT, MEMBER, ParsedException
from analytics.domain.templates.explaining import why as why_alike
from analytics.domain.together import Variable, variables
from analytics.models import ErrorEvent, ErrorPattern, PatternMerge, StackTrace
from analytics.models.partitions import PATTERNS_BEYOND, error_retention
from analytics.selectors.errors import error_get, stack_get
from analytics.selectors.pattern_families import members, merges_standing

MOST_MEMBERS = 50
_RELATIONS = {
    CAUSE: "caused the one above",
    CONTEXT: "was being handled when the one above was raised",
    MEMBER: "one of the group above",
}


@dataclass(frozen=True)
class CountedException:
    """An exception of the newest error's stack, with the frames that decided; `note` says how it
    led to the one above it."""

    type: str
    note: str
    frames: list[str]


@dataclass(frozen=True)
class Member:
    """A pattern that is shown as part of another one, and the merge that made it so."""

    pattern: ErrorPattern
    merge: PatternMerge | None

    @property
    def by(self) -> str:
        """Who put it there."""
        if self.merge is None:
            return "unknown"
        machine = self.merge.origin == MergeOrigin.MACHINE
        return f"the site ({self.merge.actor})" if machine else self.merge.actor


@dataclass(frozen=True)
class PatternWhy:
    """Why errors are together: by `rule`, in `sentences` for people, with what these rest on."""

    rule: str
    version: int
    template: str
    sentences: list[str]
    exceptions: list[CountedException]
    variables: list[Variable]
    members: list[Member]
    members_cut: bool


def pattern_why(pattern: ErrorPattern, messages: Iterable[str] = ()) -> PatternWhy:
    """Why a pattern is one. Examples of what varies come from the given messages."""
    found = list(members(pattern.id)[: MOST_MEMBERS + 1])
    merges = merges_standing([each.id for each in found])
    family = [Member(each, merges.get(each.id)) for each in found[:MOST_MEMBERS]]
    exceptions = _exceptions(pattern) if pattern.rule == FRAMES_RULE else []
    plain = exceptions or pattern.rule == OTHERS_RULE
    varying = [] if plain else variables(pattern.template, messages)
    return PatternWhy(
        pattern.rule, pattern.version, pattern.template,
        _sentences(pattern, exceptions, varying, family),
        exceptions, varying, family, len(found) > MOST_MEMBERS,
    )  # fmt: skip


def _exceptions(pattern: ErrorPattern) -> list[CountedException]:
    try:
        error = error_get(pattern.last_error_id)
    except ErrorEvent.DoesNotExist:
        return []
    stack = stack_get(error.stack_hash)
    return [
        CountedException(each.type, _RELATIONS.get(each.relation, ""), each.frames)
        for each in (counted(_parsed(stack)) if stack else [])
    ]


def _parsed(stack: StackTrace) -> ParsedStack:
    """A stored stack as it was parsed."""
    return ParsedStack([_exception(document) for document in stack.frames], stack.language)


def _exception(document: dict[str, Any]) -> ParsedException:
    frames = [
        Frame(*(frame.get(name, default) for name, default in _FRAME.items()))
        for frame in document.get("frames", [])
    ]
    return ParsedException(
        document.get("type", ""), document.get("message", ""), frames, document.get("relation", "")
    )


_FRAME: dict[str, Any] = {
    "function": "", "module": "", "file": "", "line": 0, "in_app": False, "context": "",
}  # fmt: skip


def _sentences(
    pattern: ErrorPattern,
    exceptions: Sequence[CountedException],
    varying: Sequence[Variable],
    family: Sequence[Member],
) -> list[str]:
    if pattern.rule == OTHERS_RULE:
        return _why_folded(pattern)
    said = [f"They are of one service, {pattern.service}, and have the {pattern.rule}."]
    if exceptions:
        frames = sum(len(each.frames) for each in exceptions)
        said.append(
            f"{_number(frames, 'function')} of its own code in {_number(len(exceptions), 'exception')} "
            "decided; line numbers, library frames and the message did not count."
        )
    elif pattern.rule == FRAMES_RULE:
        said.append("The stack that decided is past its retention.")
    elif varying:
        said.append(
            f"The message is the same but for {_number(len(varying), 'place')} where it varies."
        )
    if family:
        machine = sum(
            1 for each in family if each.merge and each.merge.origin == MergeOrigin.MACHINE
        )
        said.append(
            f"{_number(len(family), 'pattern')} {'was' if len(family) == 1 else 'were'} put into it, "
            f"{machine} by the second pass over messages and {len(family) - machine} by people."
        )
        alike = {each.pattern.template: each.pattern.count for each in family}
        if machine:
            said += why_alike({**alike, pattern.template: pattern.count}).sentences
    return said


def _why_folded(pattern: ErrorPattern) -> list[str]:
    days = (error_retention() + PATTERNS_BEYOND).days
    return [
        f"They are not alike: {pattern.service} has {MOST_PATTERNS:,} patterns, the most that are kept "
        f"apart, and {_number(pattern.count, 'error')} of further ones had no room.",
        "Each of them is stored, and found among the errors; the patterns that were known before are "
        "counted as ever.",
        "What to do: look in the newest errors for what varies in the type or the message, such as an "
        "id, a name or a whole sentence, and let the service send it as an attribute instead.",
        "Room comes again within the hour as patterns go about which nobody decided: those that had "
        f"few errors and none for a day, and any {days} days after it was last seen.",
    ]


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
