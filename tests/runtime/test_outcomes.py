"""Batches come back from their text as they were, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from array import array
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers.runtime.batches import Batch
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerPolicy, CircuitState
from breakers.runtime.outcomes import MAX_BYTES, decode, encode
from breakers.runtime.recorder import Recorder
from breakers.runtime.testing import FakeClock
from tests.runtime.recorded import Recorded, actions, policies


@settings(max_examples=100, deadline=None)
@given(policies(), st.lists(actions, max_size=40))
def test_a_batch_comes_back_from_text_as_it_was(
    policy: BreakerPolicy, played: list[tuple[Any, ...]]
) -> None:
    recorded = Recorded(policy)
    recorded.play(played)
    for batch in recorded.batches:
        assert decode(encode(batch)) == batch


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
