"""Errors, patterns and chains as HTML: filters, details, decisions and waterfalls."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from django.test import Client

from analytics.domain.telemetry import Decoded
from analytics.models import ErrorEvent, ErrorPattern
from analytics.services.chains import chains_build
from analytics.services.ingest import store_spans
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.pages import scenes
from tests.pages.html import PARTIAL, text_of


@pytest.mark.usefixtures("busy_site")
def test_errors_are_filtered_by_each_field(viewer: Client) -> None:
    error = ErrorEvent.objects.filter(type="ToolError").order_by("-occurred_at").first()
    assert error is not None
    for question in (
        {"service": "planner-mcp-server"},
        {"type": "ToolError"},
        {"q": "toolerror"},
        {"pattern": str(error.pattern_id)},
        {"trace_id": error.trace_id},
        {"service": "planner-mcp-server", "type": "ToolError", "since": "2h"},
    ):
        text = text_of(viewer, f"/errors?{urlencode(question)}")
        assert "ToolError</a>" in text
        assert "remove filter" in text
    assert "httpx.HTTPStatusError</a>" not in text_of(viewer, "/errors?type=ToolError")
    assert "Nothing fits these filters" in text_of(viewer, "/errors?q=unheard")


@pytest.mark.usefixtures("busy_site")
def test_a_trace_id_in_the_search_box_finds_its_errors(viewer: Client) -> None:
    error = ErrorEvent.objects.first()
    assert error is not None
    answer = viewer.get(f"/errors?q={error.trace_id.upper()}&since=2h")
    assert answer["Location"] == f"/errors?since=2h&trace_id={error.trace_id}"


@pytest.mark.usefixtures("busy_site")
def test_pages_of_errors_follow_each_other_without_loss(viewer: Client) -> None:
    path, seen = "/errors?since=2h", list[str]()
    while path:
        text = text_of(viewer, path)
        seen += re.findall(r'<tr id="e-([^"]+)"', text)
        link = re.search(r'rel="next" href="([^"]+)"', text)
        path = "/errors" + unescape(link[1]) if link else ""
    assert len(seen) == len(set(seen)) == ErrorEvent.objects.count() > 50


def test_an_error_shows_its_stack_attributes_logs_and_ways_on(
    viewer: Client, busy_site: list[scenes.Call]
) -> None:
    call = next(call for call in reversed(busy_site) if call.spans[2].events)
    at = datetime.fromtimestamp(call.spans[0].start_ns / 1e9, UTC)
    scenes.store_log(call, "Graph throttles us", at)
    error = ErrorEvent.objects.get(trace_id=call.trace_id, type="httpx.HTTPStatusError")
    text = text_of(viewer, f"/errors/{error.id}")
    for expected in (
        "429 Too Many Requests", "plan_summary", "/app/planner/graph.py:91", "2 library frames",
        f"/chains/{call.trace_id}", f"/patterns/{error.pattern_id}", "Graph throttles us",
        "Traceback (most recent call last)", "data-copy",
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.usefixtures("busy_site")
def test_a_pattern_says_why_its_errors_are_together(viewer: Client) -> None:
    pattern = ErrorPattern.objects.get(type="httpx.HTTPStatusError")
    text = text_of(viewer, f"/patterns/{pattern.id}")
    assert pattern.rule in text
    assert f"/charts/errors.json?pattern={pattern.id}" in text
    counts = text_of(viewer, f"/patterns/{pattern.id}?part=counts", headers=PARTIAL)
    assert counts.lstrip().startswith('<div id="error-counts-rows"')


@pytest.mark.usefixtures("busy_site")
def test_operators_decide_about_a_pattern_and_everybody_reads_why(
    as_role: Callable[[Role], Client],
) -> None:
    pattern = ErrorPattern.objects.first()
    assert pattern is not None
    path = f"/patterns/{pattern.id}"
    viewer, operator = as_role(Role.VIEWER), as_role(Role.OPERATOR)
    assert f"{path}/resolve" not in text_of(viewer, path)
    assert viewer.post(f"{path}/resolve").status_code == 403
    assert f'href="{path}/resolve" data-dialog' in text_of(operator, path)
    operator.post(f"{path}/resolve", {"reason": "fixed\0 in 1.5"})
    pattern.refresh_from_db()
    assert pattern.state == "resolved"
    assert AuditEntry.objects.get(action="pattern.resolve").reason == "fixed in 1.5"
    text = text_of(viewer, path)
    assert "Decided by a-operator: fixed in 1.5" in text
    assert "<b>Resolved</b> by a-operator" in text
    assert f'href="{path}/reopen" data-dialog' in text_of(operator, path)
    assert operator.post(f"{path}/forget").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(f"{path}/ignore").status_code == 403


def test_a_chain_names_its_root_cause_and_draws_the_waterfall(
    viewer: Client, busy_site: list[scenes.Call]
) -> None:
    call = next(call for call in busy_site if call.spans[2].events)
    text = text_of(viewer, f"/chains/{call.trace_id}")
    assert "Root cause: httpx.HTTPStatusError in planner-mcp-server" in text
    assert text.count('<tr class="root-cause">') == 1
    assert len(re.findall(r'<svg class="lane"', text)) == 3
    order = re.findall(r'class="num">\d+</td><th[^>]*><a[^>]*>([^<]+)', text)
    assert order[:2] == ["httpx.HTTPStatusError", "ToolError"]


@pytest.mark.usefixtures("empty_site")
def test_a_span_that_has_not_arrived_is_a_gap(viewer: Client) -> None:
    now = datetime.now(UTC)
    call = scenes.tool_call(now, chance=random.Random(3), failed=True)
    store_spans(Decoded([call.spans[0], call.spans[2]], []), received_at=now)
    chains_build(now=now + timedelta(minutes=1))
    text = text_of(viewer, f"/chains/{call.trace_id}")
    assert '<tr class="gap">' in text
    assert "Span that has not arrived" in text
    assert "1 missing" in text_of(viewer, "/chains")


@pytest.mark.usefixtures("empty_site")
def test_a_long_chain_comes_in_pages(viewer: Client) -> None:
    now = datetime.now(UTC)
    call = scenes.tool_call(now, chance=random.Random(4), failed=True)
    model = call.spans[2]
    many = [
        model._replace(span_id=f"{n:016x}", events=[], status_code=0, start_ns=model.start_ns + n)
        for n in range(1, 700)
    ]
    store_spans(Decoded([*call.spans, *many], []), received_at=now)
    path = f"/chains/{call.trace_id}"
    text = text_of(viewer, path)
    assert "Rows 1 to 500 of 702" in text
    assert len(re.findall(r'<svg class="lane"', text)) == 500
    for row, expected in (
        ("500", "501 to 702 of 702"),
        ("99999", "501 to 702"),
        ("-1", "1 to 500"),
    ):
        assert f"Rows {expected}" in text_of(viewer, f"{path}?row={row}")


def test_chained_exceptions_say_how_they_led_to_one_another(
    viewer: Client, busy_site: list[scenes.Call]
) -> None:
    call = busy_site[-1]
    scenes.store_failure(
        call,
        "Traceback (most recent call last):\n"
        '  File "/app/a.py", line 1, in read\nKeyError: 1\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/app/b.py", line 2, in load\nOSError: 2\n\n'
        "The above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "/app/c.py", line 3, in serve\nPlanError: 3\n',
        datetime.fromtimestamp(call.spans[0].start_ns / 1e9, UTC),
    )
    error = ErrorEvent.objects.get(type="PlanError")
    text = text_of(viewer, f"/errors/{error.id}")
    order = [
        "PlanError", "most recent call last", "/app/c.py", "OSError", "caused the one above",
        "/app/b.py", "KeyError", "was being handled when the one above was raised", "/app/a.py",
    ]  # fmt: skip
    at = text.index('id="exception-1"')
    for each in order:
        at = text.index(each, at)
