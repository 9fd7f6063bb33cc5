"""Groups a stream of messages, buffer by buffer, in bounded memory.

Within a buffer nothing is decided before all of it was read, so the order of its messages does
not matter. What was decided stays: a group's id is final once given, and messages of later
buffers join the groups whose templates they fit, or form new ones.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import islice

from analytics.domain.templates.refining import DEFAULT, Limits, refine
from analytics.domain.templates.tokens import VARIABLE, Shape, mask, shape

# The group of messages that came after `MAX_TEMPLATES` templates were known and fit none.
OTHERS = 0
MAX_TEMPLATES = 20_000
# A buffer ends after so many messages, or so many shapes that fit no known template.
BUFFER_MESSAGES = 50_000
BUFFER_SHAPES = 5_000
_REMEMBERED = 100_000
# So many known templates, the most common, are compared with what is new.
_COMPARED = 5_000
# Of one length, new messages are tried against templates with so many sets of variables.
_MAX_SETS = 200


def tally(messages: Iterable[str]) -> Counter[Shape]:
    """How often each shape is among the messages. Tallies of parts add up to that of the whole."""
    masked = Counter(map(mask, messages))
    counts: Counter[Shape] = Counter()
    for text, count in masked.items():
        counts[shape(text)] += count
    return counts


class Miner:
    """Gives messages the ids of their groups: 1, 2, … in the order in which they first appear."""

    def __init__(
        self,
        *,
        limits: Limits = DEFAULT,
        buffer_messages: int = BUFFER_MESSAGES,
        buffer_shapes: int = BUFFER_SHAPES,
        max_templates: int = MAX_TEMPLATES,
    ) -> None:
        self._limits = limits
        self._buffer_messages = buffer_messages
        self._buffer_shapes = buffer_shapes
        self._known = _Templates(max_templates)
        self._shapes: dict[str, Shape] = {}
        self._groups = 0
        self._others = 0

    @property
    def groups(self) -> int:
        """How many groups were given ids so far, without `OTHERS`."""
        return self._groups

    @property
    def others(self) -> int:
        """How many messages went to `OTHERS` so far."""
        return self._others

    def group(self, messages: Iterable[str]) -> Iterator[int]:
        """The id of the group of each message, in order; behind by at most a buffer."""
        masked = map(mask, messages)
        while shapes := self._buffer(masked):
            yield from self._settle(shapes)

    def _buffer(self, masked: Iterator[str]) -> list[Shape]:
        """The shapes of the next messages."""
        read: list[Shape] = []
        new: set[Shape] = set()
        shapes = self._shapes
        for text in islice(masked, self._buffer_messages):
            found = shapes.get(text)
            if found is None:
                if len(shapes) >= _REMEMBERED:
                    shapes.clear()
                found = shapes[text] = shape(text)
                if self._known.find(found) is None:
                    new.add(found)
            read.append(found)
            if len(new) >= self._buffer_shapes:
                break
        return read

    def _settle(self, read: list[Shape]) -> Iterator[int]:
        counts = Counter(read)
        ids: dict[Shape, int] = {}
        new: dict[Shape, int] = {}
        for found, count in counts.items():
            known = self._known.find(found)
            if known is None:
                new[found] = count
            else:
                ids[found] = self._known.count(known, count)
        if self._known.full:
            ids |= dict.fromkeys(new, OTHERS)
            new.clear()
        made = refine({**new, **self._known.near(new)}, self._limits) if new else {}
        joined = self._known.joined(made)
        for found in new:
            template = made[found]
            group = self._known.id(template) or joined.get(template)
            if group is None:
                group = OTHERS if self._known.full else self._groups + 1
                self._groups += group != OTHERS
            ids[found] = group
            if group != OTHERS:
                self._known.add(template, group, new[found])
        self._others += sum(count for found, count in counts.items() if ids[found] == OTHERS)
        return map(ids.__getitem__, read)


class _Templates:
    """The templates known so far, each with its group and how many messages it stands for."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: dict[Shape, int] = {}
        self._counts: dict[Shape, int] = {}
        # Of each length: which positions are variables in some template.
        self._variables: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        self._of_length: dict[int, list[Shape]] = defaultdict(list)

    @property
    def full(self) -> bool:
        return len(self._groups) >= self._limit

    def id(self, template: Shape) -> int | None:
        return self._groups.get(template)

    def find(self, found: Shape) -> Shape | None:
        """The template that a shape fits: itself, or the one with the fewest variables."""
        if found in self._groups:
            return found
        for positions in self._variables[len(found)]:
            words = list(found)
            for position in positions:
                words[position] = VARIABLE
            template = tuple(words)
            if template in self._groups:
                return template
        return None

    def count(self, template: Shape, messages: int) -> int:
        self._counts[template] += messages
        return self._groups[template]

    def add(self, template: Shape, group: int, messages: int) -> None:
        if template not in self._groups and not self.full:
            self._groups[template] = group
            self._counts[template] = 0
            self._of_length[len(template)].append(template)
            positions = tuple(p for p, word in enumerate(template) if word == VARIABLE)
            sets = self._variables[len(template)]
            if positions not in sets and len(sets) < _MAX_SETS:
                insort(sets, positions, key=lambda p: (len(p), p))
        if template in self._groups:
            self._counts[template] += messages

    def near(self, shapes: Iterable[Shape]) -> dict[Shape, int]:
        """The templates that shapes could be compared with, and their counts."""
        lengths = {len(found) for found in shapes}
        known = {t: self._counts[t] for length in lengths for t in self._of_length[length]}
        if len(known) > _COMPARED:
            common = nsmallest(_COMPARED, known, key=lambda t: (-known[t], self._groups[t], t))
            known = {template: known[template] for template in common}
        return known

    def joined(self, made: Mapping[Shape, Shape]) -> dict[Shape, int]:
        """Of templates that known ones became part of: the group of the most common of those."""
        best: dict[Shape, tuple[int, int]] = {}
        for found, template in made.items():
            group = self._groups.get(found)
            if group is not None:
                evidence = (self._counts[found], -group)
                best[template] = max(best.get(template, evidence), evidence)
        return {template: -group for template, (_, group) in best.items()}
