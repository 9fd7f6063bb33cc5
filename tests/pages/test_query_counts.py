"""How many SQL queries each screen takes, pinned in `query_counts.json`.

A screen must take the same number whatever it shows; a change of the number is a decision, made
by changing the file.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analytics.models import ErrorEvent
from tests.pages import scenes

PINNED: dict[str, int] = json.loads(
    Path(__file__).with_name("query_counts.json").read_text(encoding="utf-8")
)


def test_each_screen_takes_its_pinned_number_of_queries(
    viewer: Client, busy_site: list[scenes.Call]
) -> None:
    call = next(call for call in busy_site if call.spans[2].events)
    error = ErrorEvent.objects.get(trace_id=call.trace_id, type="httpx.HTTPStatusError")
    places = {"error": error.id, "pattern": error.pattern_id, "trace": call.trace_id}
    counted = {}
    for line in PINNED:
        path, _, part = line.partition(" ")
        headers = {"HX-Request": "true"} if part == "partial" else {}
        path = path.format(**places)
        viewer.get(path, headers=headers)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = viewer.get(path, headers=headers)
        assert answer.status_code == 200, path
        counted[line] = len(queries)
    assert counted == PINNED


@pytest.mark.usefixtures("busy_site")
def test_more_rows_take_no_more_queries(viewer: Client) -> None:
    for path in ("/", "/errors", "/patterns", "/chains", "/services", "/services/map"):
        counts = []
        for since in ("3m", "2h"):
            with CaptureQueriesContext(connection) as queries:
                viewer.get(f"{path}?since={since}")
            counts.append(len(queries))
        assert counts[0] == counts[1], path
