"""Why messages are together, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from analytics.domain.templates.tokens import VARIABLE, Shape, fold, is_word, shape_of_pattern

_EXAMPLES = 5
_LONGEST_EXAMPLE = 60
# Marks that stand close to the word before or after them.
_CLOSE_BEFORE = frozenset(",;:.)]}!?%=")
_CLOSE_AFTER = frozenset("([{=#")


class Varying(NamedTuple):
    """A place at which the members differ: after which words, how many values, the commonest."""

    after: str
    values: int
    examples: tuple[str, ...]


class Why(NamedTuple):
    """What the members of a group share and in what they differ; `sentences` say it in words."""

    template: str
    members: int
    messages: int
    varying: tuple[Varying, ...]
    sentences: tuple[str, ...]


def why(members: Mapping[str, int]) -> Why:
    """Why patterns are one group: their templates, each with its number of messages.

    Raises `ValueError` without any member.
    """
    if not members:
        raise ValueError("a group has at least one member")
    shapes: Counter[Shape] = Counter()
    for template, count in members.items():
        shapes[shape_of_pattern(template)] += count
    common, varying, aligned = _compare(shapes)
    text = written(common)
    messages = sum(members.values())
    return Why(
        text,
        len(members),
        messages,
        varying,
        _sentences(text, len(members), messages, varying, aligned),
    )


def _compare(shapes: Counter[Shape]) -> tuple[Shape, tuple[Varying, ...], bool]:
    """The template that fits those of the commonest length, and where they differ in it."""
    lengths: Counter[int] = Counter()
    for found, count in shapes.items():
        lengths[len(found)] += count
    length = max(lengths, key=lambda size: (lengths[size], size))
    alike = {found: count for found, count in shapes.items() if len(found) == length}
    common: list[str] = []
    varying: list[Varying] = []
    for position in range(length):
        values: dict[str, int] = defaultdict(int)
        for found, count in alike.items():
            values[found[position]] += count
        if len(values) == 1:
            common.append(next(iter(values)))
            continue
        before = next((word for word in reversed(common) if is_word(word)), "")
        examples = sorted(values, key=lambda value: (-values[value], value))[:_EXAMPLES]
        shown = tuple(example[:_LONGEST_EXAMPLE] for example in examples)
        varying.append(Varying("" if before == VARIABLE else before, len(values), shown))
        common.append(VARIABLE)
    return fold(common), tuple(varying), len(lengths) == 1


def _sentences(
    template: str, members: int, messages: int, varying: tuple[Varying, ...], aligned: bool
) -> tuple[str, ...]:
    counted = f"{messages:,} {'message' if messages == 1 else 'messages'}"
    if members == 1:
        return (f"{counted} that read the same once what varies is taken out: “{template}”.",)
    said = [f"{counted} of {members:,} patterns share the template “{template}”."]
    for place in varying:
        where = f"After “{place.after}”" if place.after else "At one place"
        examples = ", ".join(f"“{example}”" for example in place.examples)
        more = place.values - len(place.examples)
        rest = f" and {more:,} more" if more > 0 else ""
        said.append(
            f"{where} they differ: {place.values:,} different words ({examples}{rest}), "
            "so that place is read as a variable."
        )
    if not aligned:
        said.append("Lists, and text in quotes or brackets, are of different lengths in them.")
    elif not varying:
        said.append("They differ only in marks, lists and optional parts that are not compared.")
    return tuple(said)


def written(shape: Shape) -> str:
    """A shape as readable text."""
    text = ""
    close = True
    for token in shape:
        text += token if close or token in _CLOSE_BEFORE else f" {token}"
        close = token in _CLOSE_AFTER
    return text
