"""The OpenTelemetry SDK of Python sends to a running site, over a real socket."""

from __future__ import annotations

import gzip as gzips
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import pytest
from opentelemetry.trace import Span as SdkSpan

from analytics.choices import ErrorSource
from analytics.models import (
    ErrorEvent,
    ErrorPattern,
    LogRecord,
    LogRollup,
    LogTemplate,
    MetricRollup,
    MetricSeries,
    Span,
    StackTrace,
)
from health.models import Service
from tests.analytics.clients.relay import Relay
from tests.analytics.clients.sdk import EXPONENTIAL, Sdk, running
from tests.livesite import LiveSite


class PaymentError(Exception):
    """An error of the service's own, so that its type has a module."""


def charge(order: int) -> NoReturn:
    raise ConnectionRefusedError(111, "Connection refused")


def pay(order: int) -> NoReturn:
    try:
        charge(order)
    except OSError as error:
        raise PaymentError(f"order {order} is not paid") from error


@pytest.fixture
def sdk(site: LiveSite) -> Iterator[Sdk]:
    with running(site.url, site.ingest_key) as ready:
        yield ready


def context_of(span: SdkSpan) -> tuple[str, str]:
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def stack_of(error: ErrorEvent) -> StackTrace:
    assert error.stack_hash is not None
    return StackTrace.objects.get(hash=error.stack_hash)


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_spans_become_rows_and_their_exceptions_errors(
    site: LiveSite, relay: Relay, gzip: bool
) -> None:
    with running(relay.url, site.ingest_key, gzip=gzip) as sdk:
        with suppress(PaymentError), sdk.tracer.start_as_current_span("POST /pay") as root:
            with sdk.tracer.start_as_current_span("read order", attributes={"order.id": 7}):
                pass
            pay(7)
        sdk.flush_spans()

        (request,) = relay.of("/v1/traces")
        assert (sdk.results, request.status) == (["SUCCESS"], 200)
        assert (request.headers.get("content-encoding") == "gzip") is gzip
        assert b"POST /pay" in (gzips.decompress(request.body) if gzip else request.body)

    trace, span_id = context_of(root)
    top, child = Span.objects.filter(trace_id=trace).order_by("started_at")
    assert (top.operation, top.span_id, top.parent_span_id) == ("POST /pay", span_id, "")
    assert (child.operation, child.parent_span_id) == ("read order", span_id)
    assert (top.status, top.service, top.environment) == (2, sdk.service, "test")
    assert child.attributes == {"order.id": 7}
    error = ErrorEvent.objects.get()
    assert (error.type.rpartition(".")[2], error.message) == ("PaymentError", "order 7 is not paid")
    assert (error.trace_id, error.span_id, error.operation) == (trace, span_id, "POST /pay")
    assert (error.source, error.instance) == (ErrorSource.SPAN_EVENT, f"{sdk.service}-1")
    seen = Service.objects.get(name=sdk.service)
    assert (seen.version, seen.language) == ("4.2.0", "python")


def test_a_chained_exception_is_kept_whole_and_parsed(sdk: Sdk) -> None:
    with sdk.tracer.start_as_current_span("POST /pay") as span:
        try:
            pay(7)
        except PaymentError as error:
            span.record_exception(error)
    sdk.flush_spans()

    stack = stack_of(ErrorEvent.objects.get())
    assert stack.language == "python"
    reported, cause = stack.frames
    assert reported["message"] == "order 7 is not paid"
    assert [frame["function"] for frame in reported["frames"]][-1] == "pay"
    assert (cause["type"], cause["message"]) == (
        "ConnectionRefusedError",
        "[Errno 111] Connection refused",
    )
    assert [frame["function"] for frame in cause["frames"]] == ["pay", "charge"]
    assert "charge(order)" in cause["frames"][0]["context"]
    assert "The above exception was the direct cause" in stack.raw


def test_log_records_are_counted_per_template_and_joined_to_their_trace(sdk: Sdk) -> None:
    sdk.logger.info("the shop opens")
    with sdk.tracer.start_as_current_span("POST /pay") as span:
        for order in range(3):
            sdk.logger.warning("order %s waits", order)
    sdk.flush_logs()

    trace, span_id = context_of(span)
    assert sdk.results == ["SUCCESS"]
    counts = {
        LogTemplate.objects.get(id=each.template_id).template: (each.severity, each.records)
        for each in LogRollup.objects.filter(service=sdk.service)
    }
    assert len(counts) == 2
    assert counts["the shop opens"] == (3, 1)
    assert sorted(counts.values()) == [(3, 1), (4, 3)]
    kept = LogRecord.objects.filter(trace_id=trace).order_by("time")
    assert [(each.body, each.span_id) for each in kept] == [
        (f"order {order} waits", span_id) for order in range(3)
    ]
    assert LogRecord.objects.count() == 3
    assert not ErrorEvent.objects.exists()


def test_an_exception_that_only_a_log_record_tells_of_is_an_error(sdk: Sdk) -> None:
    try:
        pay(8)
    except PaymentError:
        sdk.logger.exception("the till is closed")
    sdk.flush_logs()

    error = ErrorEvent.objects.get()
    assert (error.type.rpartition(".")[2], error.message) == ("PaymentError", "order 8 is not paid")
    assert error.type.startswith(__name__)
    assert (error.source, error.severity, error.trace_id) == (ErrorSource.LOG, 17, "")
    assert error.attributes["log.body"] == "the till is closed"
    assert len(stack_of(error).frames) == 2


def logged_and_thrown(sdk: Sdk) -> SdkSpan:
    """The log tells of it near its origin, the span at its end, with more of the stack."""

    def serve() -> None:
        try:
            pay(9)
        except PaymentError:
            sdk.logger.exception("order %s failed", 9)
            raise

    with pytest.raises(PaymentError), sdk.tracer.start_as_current_span("POST /pay") as span:
        serve()
    return span


@pytest.mark.parametrize("first", ["spans", "logs"])
def test_one_exception_told_by_span_and_log_is_one_error(sdk: Sdk, first: str) -> None:
    span = logged_and_thrown(sdk)
    flushes = [sdk.flush_spans, sdk.flush_logs]
    for flush in flushes if first == "spans" else reversed(flushes):
        flush()

    assert sdk.results == ["SUCCESS", "SUCCESS"]
    error = ErrorEvent.objects.get()
    assert (error.trace_id, error.span_id) == context_of(span)
    assert error.type == f"{__name__}.PaymentError"
    assert ErrorPattern.objects.get(count__gt=0).count == 1
    # The record itself is still there, beside the error.
    assert LogRecord.objects.get().body == "order 9 failed"


@pytest.mark.parametrize("first", ["spans", "logs"])
@pytest.mark.parametrize(
    "failure",
    [KeyError("plan"), FileNotFoundError(2, "No such file"), ValueError(), ValueError("a", "b")],
    ids=lambda failure: repr(failure),
)
def test_arguments_that_a_log_handler_words_otherwise_make_no_second_error(
    sdk: Sdk, first: str, failure: Exception
) -> None:
    with sdk.tracer.start_as_current_span("work") as span:
        try:
            raise failure
        except Exception as error:
            span.record_exception(error)
            sdk.logger.exception("it failed")
    flushes = [sdk.flush_spans, sdk.flush_logs]
    for flush in flushes if first == "spans" else reversed(flushes):
        flush()

    assert ErrorEvent.objects.get().message == str(failure)


@pytest.mark.parametrize("first", ["spans", "logs"])
def test_a_retry_that_fails_alike_again_is_another_error(sdk: Sdk, first: str) -> None:
    with sdk.tracer.start_as_current_span("POST /pay") as span:
        for _ in range(2):
            try:
                pay(7)
            except PaymentError as error:
                span.record_exception(error)
                sdk.logger.exception("order 7 failed")
    flushes = [sdk.flush_spans, sdk.flush_logs]
    for flush in flushes if first == "spans" else reversed(flushes):
        flush()

    assert ErrorEvent.objects.count() == 2
    assert sum(ErrorPattern.objects.values_list("count", flat=True)) == 2


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_every_kind_of_metric_is_rolled_up(site: LiveSite, gzip: bool) -> None:
    with running(site.url, site.ingest_key, gzip=gzip) as sdk:
        orders = sdk.meter.create_counter("orders", "{order}")
        waiting = sdk.meter.create_up_down_counter("waiting")
        temperature = sdk.meter.create_gauge("temperature", "Cel")
        duration = sdk.meter.create_histogram("duration", "s")
        size = sdk.meter.create_histogram(EXPONENTIAL, "By")
        for number in (1, 2, 3):
            orders.add(number, {"till": "north"})
            waiting.add(5 - 2 * number)
            temperature.set(20.5 + number)
            duration.record(0.1 * number)
            size.record(1000 * number)
        sdk.flush_metrics()
        orders.add(10, {"till": "north"})
        sdk.flush_metrics()
        assert sdk.results == ["SUCCESS", "SUCCESS"]

    series = {each.name: each for each in MetricSeries.objects.filter(service=sdk.service)}
    assert {name: (each.kind, each.unit) for name, each in series.items()} == {
        "orders": ("sum", "{order}"),
        "waiting": ("sum", ""),
        "temperature": ("gauge", "Cel"),
        "duration": ("histogram", "s"),
        EXPONENTIAL: ("exponential_histogram", "By"),
    }
    assert (series["orders"].monotonic, series["waiting"].monotonic) == (True, False)
    assert series["orders"].attributes == {"till": "north"}

    def rolled(name: str) -> list[MetricRollup]:
        # The two exports may fall on either side of a minute.
        return list(MetricRollup.objects.filter(series_id=series[name].id).order_by("minute"))

    # Two flushes, and what the provider sends when it shuts down.
    assert sum(each.points for each in rolled("orders")) == 3
    assert sum(each.increase or 0 for each in rolled("orders")) == 16
    assert rolled("waiting")[-1].last == 3
    assert rolled("temperature")[-1].last == 23.5
    assert sum(each.count for each in rolled("duration")) == 3
    assert sum(each.total or 0 for each in rolled("duration")) == pytest.approx(0.6)
    assert sum(each.count for each in rolled(EXPONENTIAL)) == 3
    assert sum(each.total or 0 for each in rolled(EXPONENTIAL)) == 6000
    assert rolled(EXPONENTIAL)[0].distribution


def work(sdk: Sdk) -> None:
    with suppress(PaymentError), sdk.tracer.start_as_current_span("POST /pay"):
        sdk.logger.info("order 7 is new")
        pay(7)
    sdk.meter.create_counter("orders").add(4)


def rows() -> dict[str, int]:
    return {
        "spans": Span.objects.count(),
        "errors": ErrorEvent.objects.count(),
        "logs": sum(LogRollup.objects.values_list("records", flat=True)),
        "kept logs": LogRecord.objects.count(),
        "orders": int(sum(each.increase or 0 for each in MetricRollup.objects.all())),
    }


ONCE = {"spans": 1, "errors": 1, "logs": 1, "kept logs": 1, "orders": 4}


def test_what_was_refused_with_503_the_sdk_sends_again_by_itself(
    site: LiveSite, relay: Relay
) -> None:
    with running(relay.url, site.ingest_key, gzip=True) as sdk:
        work(sdk)
        for flush in (sdk.flush_spans, sdk.flush_logs, sdk.flush_metrics):
            relay.busy = 1
            flush()
        assert sdk.results == ["SUCCESS"] * 3
        assert [each.status for each in relay.requests] == [503, 200] * 3
    assert rows() == ONCE


def test_what_was_stored_but_not_answered_is_sent_again_and_stored_once(
    site: LiveSite, relay: Relay
) -> None:
    with running(relay.url, site.ingest_key) as sdk:
        work(sdk)
        for flush in (sdk.flush_spans, sdk.flush_logs, sdk.flush_metrics):
            relay.lost = 1
            flush()
        assert sdk.results == ["SUCCESS"] * 3
        assert [each.status for each in relay.requests] == [200, 200] * 3
    assert rows() == ONCE


def test_a_wrong_key_is_told_to_the_exporter(site: LiveSite) -> None:
    with running(site.url, "not-a-key") as sdk:
        work(sdk)
        sdk.flush_spans()
        assert sdk.results == ["FAILURE"]
    assert not Span.objects.exists()
