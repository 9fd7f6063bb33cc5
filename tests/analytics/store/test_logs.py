"""Log records: counted once per template and minute, kept with their trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Sum

from analytics.domain.telemetry import Rejection
from analytics.models import ErrorEvent, LogRecord, LogRollup, LogTemplate
from analytics.selectors.logs import log_series, logs_of_trace, template_counts
from analytics.services.ingest_logs import store_logs
from resilience_site.config import config
from resilience_site.core.timerange import TimeRange
from tests.analytics.store.conftest import forget_all
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    exception_log,
    log,
    new_span,
    new_trace,
    resource,
    together,
)

pytestmark = pytest.mark.usefixtures("store")

AROUND = TimeRange(NOW - timedelta(hours=1), NOW + timedelta(minutes=5))


def received() -> datetime:
    return datetime.now(UTC)


def store(*records: Any) -> tuple[int, int]:
    result = store_logs(batch(*records), received_at=received())
    assert result.rejections == []
    return result.stored, result.duplicates


def counted() -> int:
    return LogRollup.objects.aggregate(n=Sum("records"))["n"] or 0


def test_records_that_differ_in_their_values_count_for_one_template() -> None:
    assert store(*(log(f"plan {n} loaded in {n * 3} ms") for n in range(1, 6))) == (5, 0)
    template = LogTemplate.objects.get()
    assert template.service == "planner"
    assert "loaded in" in template.template
    assert "3 ms" not in template.template
    rollup = LogRollup.objects.get()
    assert (rollup.template_id, rollup.records, rollup.severity) == (template.id, 5, 3)
    assert rollup.minute == NOW.replace(second=0)


def test_severities_minutes_and_services_count_apart() -> None:
    store(
        log("saved"),
        log("saved", severity=13),
        log("saved", at=NOW - timedelta(minutes=1)),
        log("saved", source=resource("other")),
        log("saved", severity=0),
    )
    assert LogRollup.objects.count() == 5
    totals = {(c.service, c.template): c.records for c in template_counts(AROUND)}
    assert totals == {("planner", "saved"): 4, ("other", "saved"): 1}
    (warned,) = template_counts(AROUND, least_severity=4)
    assert (warned.records, warned.severity) == (1, 4)
    points = log_series(AROUND, timedelta(minutes=1), service="planner")
    assert [point.records for point in points] == [{3: 1}, {0: 1, 3: 1, 4: 1}]


def test_a_record_of_a_trace_is_kept_and_joins_to_it() -> None:
    trace, span = new_trace(), new_span()
    store(log("loading", trace=trace, span=span, plan="p7"), log("no trace"))
    (kept,) = logs_of_trace(trace, NOW, NOW)
    assert (kept.body, kept.span_id, kept.attributes) == ("loading", span, {"plan": "p7"})
    assert (kept.time, kept.service, kept.severity) == (NOW, "planner", 9)
    assert LogTemplate.objects.get(id=kept.template_id).template == "loading"
    assert LogRecord.objects.count() == 1
    assert counted() == 2


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("x" * 5000, "x" * 1024),
        ("é" * 5000, "é" * 512),
        ({"event": "saved", "n": 1}, '{"event":"saved","n":1}'),
        (None, ""),
        (17, "17"),
        ("tab\tline\nback\\slash \0nul", "tab\tline\nback\\slash nul"),
    ],
)
def test_any_body_is_kept_as_bounded_text(body: Any, kept: str) -> None:
    store(log(body, trace=new_trace(), odd="a\0b", nested=[{"deep": None}]))
    record = LogRecord.objects.get()
    assert record.body == kept
    assert record.attributes == {"odd": "ab", "nested": [{"deep": None}]}


def test_a_record_without_words_is_counted_by_its_event_name() -> None:
    store(log(None, event_name="resilience.breaker.transition"), log("", event_name=""))
    assert {t.template for t in LogTemplate.objects.all()} == {"resilience.breaker.transition", ""}


@pytest.mark.parametrize("severity", [-1, 25, 2**31 - 1, -(2**31)])
def test_a_severity_that_nobody_knows_is_none(severity: int) -> None:
    store(
        log("odd", trace=new_trace(), severity=severity),
        exception_log()._replace(severity=severity),
    )
    assert LogRecord.objects.get().severity == 0
    assert set(LogRollup.objects.values_list("severity", flat=True)) == {0}
    assert ErrorEvent.objects.get().severity == 17


def test_a_batch_sent_again_is_stored_once() -> None:
    trace = new_trace()
    records = [log(f"step {n}", trace=trace if n % 2 else "") for n in range(10)]
    assert store(*records) == (10, 0)
    assert store(*records) == (0, 10)
    forget_all()
    assert store(*records) == (0, 10)
    assert counted() == 10
    assert LogRecord.objects.count() == 5


def test_traced_records_are_told_apart_one_by_one() -> None:
    trace = new_trace()
    first, second, third = (log(f"step {n}", trace=trace) for n in range(3))
    assert store(first, second) == (2, 0)
    assert store(second, third) == (1, 1)
    assert counted() == 3


def test_equal_records_of_one_batch_are_all_counted_and_still_told_when_sent_again() -> None:
    trace = new_trace()
    twins = [log("tick", trace=trace), log("tick", trace=trace), log("tock"), log("tock")]
    assert store(*twins) == (4, 0)
    assert store(*twins) == (0, 4)
    assert counted() == 4


def test_a_record_without_any_time_is_taken_as_of_now_and_still_stored_once() -> None:
    timeless = exception_log(new_trace(), new_span())._replace(time_ns=0, observed_ns=0)
    assert store(timeless) == (1, 0)
    assert store(timeless) == (0, 1)
    error = ErrorEvent.objects.get()
    assert abs((error.occurred_at - received()).total_seconds()) < 30


def test_the_same_batch_at_the_same_moment_is_stored_once() -> None:
    for round_ in range(5):
        trace = new_trace()
        records = [log(f"{round_} {n}", trace=trace if n % 2 else "") for n in range(20)]
        before = counted()
        results = together(*[lambda records=records: store(*records)] * 3)
        assert sorted(results) == [(0, 20), (0, 20), (20, 0)]
        assert counted() == before + 20


def test_templates_beyond_the_limit_are_counted_together() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    with config.override(resilience_max_log_templates=3):
        for records in ([log(word) for word in words], [log("zeta"), log("alpha")]):
            store_logs(batch(*records), received_at=received())
    templates = dict(LogTemplate.objects.values_list("template", "id"))
    assert len(templates) == 4
    other = LogRollup.objects.filter(template_id=templates["(other)"])
    assert other.aggregate(n=Sum("records"))["n"] == 3
    assert counted() == 7


def test_records_past_retention_or_far_ahead_are_refused_one_by_one() -> None:
    result = store_logs(
        batch(
            log("old", at=NOW - timedelta(days=31)),
            log("good"),
            log("ahead", at=received() + timedelta(minutes=11)),
        ),
        received_at=received(),
    )
    assert (result.stored, result.duplicates) == (1, 0)
    assert [r.count for r in result.rejections] == [1, 1]
    assert "ERROR_RETENTION_DAYS" in result.rejections[0].reason
    assert isinstance(result.rejections[0], Rejection)
    assert counted() == 1
