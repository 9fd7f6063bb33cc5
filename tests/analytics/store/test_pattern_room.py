"""Patterns are bounded per service: what has no room is counted together, said, and kept."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db.models import Sum

from analytics.domain.fingerprints import GROUPING_VERSION, MESSAGE_RULE, OTHERS, others
from analytics.domain.posted_errors import PostedError
from analytics.models import ErrorEvent, ErrorPattern, ErrorRollup
from analytics.selectors.errors import ErrorFilter, error_list
from analytics.selectors.ingest_status import ingest_status
from analytics.selectors.pattern_why import pattern_why
from analytics.services import ingest, pattern_room
from analytics.services.catalogue import Catalogue
from analytics.services.ingest import store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_posted import PostedResult, store_posted_errors
from analytics.services.pattern_merges import pattern_merge
from resilience_site.core import journal
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange
from resilience_site.probes.checks import backlog
from tests.analytics.patterns.scenes import PERSON
from tests.analytics.store.telemetry import (
    NOW,
    batch,
    exception,
    exception_log,
    new_span,
    new_trace,
    ns,
    span_record,
)
from tests.runtime.own_lines import lines

LIMIT = 40


@pytest.fixture(autouse=True)
def small(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service may have forty patterns, and nobody was told of any that has its fill."""
    condition = f"rule <> '{pattern_room.OTHERS_RULE}'"
    catalogue = Catalogue("analytics_errorpattern", (), LIMIT, condition)
    monkeypatch.setattr(ingest.memory, "patterns", catalogue)
    monkeypatch.setattr(pattern_room, "_said", {})


def posted(type_: str, message: str = "", service: str = "shop") -> PostedError:
    return PostedError("", service, "", "", type_, message, "", 0, 0, "", "", "", {})


def post(*errors: PostedError) -> PostedResult:
    return store_posted_errors(errors, received_at=datetime.now(UTC))


def flood(count: int, service: str = "shop", begin: int = 0) -> None:
    for start in range(begin, begin + count, 1_000):
        numbers = range(start, min(start + 1_000, begin + count))
        post(*(posted(f"Order{n}Failed", service=service) for n in numbers))


def folded(service: str = "shop") -> ErrorPattern:
    return ErrorPattern.objects.get(id=others(service).key)


def counts() -> dict[str, int]:
    return dict(ErrorPattern.objects.filter(service="shop").values_list("type", "count"))


def test_a_flood_of_new_kinds_of_errors_is_counted_as_one_and_hides_no_known_pattern(
    caplog: pytest.LogCaptureFixture,
) -> None:
    post(*[posted("CardError", "declined")] * 3)
    with caplog.at_level(logging.WARNING, "analytics"):
        flood(10_000)
    post(posted("CardError", "declined"), posted("CardError", "declined", service="depot"))
    assert ErrorPattern.objects.filter(service="shop").count() == LIMIT + 1
    assert counts()["CardError"] == 4
    assert folded().count == 10_000 - (LIMIT - 1)
    # Nothing is lost: every error is there, counted, and found by what it was.
    assert ErrorEvent.objects.filter(service="shop").count() == 10_004
    assert ErrorRollup.objects.filter(service="shop").aggregate(n=Sum("errors"))["n"] == 10_004
    day = TimeRange(NOW - timedelta(days=1), datetime.now(UTC) + timedelta(minutes=1))
    [found] = error_list(wanted=ErrorFilter(type="Order9321Failed"), within=day).items
    assert found.pattern_id == folded().id
    # The log says it once, not for each error; other services are as free as ever.
    assert [line.split(":")[0] for line in lines(caplog, "patterns of errors")] == [
        "Service shop has 2000 patterns of errors, the most that are kept apart"
    ]
    assert not ErrorPattern.objects.filter(service="depot", type=OTHERS).exists()


def test_the_state_of_ingest_says_which_services_have_their_fill_and_how_many_were_folded() -> None:
    assert ingest_status(now=datetime.now(UTC)).folding_words == ""
    flood(LIMIT + 7)
    status = ingest_status(now=datetime.now(UTC))
    assert [(each.service, each.errors) for each in status.folding] == [("shop", 7)]
    assert status.folding_words == (
        "more than 2,000 patterns of errors in shop (7 errors): the errors of further patterns are "
        'stored, but counted under "(other patterns)"'
    )
    [outcome] = [each for each in backlog(is_down=False) if each.name == "ingest:patterns"]
    assert (outcome.status, outcome.output) == ("warn", status.folding_words)
    # An hour without such errors ends it.
    assert ingest_status(now=datetime.now(UTC) + timedelta(hours=2)).folding == ()


def test_the_pattern_of_all_others_says_what_it_is_and_what_to_do() -> None:
    flood(LIMIT + 5)
    pattern = folded()
    assert pattern.type == "(other patterns)"
    assert "none of the 2,000 patterns" in pattern.template
    why = pattern_why(pattern, ["any message"])
    assert "5 errors of further ones had no room" in why.sentences[0]
    assert why.sentences[2].startswith("What to do: ")
    assert "37 days" in why.sentences[3]
    assert (why.variables, why.exceptions) == ([], [])
    told = [e for e in journal.read(0, ["patterns"]) if e.key == str(pattern.id)]
    assert [e.kind for e in told] == ["pattern.new"]


def test_spans_and_log_records_are_folded_too_and_their_sender_is_told() -> None:
    flood(LIMIT, service="planner")
    span = span_record(new_trace(), new_span(), exceptions=[exception("NewError")])
    record = exception_log(new_trace(), new_span(), type_="NewerError")
    for result in (
        store_spans(batch(span), received_at=datetime.now(UTC)),
        store_logs(batch(record), received_at=datetime.now(UTC)),
    ):
        [warning] = result.rejections
        assert warning.count == 0
        assert warning.reason.startswith("1 errors of service planner are beyond its limit of 2000")
    assert folded("planner").count == 2


def test_an_error_that_is_sent_again_stays_where_it_was_counted() -> None:
    flood(LIMIT)
    late = posted("LateError")._replace(occurred_ns=ns(NOW))
    assert post(late).stored == 1
    ErrorPattern.objects.exclude(id=folded().id).first().delete()  # type: ignore[union-attr]
    assert post(late).duplicates == 1
    assert folded().count == 1


def test_room_comes_again_when_patterns_go() -> None:
    flood(LIMIT + 1)
    ErrorPattern.objects.filter(type__in=["Order3Failed", "Order4Failed"]).delete()
    flood(3, begin=1_000)
    assert {"Order1000Failed", "Order1001Failed"} <= set(counts())
    assert folded().count == 2


def test_what_every_process_brings_is_bounded_by_what_the_database_holds() -> None:
    for n in range(LIMIT):
        ErrorPattern.objects.create(
            id=uuid4(), service="shop", type=f"Kind{n}", template="", rule=MESSAGE_RULE,
            version=GROUPING_VERSION, count=1, first_seen=NOW, last_seen=NOW, last_error_id=uuid4(),
        )  # fmt: skip
    flood(2)
    assert folded().count == 2


def test_nothing_is_put_together_with_what_has_nothing_in_common() -> None:
    flood(LIMIT + 1)
    [one] = ErrorPattern.objects.filter(type="Order1Failed")
    for pattern, into in ((one, folded()), (folded(), one)):
        with pytest.raises(Invalid, match="stay by themselves"):
            pattern_merge(pattern_id=pattern.id, into_id=into.id, actor=PERSON, reason="", now=NOW)
