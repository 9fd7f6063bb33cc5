"""How many SQL queries each screen takes, pinned in `query_counts.json`."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analytics.models import ErrorEvent
from tests.pages import scenes
from tests.queries import pinned, queries_of

PINNED = pinned(__file__)


def test_each_screen_takes_its_pinned_number_of_queries(
    viewer: Client, busy_site: list[scenes.Call]
) -> None:
    call = next(call for call in busy_site if call.spans[2].events)
    error = ErrorEvent.objects.get(trace_id=call.trace_id, type="httpx.HTTPStatusError")
    places = {"error": error.id, "pattern": error.pattern_id, "trace": call.trace_id}
    assert {line: queries_of(viewer, line.format(**places)) for line in PINNED} == PINNED


@pytest.mark.usefixtures("busy_site")
def test_more_rows_take_no_more_queries(viewer: Client) -> None:
    for path in ("/", "/errors", "/patterns", "/chains", "/services", "/services/map"):
        counts = []
        for since in ("3m", "2h"):
            with CaptureQueriesContext(connection) as queries:
                viewer.get(f"{path}?since={since}")
            counts.append(len(queries))
        assert counts[0] == counts[1], path
