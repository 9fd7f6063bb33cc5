"""Which words of many shapes are constants and which are values of a variable.

Shapes that differ in one position only are a family. Few words at that position tell messages
apart (GET and POST); many are values of a variable. Families that are decided to be one template
are put together, and their templates may be families in turn. Where two or more positions vary
freely at once no two shapes differ in one position only; a second look takes shapes that agree
in most words and asks for more values at each position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import combinations
from operator import xor
from typing import NamedTuple

from analytics.domain.templates.tokens import VARIABLE, Shape, fold, is_word, looks_given


class Limits(NamedTuple):
    """From how many distinct words on a position is a variable.

    `values` where the other words agree; a template of one word (`lonely`) and the first word
    (`leading`), which says what happened, need more, and so does a position that varies together
    with others (`together`), unless `crossing` words or more of each go with any of the other.
    Twice as many `values` are needed of words that are all `frequent`: those are rather
    constants. After a noun that introduces a name, `named` are enough. By their `looks`, files,
    hosts and the like are values however few they are, and so is what is seen in the place of a
    variable.
    """

    values: int = 5
    lonely: int = 15
    leading: int = 20
    together: int = 12
    crossing: int = 3
    named: int = 2
    frequent: int = 10
    looks: bool = True


# What follows these words is a name that somebody gave.
_NOUNS = frozenset(("user", "username", "account", "node", "host", "hostname", "domain", "named"))
# Of the words of two shapes that vary in more than one position, this share is the same.
_AGREE = 0.5
_PAIRS = {'"': '"', "'": "'", "(": ")", "[": "]", "{": "}"}
_MAX_ROUNDS = 12
_MAX_CLUSTERS = 20
# Of all pairs of words at two positions, this share must be there; positions looked at.
_FULL = 0.8
_MAX_CROSSED = 24
DEFAULT = Limits()


def refine(counts: Mapping[Shape, int], limits: Limits = DEFAULT) -> dict[Shape, Shape]:
    """The template of each shape, by how often each was seen. The order of shapes is no matter."""
    work = _Work(counts)
    for _ in range(_MAX_ROUNDS):
        if not any(look(work, limits) for look in _LOOKS):
            break
    return work.templates()


class _Work:
    """The templates so far: which shapes each stands for, and how many messages."""

    def __init__(self, counts: Mapping[Shape, int]) -> None:
        self.count = dict(counts)
        self.members: dict[Shape, list[Shape]] = {shape: [shape] for shape in counts}

    def put_together(self, group: Iterable[Shape], template: Shape) -> None:
        members: list[Shape] = []
        count = 0
        for shape in {*group, template} & self.count.keys():
            members += self.members.pop(shape)
            count += self.count.pop(shape)
        self.members[template] = members
        self.count[template] = count

    def templates(self) -> dict[Shape, Shape]:
        return {shape: made for made, shapes in self.members.items() for shape in shapes}


def _one_position(work: _Work, limits: Limits) -> bool:
    families = _families(work)
    decided = [
        (family, position)
        for (position, _), family in families.items()
        if len(family) > 1
        and _is_variable(family, position, limits, min(work.count[s] for s in family))
    ]
    # The largest first, so that a shape of two families joins the one with more evidence.
    decided.sort(
        key=lambda one: (-len(one[0]), -sum(work.count[s] for s in one[0]), one[1], min(one[0]))
    )
    gone: set[Shape] = set()
    for family, position in decided:
        left = [shape for shape in family if shape not in gone]
        if len(left) < 2:
            continue
        gone.update(left)
        first = left[0]
        template = fold([*first[:position], VARIABLE, *first[position + 1 :]])
        work.put_together(left, template)
        gone.add(template)
    return bool(decided)


def _is_variable(family: Sequence[Shape], position: int, limits: Limits, least: int) -> bool:
    words = [shape[position] for shape in family]
    others = [w for p, w in enumerate(family[0]) if p != position and is_word(w) and w != VARIABLE]
    if not others:
        return False
    if limits.looks and (VARIABLE in words or all(map(looks_given, words))):
        return True
    before = [word for word in family[0][:position] if is_word(word)]
    if not before:
        return len(words) >= limits.leading
    if family[0][position - 1] == before[-1] and before[-1].lower() in _NOUNS:
        return len(words) >= limits.named
    needed = limits.values if len(others) > 1 else limits.lonely
    return len(words) >= (2 * needed if least >= limits.frequent else needed)


def _crossings(work: _Work, limits: Limits) -> bool:
    """Two positions at which any word of the one goes with any of the other are independent of
    each other, as values are; words that say what happened go with some and not with others."""
    varying: dict[Shape, list[int]] = defaultdict(list)
    for (position, _), shapes in _families(work).items():
        if len(shapes) > 1:
            for shape in shapes:
                varying[shape].append(position)
    families: dict[tuple[int, int, int], list[Shape]] = defaultdict(list)
    for shape, positions in varying.items():
        first_word = next(p for p, word in enumerate(shape) if is_word(word))
        whole = _signature(shape)
        for p, q in combinations(sorted(positions)[:_MAX_CROSSED], 2):
            if p != first_word:
                rest = whole ^ hash((p, shape[p])) ^ hash((q, shape[q]))
                families[p, q, rest].append(shape)
    found: dict[Shape, list[Shape]] = {}
    for (p, q, _), family in families.items():
        first, second = {shape[p] for shape in family}, {shape[q] for shape in family}
        if min(len(first), len(second)) >= limits.crossing and len(family) >= _FULL * len(
            first
        ) * len(second):
            words = list(family[0])
            words[p] = words[q] = VARIABLE
            found[tuple(words)] = family
    gone: set[Shape] = set()
    for template, family in sorted(found.items(), key=lambda one: (-len(one[1]), one[0])):
        left = [shape for shape in family if shape not in gone]
        if len(left) > 1:
            gone.update(left)
            work.put_together(left, fold(list(template)))
    return bool(gone)


def _families(work: _Work) -> dict[tuple[int, int], list[Shape]]:
    """The shapes that differ in one position only, by that position."""
    families: dict[tuple[int, int], list[Shape]] = defaultdict(list)
    for shape in work.count:
        whole = _signature(shape)
        for position, word in enumerate(shape):
            if is_word(word):
                families[position, whole ^ hash((position, word))].append(shape)
    return families


def _signature(shape: Shape) -> int:
    return reduce(xor, map(hash, enumerate(shape)), 0)


def _frames(work: _Work) -> dict[Shape, list[Shape]]:
    """Shapes that differ in words only, by their marks and variables."""
    frames: dict[Shape, list[Shape]] = defaultdict(list)
    for shape in work.count:
        frames[tuple("" if is_word(w) and w != VARIABLE else w for w in shape)].append(shape)
    return frames


def _segments(work: _Work, limits: Limits) -> bool:
    """Quoted or bracketed text of any length that is another each time is one value."""
    outsides: dict[Shape, list[Shape]] = defaultdict(list)
    for shape in work.count:
        outside = _outside(shape)
        if outside != shape and sum(map(is_word, outside)) - outside.count(VARIABLE) > 1:
            outsides[outside].append(shape)
    found = [one for one in outsides.items() if len(one[1]) >= limits.together]
    for outside, shapes in found:
        work.put_together(shapes, fold(list(outside)))
    return bool(found)


def _outside(shape: Shape) -> Shape:
    """A shape with `<*>` for all that is quoted or in brackets."""
    outside: list[str] = []
    closing = ""
    for place, token in enumerate(shape):
        if closing:
            if token == closing:
                outside += [VARIABLE, token]
                closing = ""
        else:
            outside.append(token)
            ending = _PAIRS.get(token)
            if ending is not None and ending in shape[place + 2 :]:
                closing = ending
    return tuple(outside)


def _many_positions(work: _Work, limits: Limits) -> bool:
    alike: dict[tuple[Shape, str], list[Shape]] = defaultdict(list)
    for frame, shapes in _frames(work).items():
        for shape in shapes:
            alike[frame, next((w for w in shape if is_word(w)), "")].append(shape)
    found = False
    for (_, first), shapes in sorted(alike.items(), key=lambda one: min(one[1])):
        if len(shapes) < limits.together or first == VARIABLE:
            continue
        for cluster in _clusters(sorted(shapes)):
            if len(cluster) >= limits.together:
                found = _open_positions(work, cluster, limits) or found
    return found


def _clusters(shapes: Sequence[Shape]) -> list[list[Shape]]:
    """Shapes of one frame that agree with the first of their cluster in most words."""
    words = [p for p, word in enumerate(shapes[0]) if is_word(word) and word != VARIABLE]
    least = _AGREE * len(words)
    clusters: list[list[Shape]] = []
    for shape in shapes:
        for cluster in clusters:
            first = cluster[0]
            if sum([shape[p] == first[p] for p in words]) >= least:
                cluster.append(shape)
                break
        else:
            if len(clusters) < _MAX_CLUSTERS:
                clusters.append([shape])
    return clusters


def _open_positions(work: _Work, cluster: Sequence[Shape], limits: Limits) -> bool:
    columns = list(zip(*cluster, strict=True))
    varying = [
        position
        for position, column in enumerate(columns)
        if len(set(column)) >= limits.together
        # Words in capitals are states and codes: their number does not make them values.
        and not all(word.isupper() for word in column)
    ]
    if len(varying) < 2:
        return False
    groups: dict[Shape, list[Shape]] = defaultdict(list)
    for shape in cluster:
        words = list(shape)
        for position in varying:
            words[position] = VARIABLE
        groups[fold(words)].append(shape)
    for template, group in groups.items():
        work.put_together(group, template)
    return True


_LOOKS = (_one_position, _crossings, _segments, _many_positions)
