"""What is recorded of a breaker is its true history, and survives its way as text."""

from __future__ import annotations

import base64
import json
import math
import struct
import threading
import zlib
from array import array
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers.runtime import recorder as recorders
from breakers.runtime.batches import MARKS, Batch, Moved
from breakers.runtime.call_meter import CallMeter
from breakers.runtime.checkpoint import take_locked
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerPolicy, CircuitState
from breakers.runtime.collaborators import ADMITTED, FAILURE, IGNORED, LOOKED, MOVED, SUCCESS
from breakers.runtime.outcomes import MAX_BYTES, decode, encode
from breakers.runtime.recorder import Recorder
from breakers.runtime.reenactment import Reenactment
from breakers.runtime.testing import FakeClock
from tests.runtime.recorded import Recorded, actions, policies


def live_again(batches: list[Batch]) -> Reenactment:
    """Go through batches that follow each other; each has to find what the next one begins with."""
    machine = Reenactment(batches[0])
    for place, batch in enumerate(batches):
        marks = iter(batch.columns.marks)
        drawn = [m.drawn for m in batch.columns.marks if isinstance(m, Moved)]
        opens = iter(drawn)
        entries = list(batch.entries())
        for number, (now, duration, kind, era) in enumerate(entries):
            mark = next(marks) if kind in MARKS else None
            if kind == MOVED:
                continue
            machine.draw = 0.5
            for later in range(number + 1, len(entries)):
                if entries[later][2] != MOVED:
                    break
                machine.draw = next(opens)
            if kind <= IGNORED:
                machine.settle(kind, era, duration, now)
            elif kind == ADMITTED:
                assert machine.admit(now) is not None
            elif kind == LOOKED:
                machine.look(now)
            else:
                assert mark is not None
                machine.obey(mark, now)
        if place + 1 < len(batches):
            assert batches[place + 1].follows(batch)
            assert take_locked(machine) == batches[place + 1].start
    return machine


@settings(max_examples=300, deadline=None)
@given(policies(), st.lists(actions, max_size=60), st.integers(0, 9))
def test_what_is_recorded_leads_through_the_same_states(
    policy: BreakerPolicy, played: list[tuple[Any, ...]], seed: int
) -> None:
    recorded = Recorded(policy, seed=seed)
    recorded.play(played)
    if not recorded.batches:
        assert not recorded.told
        return
    machine = live_again(recorded.batches)
    assert machine.moves == recorded.transitions()
    with recorded.breaker._lock:
        assert take_locked(machine) == take_locked(recorded.breaker)


@settings(max_examples=100, deadline=None)
@given(policies(), st.lists(actions, max_size=40))
def test_a_batch_comes_back_from_text_as_it_was(
    policy: BreakerPolicy, played: list[tuple[Any, ...]]
) -> None:
    recorded = Recorded(policy)
    recorded.play(played)
    for batch in recorded.batches:
        assert decode(encode(batch)) == batch


def agree(recorded: Recorded) -> None:
    """The record leads to the same transitions and the same state."""
    recorded.collect()
    machine = live_again(recorded.batches)
    assert machine.moves == recorded.transitions()
    assert take_locked(machine) == take_locked(recorded.breaker)


def test_a_look_that_lets_a_bucket_end_is_part_of_the_record() -> None:
    policy = BreakerPolicy(sliding_window_type="time", sliding_window_size=10)
    recorded = Recorded(policy)
    recorded.call()
    for seconds in (0.9, 1.3, 30.0):
        recorded.clock.now += seconds
        recorded.breaker.snapshot()
        recorded.breaker.snapshot()
    recorded.call()
    agree(recorded)
    kinds = recorded.batches[0].columns.kinds
    # The first and the third look change nothing, nor does one that repeats another.
    assert list(kinds) == [SUCCESS, LOOKED, LOOKED, SUCCESS]


@pytest.mark.parametrize("look", ["state", "snapshot", "is_open"])
def test_a_look_that_ends_a_wait_for_probes_is_part_of_the_record(look: str) -> None:
    policy = BreakerPolicy(1, 5, permitted_calls_in_half_open_state=1)
    recorded = Recorded(policy)
    recorded.call("failure")
    recorded.clock.now += 5
    late = recorded.breaker.acquire()
    recorded.clock.now += 5
    recorded._look(look)
    late.success()
    agree(recorded)
    assert recorded.transitions()[-1].reason == "probes_overdue"


def test_a_late_probe_that_nobody_looked_after_closes_it_again() -> None:
    recorded = Recorded(BreakerPolicy(1, 5, permitted_calls_in_half_open_state=1))
    recorded.call("failure")
    recorded.clock.now += 5
    late = recorded.breaker.acquire()
    recorded.clock.now += 500
    late.success()
    agree(recorded)
    assert recorded.transitions()[-1].reason == "recovered"


def test_open_times_go_on_growing_from_batch_to_batch() -> None:
    policy = BreakerPolicy(1, 5, timeout_multiplier=2, timeout_jitter=0.3)
    recorded = Recorded(policy)
    for _ in range(5):
        recorded.call("failure")
        recorded.collect()
        recorded.clock.now += 120
    agree(recorded)
    assert len(recorded.batches) == 5
    assert recorded.batches[-1].start.open_for == 40.0
    assert recorded.batches[-1].columns.marks[-1].drawn != 0.5  # type: ignore[union-attr]


def test_each_batch_can_be_the_first() -> None:
    policy = BreakerPolicy(
        2, 5, sliding_window_type="time", sliding_window_size=10, minimum_number_of_calls=3,
        timeout_jitter=0.2, timeout_multiplier=3,
    )  # fmt: skip
    recorded = Recorded(policy)
    for round_ in range(12):
        for place in range(8):
            recorded.call("failure" if (round_ + place) % 3 else "success", 0.4)
            recorded.clock.now += 1.1
        recorded.collect()
    assert len(recorded.transitions()) > 6
    for first in range(len(recorded.batches)):
        told = [decode(encode(batch)) for batch in recorded.batches[first:]]
        moved = [m.event for b in told for m in b.columns.marks if isinstance(m, Moved)]
        assert live_again(told).moves == moved


def test_a_recorder_counts_as_a_meter_does() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(5, clock=clock)
    meter, recorder = CallMeter(), Recorder(breaker)
    for place in range(1000):
        duration, failed = place % 130 / 10, place % 7 == 0
        permit = breaker.acquire()
        if failed:
            permit.failure(OSError(), duration)
        else:
            permit.success(duration)
        meter.record(FAILURE if failed else SUCCESS, duration, 0.0, 1)
        if place % 90 == 0:
            recorder.collect()
        if place % 55 == 0:
            assert recorder.read() == meter.read()
    assert recorder.read() == meter.read()


def test_what_is_too_much_is_counted_but_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "_FULL", 40)
    recorded = Recorded(BreakerPolicy(3, 5))
    for _ in range(25):
        recorded.call()
    recorded.breaker.force_open("by hand")
    recorded.breaker.reset()
    recorded.collect()
    recorded.call()
    recorded.collect()
    full, after = recorded.batches
    assert (len(full.columns), full.dropped) == (10, 15 + 4)
    assert (len(after.columns), after.dropped) == (1, 0)
    assert not after.follows(full)
    (calls,) = recorded.recorder.read()
    assert sum(calls.buckets) == 26
    assert live_again([after]).state is CircuitState.CLOSED


def test_rejections_alone_make_a_batch_and_silence_makes_none() -> None:
    recorded = Recorded(BreakerPolicy(1, 60))
    assert recorded.recorder.collect() is None
    recorded.call("failure")
    recorded.collect()
    assert recorded.recorder.collect() is None
    for _ in range(7):
        assert not recorded.call()
    recorded.clock.now += 1
    recorded.collect()
    last = recorded.batches[-1]
    assert (len(last.columns), last.rejected, last.ends - last.begins) == (0, (0, 7), 1.0)
    assert decode(encode(last)) == last


def test_durations_that_no_clock_gives_do_no_harm() -> None:
    recorded = Recorded(
        BreakerPolicy(3, slow_call_duration_threshold=1, slow_call_rate_threshold=0.2)
    )
    for duration in (math.inf, math.nan, -math.inf, -1.0, 5):
        recorded.breaker.acquire().success(duration)
    agree(recorded)
    (batch,) = recorded.batches
    assert list(batch.columns.durations)[1] == 0.0
    assert decode(encode(batch)) == batch
    with pytest.raises(TypeError):
        recorded.breaker.acquire().success("long")  # type: ignore[arg-type]
    assert recorded.recorder.collect() is None


def test_slow_calls_are_counted_whatever_becomes_of_them() -> None:
    recorded = Recorded(BreakerPolicy(2, 60, slow_call_duration_threshold=1))
    late = recorded.breaker.acquire()
    recorded.call("success", 1.0)
    recorded.call("success", 0.99)
    recorded.call("failure", 3.0)
    recorded.call("failure", 0.0)
    late.success(9)
    assert recorded.breaker.slow_calls == 3
    recorded.breaker.disable()
    recorded.call("success", 9)
    assert recorded.breaker.slow_calls == 3


# --- Threads


def test_the_record_of_many_threads_is_exact() -> None:
    policy = BreakerPolicy(
        sliding_window_type="time", sliding_window_size=0.5, minimum_number_of_calls=20,
        failure_rate_threshold=0.4, timeout=0.02, timeout_jitter=0.5, timeout_multiplier=1.5,
        slow_call_duration_threshold=0.002, slow_call_rate_threshold=0.9,
    )  # fmt: skip
    breaker = CircuitBreaker.of("threads", policy)
    told = []
    breaker.on_event(lambda event: told.append(event))
    recorder = Recorder(breaker)
    batches: list[Batch] = []
    stop = threading.Event()
    begun = threading.Barrier(6)

    def work(number: int) -> None:
        begun.wait()
        count = number
        while not stop.is_set():
            count += 1
            try:
                with breaker.acquire():
                    stop.wait(0.0003 * (count % 4))
                    if count // 50 % 3 == 1:
                        raise OSError
            except Exception:
                stop.wait(0.0005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    begun.wait()
    looks: list[Callable[[], object]] = [breaker.snapshot, lambda: breaker.state, breaker.reset]
    for place in range(60):
        stop.wait(0.02)
        looks[place % 3 if place % 9 == 2 else place % 2]()
        batch = recorder.collect()
        if batch is not None:
            batches.append(decode(encode(batch)))
    stop.set()
    for thread in threads:
        thread.join()
    batch = recorder.collect()
    if batch is not None:
        batches.append(batch)
    machine = live_again(batches)
    assert len(told) > 10
    assert machine.moves == told
    assert take_locked(machine) == take_locked(breaker)
    counted = sum(sum(each.buckets) for each in recorder.read())
    assert counted == sum(kind <= IGNORED for each in batches for kind in each.columns.kinds)


# --- Bad input


def one() -> Batch:
    recorded = Recorded(BreakerPolicy(2, 5, sliding_window_type="count", sliding_window_size=10))
    for outcome in ("success", "failure", "ignore"):
        recorded.call(outcome, 0.5)
    recorded.breaker.force_open("maintenance")
    recorded.collect()
    return recorded.batches[0]


def remade(change: Callable[[dict[str, Any]], object], columns: bytes | None = None) -> str:
    """The text of a batch whose header was tampered with."""
    raw = zlib.decompress(base64.b64decode(encode(one())))
    (length,) = struct.unpack_from("<I", raw)
    header = json.loads(raw[4 : 4 + length])
    change(header)
    made = json.dumps(header).encode()
    rest = raw[4 + length :] if columns is None else columns
    return base64.b64encode(zlib.compress(struct.pack("<I", len(made)) + made + rest)).decode()


def test_a_header_may_say_more() -> None:
    known = one()
    told = decode(remade(lambda header: header.update(comment="from a later version")))
    assert replace(told, run=known.run, offset=known.offset) == known


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 2),
        ("breaker", 5),
        ("number", -1),
        ("number", True),
        ("begins", "now"),
        ("begins", math.nan),
        ("ends", 0),
        ("offset", 1e300),
        ("rejected", [1]),
        ("rejected", [1, None]),
        ("marks", []),
        ("marks", None),
        ("marks.0", ["nowhere", "why"]),
        ("marks.0", [["forced_open"], "why"]),
        ("marks.1.5", 1.5),
        ("marks.1.3", "high"),
        ("policy", None),
        ("policy", []),
        ("policy.surprise", 1),
        ("policy.timeout", 0),
        ("policy.sliding_window_type", ["count"]),
        ("policy.sliding_window_size", 10**12),
        ("policy.permitted_calls_in_half_open_state", 10**12),
        ("start.state", "ajar"),
        ("start.era", 1.5),
        ("start.window", None),
        ("start.window.outcomes", "0g"),
        ("start.window.outcomes", "07" * 10),
        ("start.window.outcomes", ""),
        ("start.window.calls", 11),
        ("start.window.next", 10),
        ("start.window.kind", "time"),
        ("start.window.kind", []),
    ],
)
def test_a_header_that_makes_no_batch_is_refused(path: str, value: object) -> None:
    def change(header: dict[str, Any]) -> None:
        *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place: Any = header
        for part in way:
            place = place[part]
        place[last] = value

    with pytest.raises(ValueError):
        decode(remade(change))


@pytest.mark.parametrize("missing", ["breaker", "run", "policy", "start", "rejected", "marks"])
def test_a_header_that_lacks_something_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match=f"lacks something.*{missing}"):
        decode(remade(lambda header: header.pop(missing)))


def squeezed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "zlib"),
        ("%%%", "base64"),
        ("ä", "base64"),
        ("AAAA", "zlib"),
        (encode(one())[:-8], "base64|zlib"),
        (squeezed(b""), "begins with"),
        (squeezed(b"\xff\xff\xff\xff{}"), "header"),
        (squeezed(b"\x02\0\0\0{}"), "format"),
        (squeezed(b"\x02\0\0\0[]"), "format"),
        (squeezed(b"\x02\0\0\0{}x"), "whole entries"),
        (squeezed(b"\x20\x4e\0\0" + b"[" * 20_000), "JSON"),
        (squeezed(bytes(MAX_BYTES + 1)), "at most"),
        (squeezed(bytes(1 << 26)), "at most"),
        ("A" * (12 << 20), "too large"),
        (base64.b64encode(zlib.compress(b"\0") + b"more").decode(), "whole zlib stream"),
    ],
)
def test_a_text_that_makes_no_batch_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(text)


@pytest.mark.parametrize("place", [0, 8, 16, 24])
def test_columns_that_make_no_entries_are_refused(place: int) -> None:
    # One entry: a time, a duration, a kind, an era.
    whole = struct.pack("<ddBq", 90_000.0, 1.0, 0, 1)
    bad = {0: math.inf, 8: math.nan, 16: 200, 24: -1}[place]
    code = {0: "<d", 8: "<d", 16: "<B", 24: "<q"}[place]
    broken = bytearray(whole)
    struct.pack_into(code, broken, {24: 17}.get(place, place), bad)

    def plain(header: dict[str, Any]) -> None:
        header["marks"] = []

    assert list(decode(remade(plain, whole)).entries()) == [(90_000.0, 1.0, 0, 1)]
    with pytest.raises(ValueError):
        decode(remade(plain, bytes(broken)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 255))
def test_damaged_bytes_are_refused_or_read_but_never_break(
    junk: bytes, place: int, value: int
) -> None:
    raw = bytearray(zlib.decompress(base64.b64decode(encode(one()))))
    raw[place % len(raw)] = value
    for text in (squeezed(bytes(raw)), squeezed(junk), base64.b64encode(junk).decode()):
        try:
            decode(text)
        except ValueError:
            continue


def test_a_batch_that_nobody_would_read_is_not_written() -> None:
    batch = one()
    columns = replace(batch.columns, kinds=bytes(100_001), marks=())
    with pytest.raises(ValueError, match="too much"):
        encode(replace(batch, columns=columns))


def test_an_outcome_takes_few_bytes() -> None:
    clock = FakeClock(81234.567)
    breaker = CircuitBreaker(5, clock=clock)
    recorder = Recorder(breaker)
    for place in range(1000):
        permit = breaker.acquire()
        clock.now += round(0.001 + 0.0007 * math.sin(place) ** 2, 9)
        permit.success()
    batch = recorder.collect()
    assert batch is not None
    assert len(encode(batch)) / 1000 < 14
    assert asdict(batch.start)["state"] is CircuitState.CLOSED
    assert isinstance(batch.columns.times, array)
