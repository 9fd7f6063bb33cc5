"""What runbooks name: links, words in code, commands; and what is put in for their placeholders."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from alerting.selectors.runbooks import FOLDER, INDEX

ID: Final = "5f0c9d2e-0000-4000-8000-000000000001"
# What is written in capitals for the reader to fill in.
PLACEHOLDERS: Final = {
    "SERVICE": "planner", "TARGET": "planner", "DEPENDENCY": "graph", "BREAKER": "graph",
    "DOMAIN": "graph-eu", "GROUP": "planners", "RULE": "breaker_open", "NAME": "breaker_open",
    "WORKFLOW": "restart_service", "VERSION": "1.2.3", "KEY_ID": "1",
    **dict.fromkeys(
        ("CHECK_ID", "RUN", "PATTERN", "INCIDENT", "QUARANTINE", "CHANNEL", "SLO"), ID
    ),
}  # fmt: skip
# The headers that calls are made with, by the scope of the key.
KEYS: Final = {"$AUTH": "operate", "Authorization: Bearer YOUR_INGEST_KEY": "ingest"}
_PLACEHOLDER: Final = re.compile(rf"\b({'|'.join(PLACEHOLDERS)})\b")
_MARKDOWN: Final = MarkdownIt("commonmark")


@dataclass(frozen=True)
class Call:
    """A call of the API by curl, as it stands: what is in capitals is still to be filled in."""

    method: str
    path: str
    body: str
    key: str

    @property
    def fields(self) -> set[str]:
        return set(json.loads(self.body)) if self.body else set()

    @property
    def asks(self) -> bool:
        """Whether there is something to fill in."""
        return filled(self.path + self.body) != self.path + self.body


def filled(text: str) -> str:
    return _PLACEHOLDER.sub(lambda found: PLACEHOLDERS[found[1]], text)


def names() -> list[str]:
    """All files of the folder but the index, without their ending."""
    return sorted(path.stem for path in FOLDER.iterdir() if path.stem != INDEX)


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.md"


def tokens(name: str) -> Iterator[Token]:
    for token in _MARKDOWN.parse(path_of(name).read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def headings(name: str, level: str) -> list[str]:
    found = list(tokens(name))
    return [
        found[n + 1].content
        for n, each in enumerate(found)
        if each.type == "heading_open" and each.tag == level
    ]


def links(name: str) -> set[str]:
    return {str(each.attrGet("href")) for each in tokens(name) if each.type == "link_open"}


def words_in_code(name: str) -> set[str]:
    """What stands between backticks within a line."""
    return {each.content for each in tokens(name) if each.type == "code_inline"}


def commands(name: str) -> list[list[str]]:
    """Each command of the blocks of code, as words."""
    blocks = [each.content for each in tokens(name) if each.type == "fence"]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def api_calls(name: str) -> list[Call]:
    return [_call(each) for each in commands(name) if any("$SITE" in word for word in each)]


def _call(command: list[str]) -> Call:
    left = iter(command)
    assert next(left) == "curl", command
    method, path, body, key = "GET", "", "", ""
    for word in left:
        if word == "-X":
            method = next(left)
        elif word == "-H":
            key = KEYS[next(left)]
        elif word == "-d":
            body = next(left)
        else:
            assert not path, command
            assert word.startswith("$SITE/"), command
            path = word.replace("$SITE", "/api/v1")
    return Call(method, path, body, key)
