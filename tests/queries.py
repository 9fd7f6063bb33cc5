"""Counting the SQL queries of pages, pinned in the `query_counts.json` beside a test.

A page takes the same number whatever it shows; a change of a number is a decision, made by
changing the file. A line of it is a path, followed by ` partial` for what an open page asks for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.pages.html import PARTIAL


def pinned(test: str) -> dict[str, int]:
    """What is pinned for the test in the file `test`."""
    found: dict[str, int] = json.loads(Path(test).with_name("query_counts.json").read_bytes())
    return found


def queries_of(client: Client, line: str, forget: Callable[[], None] | None = None) -> int:
    """How many queries the page takes the second time, once what it keeps is gone by `forget`."""
    path, _, part = line.partition(" ")
    headers = PARTIAL if part == "partial" else {}
    client.get(path, headers=headers)
    if forget:
        forget()
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 200, path
    return len(queries)
