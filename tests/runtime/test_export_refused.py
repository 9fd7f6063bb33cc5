"""What the site refuses for good is not kept for ever."""

from __future__ import annotations

import pytest

from breakers.runtime import export
from tests.runtime.exporting import ByHand, by_hand, connection, no_threads, own
from tests.runtime.own_lines import lines
from tests.runtime.sink import Sink

__all__ = ["by_hand", "connection", "no_threads"]


@pytest.mark.parametrize("status", [400, 404, 415])
def test_what_the_site_refuses_for_good_is_dropped_counted_and_said_once(
    sink: Sink, by_hand: ByHand, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    sink.status = status
    for text in ("first", "second"):
        by_hand.log(text)
        by_hand.exporter.send_due()
    sink.status = 200
    by_hand.log("third")
    by_hand.exporter.send_due()
    assert own(sink) == ["third"]
    assert by_hand.exporter.dropped == 2
    (said,) = lines(caplog, sink.url)
    assert str(status) in said
    assert "dropped" in said


@pytest.mark.parametrize("status", [401, 403])
def test_what_waits_for_a_key_that_is_refused_is_not_kept_for_ever(
    sink: Sink, by_hand: ByHand, status: int
) -> None:
    sink.status = status
    by_hand.log("first")
    by_hand.exporter.send_now()
    by_hand.clock.now += export.REFUSED_KEY_KEPT - 60
    by_hand.log("second")
    by_hand.exporter.send_now()
    assert (by_hand.exporter.waiting, by_hand.exporter.dropped) == (2, 0)
    by_hand.clock.now += 61
    by_hand.exporter.send_now()
    assert (by_hand.exporter.waiting, by_hand.exporter.dropped) == (1, 1)
    sink.status = 200
    by_hand.exporter.send_now()
    assert own(sink) == ["second"]


def test_a_record_that_cannot_be_written_as_otlp_does_not_hold_up_the_others(
    sink: Sink, by_hand: ByHand, caplog: pytest.LogCaptureFixture
) -> None:
    by_hand.log("first")

    class Broken:
        class log_record:  # noqa: N801
            body, attributes, event_name, severity_number = "broken", {"a": 1}, None, None

    by_hand.exporter.export([Broken()])
    by_hand.log("last")
    by_hand.exporter.send_due()
    assert own(sink) == ["first", "last"]
    assert by_hand.exporter.dropped == 1
    (said,) = lines(caplog, sink.url)
    assert "cannot be written" in said
