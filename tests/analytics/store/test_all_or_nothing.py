"""A request is stored whole or not at all, and a failed one leaves the process able to go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection

from analytics.models import (
    ErrorEvent,
    IngestRollup,
    LogRollup,
    LogTemplate,
    MetricRollup,
    MetricSeries,
    Span,
)
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_metrics import store_metrics
from analytics.services.ingest_posted import store_posted_errors
from health.models import Service
from resilience_site.core import journal
from tests.analytics.store.telemetry import (
    batch,
    exception,
    exception_log,
    log,
    new_span,
    new_trace,
    point,
    resource,
    span_record,
)
from tests.analytics.store.test_posted import posted

pytestmark = pytest.mark.usefixtures("store")


def rows() -> dict[str, int]:
    """How many rows each table of the app holds, of those that hold any.

    Without the counts of refused requests: a web process of earlier tests may still write its own.
    """
    counts = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("analytics").get_models():
            own = " WHERE outcome <> 'rejected'" if model is IngestRollup else ""
            cursor.execute(f"SELECT count(*) FROM {model._meta.db_table}{own}")
            counts[model.__name__] = cursor.fetchone()[0]
    return {name: count for name, count in counts.items() if count}


def spans() -> Any:
    record = span_record(new_trace(), new_span(), exceptions=[exception()])
    return lambda: store_spans(batch(record), received_at=datetime.now(UTC))


def logs() -> Any:
    records = [exception_log(new_trace(), new_span()), log("loose")]
    return lambda: store_logs(batch(*records), received_at=datetime.now(UTC))


def metrics() -> Any:
    return lambda: store_metrics(batch(point(value=1)), received_at=datetime.now(UTC))


def errors() -> Any:
    return lambda: store_posted_errors([posted("a-1")], received_at=datetime.now(UTC))


@pytest.mark.parametrize("make", [spans, logs, metrics, errors])
def test_a_store_that_fails_at_the_last_step_has_stored_nothing(
    make: Callable[[], Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: Any) -> None:
        raise OperationalError("server closed the connection")

    store = make()
    with monkeypatch.context() as outage:
        outage.setattr(journal, "append", lost)
        with pytest.raises(OperationalError):
            store()
        assert rows() == {}
    first = store()
    assert (first.stored, first.duplicates) == ((2, 0) if make is logs else (1, 0))
    stored = rows()
    again = store()
    assert (again.stored, again.duplicates) == (0, first.stored)
    # That it came again is counted, and nothing else.
    assert rows() == stored | {"IngestRollup": 2}


def test_what_a_failed_request_brought_is_not_taken_for_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Templates, series and stacks that were rolled back are made by the next request."""

    def lost(_: Any) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as outage:
        outage.setattr(journal, "append", lost)
        for store in (spans(), logs(), metrics()):
            with pytest.raises(OperationalError):
                store()
    for store in (spans(), logs(), metrics()):
        assert store().stored
    assert Span.objects.count() == 1
    assert ErrorEvent.objects.filter(stack_hash__isnull=False).count() == 2
    templates = set(LogTemplate.objects.values_list("id", flat=True))
    assert set(LogRollup.objects.values_list("template_id", flat=True)) == templates
    series = set(MetricSeries.objects.values_list("id", flat=True))
    assert set(MetricRollup.objects.values_list("series_id", flat=True)) == series


def test_a_service_with_overlong_words_about_itself_is_stored() -> None:
    wordy = resource("wordy")._replace(
        environment="e" * 200, version="v" * 200, language="l" * 200, criticality="c" * 200
    )
    record = span_record(new_trace(), new_span(), exceptions=[exception()], source=wordy)
    assert store_spans(batch(record), received_at=datetime.now(UTC)).stored == 1
    assert ErrorEvent.objects.get(service="wordy").environment == "e" * 200
    assert Service.objects.get(name="wordy").environment == "e" * 100
