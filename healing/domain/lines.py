"""Where in a YAML text something stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import yaml

Path = Sequence[str | int]
# Aliases make a short text a long one.
_MOST_NODES: Final = 20_000


class TooMuch(ValueError):
    """The text unfolds to more than can be a workflow."""


class Lines:
    """The lines of a text; raises `yaml.YAMLError` for what is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root: yaml.Node | None = yaml.compose(text, yaml.CSafeLoader)

    def of(self, path: Path) -> int:
        """The line of what stands at `path`, counted from 1: that of its key; of what it would
        stand in where it is missing."""
        node, line = self._root, 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return line

    def repeated(self) -> Iterator[tuple[str, int]]:
        """Keys that stand twice in one mapping, of which YAML would silently drop one, each with
        its second line. Raises `TooMuch`."""
        todo, seen = [self._root] if self._root is not None else [], 0
        while todo:
            node = todo.pop()
            seen += 1
            if seen > _MOST_NODES:
                raise TooMuch(f"A text of workflows has at most {_MOST_NODES} values.")
            if isinstance(node, yaml.SequenceNode):
                todo += node.value
            elif isinstance(node, yaml.MappingNode):
                known: set[str] = set()
                for key, value in node.value:
                    todo.append(value)
                    if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                        if key.value in known:
                            yield key.value, key.start_mark.line + 1
                        known.add(key.value)

    def block(self, path: Path) -> str | None:
        """The lines of the mapping at `path` as a text of its own, comments included; None where it
        does not stand on lines of its own."""
        node = self._root
        for part in path:
            found = _child(node, part)
            node = found[0] if found is not None else None
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            return None
        column = node.start_mark.column
        lines = self._text.splitlines()[node.start_mark.line : node.end_mark.line]
        if any(each[:column].strip() for each in lines):
            # It begins behind something else, such as the dash of a list.
            lines[:1] = [" " * column + lines[0][column:]]
        return "\n".join(each[column:].rstrip() for each in lines).rstrip() + "\n"


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item: yaml.Node = node.value[part]
        return item, item.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return value, key.start_mark.line + 1
    return None
