"""Batches as text: what the event `resilience.breaker.outcomes` carries, and back.

Base64 of zlib of: the length of the header in four bytes, the header in JSON, and four columns:
times and durations (IEEE 754 binary64), kinds (a byte) and eras (int64), all little-endian. Numbers
of eight bytes are laid out by byte, all first ones first, which compresses twice as well.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
import sys
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from breakers.runtime import windows
from breakers.runtime.batches import (
    MARKS,
    AdoptedClosed,
    AdoptedOpen,
    Batch,
    Columns,
    Configured,
    Decided,
    Mark,
    Moved,
)
from breakers.runtime.checkpoint import Checkpoint
from breakers.runtime.circuit_state import BreakerEvent, CircuitState
from breakers.runtime.collaborators import CONFIGURED
from breakers.runtime.policy_fields import from_fields, to_fields

FORMAT = 1
MAX_ENTRIES = 100_000
MAX_BYTES = 8 << 20
_MAX_TEXT = MAX_BYTES * 4 // 3 + 4
_LONGEST_REASON = 200
_LEVEL = 6
_LENGTH = struct.Struct("<I")
_ENTRY = 8 + 8 + 1 + 8
_LAST_SECOND = 253_402_300_799.0  # of the year 9999
_T = TypeVar("_T", int, float)


def encode(batch: Batch) -> str:
    """The batch as text; raises ValueError for one that is larger than `decode` takes."""
    columns = batch.columns
    header = json.dumps(_header(batch), separators=(",", ":")).encode()
    raw = b"".join(
        (
            _LENGTH.pack(len(header)),
            header,
            _by_byte(columns.times),
            _by_byte(columns.durations),
            columns.kinds,
            _by_byte(columns.eras),
        )
    )
    if len(columns) > MAX_ENTRIES or len(raw) > MAX_BYTES:
        raise ValueError(f"{len(columns):,} entries in {len(raw):,} bytes are too much for a batch")
    return base64.b64encode(zlib.compress(raw, _LEVEL)).decode("ascii")


def decode(text: str) -> Batch:
    """The batch that `text` was made of; raises ValueError for a text that is none."""
    if len(text) > _MAX_TEXT:
        raise ValueError(f"a batch of {len(text):,} characters is too large")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"a batch is told in base64: {error}") from None
    return unpack(data)


def unpack(data: bytes) -> Batch:
    """The batch of what the text is the base64 of; raises ValueError for bytes that are none."""
    raw = _inflated(data)
    if len(raw) < _LENGTH.size:
        raise ValueError("a batch begins with the length of its header")
    (length,) = _LENGTH.unpack_from(raw)
    begin = _LENGTH.size + length
    count, rest = divmod(len(raw) - begin, _ENTRY)
    if len(raw) < begin or rest or count > MAX_ENTRIES:
        raise ValueError(f"{len(raw):,} bytes are no header of {length:,} with whole entries")
    try:
        header = json.loads(raw[_LENGTH.size : begin])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header of a batch is JSON: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"the header of a batch is an object of the format {FORMAT}")
    try:
        return _batch(header, raw[begin:], count)
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"the header of a batch lacks something: {error!r}") from None


def entry_count(data: bytes) -> int:
    """How many entries the batch of `unpack` holds, without reading them: most batches of an open
    breaker hold none. Raises ValueError for bytes that are no batch."""
    raw = _inflated(data)
    if len(raw) < _LENGTH.size:
        raise ValueError("a batch begins with the length of its header")
    (length,) = _LENGTH.unpack_from(raw)
    return max(0, len(raw) - _LENGTH.size - int(length)) // _ENTRY


# --- Writing


def _header(batch: Batch) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "breaker": batch.breaker,
        "run": batch.run,
        "number": batch.number,
        "begins": batch.begins,
        "ends": batch.ends,
        "offset": batch.offset,
        "policy": to_fields(batch.policy),
        "start": asdict(batch.start) | {"state": batch.start.state.value},
        "rejected": batch.rejected,
        "dropped": batch.dropped,
        "marks": [_fields(mark) for mark in batch.columns.marks],
    }


def _fields(mark: Mark) -> list[Any]:
    match mark:
        case Moved(event, drawn, rejected):
            return [
                event.from_state.value, event.to_state.value, _reason(event.reason),
                event.failure_rate, event.slow_call_rate, event.calls, event.retry_after,
                drawn, rejected,
            ]  # fmt: skip
        case Decided(state, reason):
            return [state.value, _reason(reason)]
        case AdoptedOpen(reason, open_for):
            return [_reason(reason), open_for]
        case AdoptedClosed(reason):
            return [_reason(reason)]
        case Configured(policy):
            return [to_fields(policy)]


def _reason(reason: object) -> str:
    return str(reason)[:_LONGEST_REASON]


def _by_byte(column: array[Any]) -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    raw = column.tobytes()
    return b"".join(raw[place::8] for place in range(8))


# --- Reading


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise ValueError(f"a batch is compressed by zlib: {error}") from None
    if len(raw) > MAX_BYTES:
        raise ValueError(f"a batch holds at most {MAX_BYTES:,} bytes")
    if not inflater.eof or inflater.unused_data:
        raise ValueError("a batch is one whole zlib stream")
    return raw


def _batch(header: dict[str, Any], raw: bytes, count: int) -> Batch:
    name, run = _text(header["breaker"]), _text(header["run"])
    before, after = header["rejected"]
    batch = Batch(
        name,
        run,
        _count(header["number"]),
        _number(header["begins"]),
        _number(header["ends"]),
        _number(header["offset"]),
        from_fields(header["policy"]),
        _checkpoint(header["start"]),
        (_count(before), _count(after)),
        _count(header["dropped"]),
        _columns(header["marks"], raw, count, name),
    )
    times = batch.columns.times
    for reading in (batch.begins, batch.ends, *(times and (min(times), max(times)))):
        if not 0 <= reading + batch.offset <= _LAST_SECOND:
            raise ValueError("a batch holds times from 1970 to 9999")
    if batch.ends < batch.begins:
        raise ValueError("a batch ends after it began")
    return batch


def _columns(marks: Any, raw: bytes, count: int, name: str) -> Columns:
    times = _from_bytes("d", raw[: 8 * count])
    durations = _from_bytes("d", raw[8 * count : 16 * count])
    kinds = raw[16 * count : 17 * count]
    eras = _from_bytes("q", raw[17 * count :])
    if not all(map(math.isfinite, times)) or not all(map(math.isfinite, durations)):
        raise ValueError("times and durations are numbers of seconds")
    if count and (min(eras) < 0 or max(kinds) > CONFIGURED):
        raise ValueError("an era is 0 or more, and a kind one of those that are known")
    told = [(kind, at) for kind, at in zip(kinds, times, strict=True) if kind in MARKS]
    if not isinstance(marks, list) or len(marks) != len(told):
        raise ValueError("the header of a batch says more of each entry that is no call")
    read = tuple(
        _mark(kind, fields, at, name) for (kind, at), fields in zip(told, marks, strict=True)
    )
    return Columns(times, durations, kinds, eras, read)


def _from_bytes(code: Literal["d", "q"], raw: bytes) -> array[Any]:
    count = len(raw) // 8
    mixed = bytearray(len(raw))
    for place in range(8):
        mixed[place::8] = raw[place * count : (place + 1) * count]
    column: array[Any] = array(code)
    column.frombytes(bytes(mixed))
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _mark(kind: int, fields: Any, at: float, name: str) -> Mark:
    mark = MARKS[kind]
    if mark is Moved:
        before, after, reason, failed, slow, calls, retry_after, drawn, rejected = fields
        event = BreakerEvent(
            name, CircuitState(before), CircuitState(after), _text(reason),
            _given(failed), _given(slow), _count(calls), at, "transition", _given(retry_after),
        )  # fmt: skip
        return Moved(event, _number(drawn), _count(rejected))
    if mark is Decided:
        state, reason = fields
        return Decided(CircuitState(state), _text(reason))
    if mark is AdoptedOpen:
        reason, open_for = fields
        return AdoptedOpen(_text(reason), _number(open_for))
    if mark is AdoptedClosed:
        (reason,) = fields
        return AdoptedClosed(_text(reason))
    (policy,) = fields
    return Configured(from_fields(policy))


def _checkpoint(fields: Mapping[str, Any]) -> Checkpoint:
    window = fields["window"]
    windows.loaded(window)
    return Checkpoint(
        CircuitState(fields["state"]),
        _count(fields["era"]),
        _count(fields["placed"]),
        _number(fields["opened_at"]),
        _number(fields["reopen_at"]),
        _number(fields["wait_until"]),
        _number(fields["open_for"]),
        _count(fields["probe_era"]),
        fields["reported"] is True,
        window,
    )


def _given(value: Any) -> float | None:
    return None if value is None else _number(value)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError(f"{value!r} is no count")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value
