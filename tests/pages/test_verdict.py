"""The sentence that the overview begins with."""

from __future__ import annotations

import pytest

from analytics.selectors.rollups import Figures
from resilience_site.pages.verdict import Verdict, state_of, verdict


def figures(calls: int, errors: int) -> Figures:
    return Figures(300, calls, errors, 1.0, 1.0, 1.0, 1.0, 1.0)


def said(
    by_name: dict[str, Figures], errors: int = 0, received: int = 1, lag: float = 0
) -> Verdict:
    return verdict(by_name, errors, received, lag, "last 5 min")


def test_failing_services_are_named_with_their_counts_worst_first() -> None:
    found = said({"a": figures(100, 7), "b": figures(250, 31), "c": figures(50, 0)})
    assert (found.tone, found.sentence) == ("bad", "2 of 3 services have errors above 5 %")
    assert found.detail == "b 12.4 % (31/250), a 7 % (7/100), last 5 min; ingest is current"


def test_ingest_is_not_called_current_while_redis_does_not_answer() -> None:
    found = verdict({"a": figures(100, 0)}, 0, 1, 0, "last 5 min", redis_answers=False)
    assert (found.tone, found.sentence) == ("ok", "The service works")
    assert found.detail.endswith("; Redis does not answer, so background work waits")


def test_one_failing_service_has_errors() -> None:
    assert said({"a": figures(10, 10)}).sentence == "1 of 1 service has errors above 5 %"


def test_many_failing_services_are_counted_not_listed() -> None:
    found = said({f"s{n}": figures(100, 50) for n in range(5)})
    assert " and 2 more, last 5 min" in found.detail


def test_too_few_calls_are_no_verdict_on_a_service() -> None:
    found = said({"a": figures(2, 2)}, errors=2)
    assert (found.tone, found.sentence) == ("idle", "Too few calls to judge: 2")
    assert found.detail == "2 errors, last 5 min; ingest is current"


def test_a_failure_is_told_even_while_ingest_is_late() -> None:
    found = said({"a": figures(100, 50)}, lag=95)
    assert found.tone == "bad"
    assert found.detail.endswith("ingest is 1 min 35 s behind")


def test_a_late_site_does_not_call_itself_calm() -> None:
    found = said({"a": figures(100, 0)}, lag=95)
    assert (found.tone, found.sentence[:28]) == ("warn", "The site is 1 min 35 s behin")


def test_silence_is_not_health() -> None:
    assert said({}, received=0).sentence == "Nothing was received"


def test_posted_errors_without_calls_are_not_silence() -> None:
    assert said({}, errors=3).detail.startswith("3 errors")


@pytest.mark.parametrize(
    ("errors", "tone", "sentence"),
    [
        (0, "ok", "All 2 services work"),
        (3, "warn", "1 of 2 services has errors above 1 %"),
    ],
)
def test_calm_states_its_rate_and_denominator(errors: int, tone: str, sentence: str) -> None:
    found = said({"a": figures(100, errors), "b": figures(200, 0)})
    assert (found.tone, found.sentence) == (tone, sentence)
    assert f"errors ({errors}/300 calls, last 5 min); ingest is current" in found.detail


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (None, "quiet"),
        (figures(0, 0), "quiet"),
        (figures(9, 9), "unknown"),
        (figures(100, 5), "degraded"),
        (figures(100, 6), "failing"),
        (figures(100, 1), "healthy"),
    ],
)
def test_the_state_of_a_service_is_its_share_of_errors(known: Figures | None, state: str) -> None:
    assert state_of(known) == state
