"""Why errors are together, for people: what of a message stays the same, and what varies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from analytics.domain.masking import varying

WORDS: Final = {
    "num": "a number",
    "hex": "a hexadecimal id",
    "id": "an id",
    "uuid": "a UUID",
    "token": "a key or other random text",
    "time": "a time",
    "ip": "an address",
    "mac": "a hardware address",
    "email": "an e-mail address",
    "path": "a path",
    "str": "a quoted text",
    "*": "anything",
}
_TOKEN = re.compile(f"<({'|'.join(re.escape(word) for word in WORDS)})>")
_EXAMPLES: Final = 3
_LONGEST: Final = 60


class Part(NamedTuple):
    """A stretch of a template: `kind` "" is text that stays the same, others are of `WORDS`."""

    text: str
    kind: str = ""

    @property
    def words(self) -> str:
        """What stands here in each message."""
        return WORDS.get(self.kind, "")


class Variable(NamedTuple):
    """A place of a template, what stands there, and some of the `values` seen in so many messages."""

    what: str
    values: int
    examples: tuple[str, ...]


def parts(template: str) -> list[Part]:
    """A template, cut at its variables."""
    found: list[Part] = []
    at = 0
    for match in _TOKEN.finditer(template):
        if match.start() > at:
            found.append(Part(template[at : match.start()]))
        found.append(Part(match.group(), match[1]))
        at = match.end()
    if at < len(template):
        found.append(Part(template[at:]))
    return found


def variables(template: str, messages: Iterable[str]) -> list[Variable]:
    """What stands at each variable of a template, in the order of the template, with examples from
    those messages whose own variables fit it."""
    kinds = _TOKEN.findall(template)
    seen: list[dict[str, None]] = [{} for _ in kinds]
    for message in messages:
        pairs = [
            (value, kind) for value, place in varying(message) for kind in _TOKEN.findall(place)
        ]
        if [kind for _, kind in pairs[: len(kinds)]] == kinds:
            for values, (value, _) in zip(seen, pairs, strict=False):
                values[value[:_LONGEST]] = None
    return [
        Variable(WORDS[kind], len(values), tuple(values)[:_EXAMPLES])
        for kind, values in zip(kinds, seen, strict=True)
    ]
