from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience_site.core.choices import Topic
from resilience_site.live.protocol import (
    FRAME_GAP_SECONDS,
    MAX_FRAME_BYTES,
    MAX_PENDING_KEYS,
    TICK_SECONDS,
    Hint,
    Outbox,
    ProtocolError,
    Subscription,
    hello,
    parse_subscription,
)

CLOCK = datetime(2026, 1, 1, tzinfo=UTC)


def hint(number: int, key: str = "k", state: str = "", topic: str = "errors") -> Hint:
    return Hint(number, topic, key, state)


def started(upto: int = 0, now: float = 0.0) -> Outbox:
    outbox = Outbox(now)
    outbox.start(upto, [])
    return outbox


def take(outbox: Outbox, now: float) -> dict[str, Any] | None:
    frame = outbox.take(now, CLOCK)
    return None if frame is None else orjson.loads(frame)


@pytest.mark.parametrize(
    ("query", "topics", "since"),
    [
        ("topics=errors", {"errors"}, None),
        ("topics=errors,chains&since=17", {"errors", "chains"}, 17),
        ("topics=errors&topics=chains&since=", {"errors", "chains"}, None),
        ("since=0&topics=,errors,,", {"errors"}, 0),
    ],
)
def test_a_page_names_topics_and_its_cursor(query: str, topics: set[str], since: Any) -> None:
    assert parse_subscription(query, Topic.values) == Subscription(frozenset(topics), since)


@pytest.mark.parametrize(
    "query",
    [
        *("", "topics=", "topics=nonsense", "topics=errors,nonsense"),
        *(f"topics=errors&since={since}" for since in ("-1", "x", "1.5", "²", 2**63, "0" * 5000)),
        "&".join(["topics=errors"] * 50),
    ],
)
def test_a_page_that_asks_for_nonsense_is_refused(query: str) -> None:
    with pytest.raises(ProtocolError):
        parse_subscription(query, Topic.values)


@given(st.text(max_size=100))
def test_any_query_is_a_subscription_or_is_refused(query: str) -> None:
    with contextlib.suppress(ProtocolError):
        assert parse_subscription(query, Topic.values).topics <= set(Topic.values)


def test_hello_is_small() -> None:
    assert orjson.loads(hello(5)) == {"type": "hello", "cursor": 5}


def test_hello_and_ticks_say_while_hints_come_late() -> None:
    assert orjson.loads(hello(5, late=True)) == {"type": "hello", "cursor": 5, "late": True}
    outbox = started()
    outbox.tick_soon()
    assert outbox.due_in(1.0) == 0.0
    frames = [outbox.take(1.0, CLOCK, late=True), outbox.take(1.0 + TICK_SECONDS, CLOCK)]
    assert [orjson.loads(each or "{}").get("late") for each in frames] == [True, None]


def test_the_first_hint_after_a_silence_leaves_at_once_and_the_next_keeps_the_gap() -> None:
    outbox = started()
    outbox.offer(hint(1))
    assert outbox.due_in(0.0) == 0
    assert take(outbox, 0.0) == {
        "type": "hints",
        "cursor": 1,
        "items": [{"id": 1, "topic": "errors", "key": "k", "state": ""}],
    }
    outbox.offer(hint(2))
    assert outbox.due_in(0.1) == pytest.approx(FRAME_GAP_SECONDS - 0.1)
    assert take(outbox, 0.1) is None
    frame = take(outbox, FRAME_GAP_SECONDS)
    assert frame is not None
    assert frame["cursor"] == 2


def test_of_one_key_only_the_latest_hint_is_sent() -> None:
    outbox = started()
    for number, state in enumerate(["open", "half_open", "closed"], start=1):
        outbox.offer(hint(number, state=state))
    outbox.offer(hint(4, topic="chains"))
    frame = take(outbox, 0.0)
    assert frame is not None
    assert [(i["id"], i["topic"], i["state"]) for i in frame["items"]] == [
        (3, "errors", "closed"),
        (4, "chains", ""),
    ]


def test_a_tick_comes_every_five_seconds_even_under_steady_load() -> None:
    outbox, now, ticks, number = started(), 0.0, [], 0
    while now < 21:
        number += 1
        outbox.offer(hint(number))
        frame = take(outbox, now)
        if frame is not None and frame["type"] == "tick":
            ticks.append(now)
            assert frame["at"] == "2026-01-01T00:00:00.000Z"
            assert frame["cursor"] == number - 1, "the offered hint is still unsent"
        now += 0.05
    assert len(ticks) == 4


def test_an_idle_page_learns_how_far_the_journal_is() -> None:
    outbox = started(upto=3)
    outbox.advance(9)
    assert outbox.due_in(0.0) == TICK_SECONDS
    frame = take(outbox, TICK_SECONDS)
    assert frame is not None
    assert (frame["type"], frame["cursor"]) == ("tick", 9)


def test_too_many_keys_become_one_reset() -> None:
    outbox = started()
    for number in range(1, MAX_PENDING_KEYS + 2):
        outbox.offer(hint(number, key=str(number)))
    outbox.offer(hint(9999))
    assert take(outbox, 0.0) == {"type": "reset", "cursor": 9999, "reason": "overflow"}
    outbox.offer(hint(10000))
    frame = take(outbox, 1.0)
    assert frame is not None
    assert [item["id"] for item in frame["items"]] == [10000]


def test_a_hint_that_fits_into_no_frame_becomes_a_reset() -> None:
    outbox = started()
    outbox.offer(hint(1, key="x" * MAX_FRAME_BYTES))
    frame = take(outbox, 0.0)
    assert frame is not None
    assert frame["type"] == "reset"


def test_hints_between_registration_and_replay_come_once_and_in_order() -> None:
    outbox = Outbox(0.0)
    for number, key in [(5, "a"), (6, "b"), (8, "c")]:
        outbox.offer(hint(number, key))
    outbox.advance(8)
    outbox.start(6, [hint(4, "x"), hint(5, "a"), hint(6, "b")])
    frame = take(outbox, 0.0)
    assert frame is not None
    assert [item["id"] for item in frame["items"]] == [4, 5, 6, 8]
    # The fan-out is behind the replay: what it tells now is known already.
    outbox = started(upto=10)
    outbox.offer(hint(9))
    outbox.offer(hint(11))
    frame = take(outbox, 0.0)
    assert frame is not None
    assert [item["id"] for item in frame["items"]] == [11]


KEYS = st.text("ab", min_size=1, max_size=2) | st.text(min_size=1, max_size=3).map(
    lambda text: text * 3000
)


@given(
    st.lists(st.tuples(KEYS, st.sampled_from("xyz"), st.floats(0, 0.4)), max_size=60),
    st.integers(0, 60),
)
def test_whoever_resumes_from_any_cursor_knows_every_final_state(
    changes: list[tuple[str, str, float]], cut: int
) -> None:
    """Frames go out while changes come in; the page is cut after some frame and replays."""
    outbox, now = started(), 0.0
    page: dict[str, str] = {}
    cursor, frames, times = 0, 0, []

    def deliver(frame: dict[str, Any] | None) -> None:
        nonlocal cursor, frames
        if frame is None or frames >= cut:
            return
        frames += 1
        assert frame["cursor"] >= cursor, "cursors never go back"
        cursor = frame["cursor"]
        if frame["type"] == "reset":
            page.clear()
            page.update({key: state for key, state, _ in changes[:cursor]})
        for item in frame.get("items", []):
            page[item["key"]] = item["state"]

    for number, (key, state, pause) in enumerate(changes, start=1):
        outbox.offer(hint(number, key, state))
        now += pause
        raw = outbox.take(now, CLOCK)
        if raw is not None:
            times.append(now)
            assert len(raw.encode()) <= MAX_FRAME_BYTES
            deliver(orjson.loads(raw))
    # The socket is cut; the page comes back with its cursor and replays the journal.
    for key, state, _ in changes[cursor:]:
        page[key] = state
    assert page == {key: state for key, state, _ in changes}
    for earlier, later in zip(times, times[4:], strict=False):
        assert later - earlier >= 4 * FRAME_GAP_SECONDS - 1e-9
