"""Rows of tables as windows of an incident; what is wrong with a row is said in words."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from analytics.domain.causes.events import event_of, is_severe
from analytics.domain.causes.incident import Call, Line, Points, Symptom

_FAILED = frozenset({"error", "2", "status_code_error", "fail", "failed", "false"})


class BadTable(ValueError):
    """A table that cannot be read; the message names the line and what is wrong."""


def calls_read(lines: Iterable[str]) -> list[Call]:
    """traces.csv: trace_id,span_id,parent_id,service,operation,start_ns,end_ns,status."""
    columns = (
        "trace_id", "span_id", "parent_id", "service", "operation", "start_ns", "end_ns", "status",
    )  # fmt: skip
    return [
        Call(
            row[0], row[1], row[2], row[3], row[4],
            _whole(row[5], "start_ns", number), _whole(row[6], "end_ns", number),
            row[7].strip().lower() in _FAILED,
        )
        for number, row in _rows(lines, columns, needed=7)
        if row[3]
    ]  # fmt: skip


def lines_read(lines: Iterable[str]) -> list[Line]:
    """logs.csv: at_ns,service,severity,trace_id,span_id,body; times are not used."""
    columns = ("service", "severity", "trace_id", "span_id", "body")
    return [
        Line(row[0], is_severe(row[1]), row[2], row[3], event_of(row[4]))
        for _, row in _rows(lines, columns, needed=5)
        if row[0]
    ]


def series_read(lines: Iterable[str]) -> dict[tuple[str, str], Points]:
    """metrics.csv: at,service,metric,value; values that are missing or not finite are gaps."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for number, row in _rows(lines, ("at", "service", "metric", "value"), needed=4):
        at, value = _figure(row[0], "at", number), _figure(row[3], "value", number)
        if at is not None and value is not None and row[1]:
            series[row[1], row[2]].append((at, value))
    return {key: sorted(points) for key, points in series.items()}


def edges_read(lines: Iterable[str]) -> frozenset[tuple[str, str]]:
    """graph.csv: caller,callee."""
    rows = _rows(lines, ("caller", "callee"), needed=2)
    return frozenset((row[0], row[1]) for _, row in rows if row[0] and row[1])


def symptom_read(document: object) -> Symptom | None:
    """target.json: {"service", "metric", "at"}; None where it names no service.

    Raises BadTable where a field has no sense.
    """
    if not isinstance(document, Mapping):
        raise BadTable('must be an object such as {"service": "web", "metric": "latency", "at": 0}')
    service, metric = document.get("service"), document.get("metric")
    if not service:
        return None
    at = document.get("at")
    if at is None:
        return Symptom(str(service), str(metric or ""), None)
    if isinstance(at, bool) or not isinstance(at, int | float | str):
        raise BadTable('"at" must be seconds since the epoch')
    try:
        moment = float(at)
    except ValueError:
        raise BadTable(f'"at" must be seconds since the epoch, not {str(at)[:40]!r}') from None
    return Symptom(str(service), str(metric or ""), moment if math.isfinite(moment) else None)


def _rows(
    lines: Iterable[str], columns: Sequence[str], *, needed: int
) -> Iterator[tuple[int, list[str]]]:
    """Line number and the named columns of each row, in that order; the first `needed` must be
    in the header. Raises BadTable.
    """
    # Zero bytes come with cut-off files; a value never holds one.
    reader = csv.reader(line.replace("\0", "") for line in lines)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in columns[:needed] if name not in header]
        if header and missing:
            raise BadTable(f"line 1 lacks the columns {', '.join(missing)}")
        places = [header.index(name) if name in header else -1 for name in columns]
        for row in reader:
            if not row:
                continue
            if len(row) < len(header):
                raise BadTable(
                    f"line {reader.line_num} has {len(row)} columns and not {len(header)}"
                )
            yield reader.line_num, [row[place] if place >= 0 else "" for place in places]
    except csv.Error as error:
        raise BadTable(f"line {reader.line_num}: {error}") from None


def _whole(text: str, column: str, number: int) -> int:
    try:
        return int(text)
    except ValueError:
        pass
    found = _figure(text, column, number)
    if found is None:
        raise BadTable(f"line {number}: {column} is {text[:40]!r} and not a number of nanoseconds")
    return int(found)


def _figure(text: str, column: str, number: int) -> float | None:
    """A finite number; None where it is missing, NaN or infinite."""
    text = text.strip()
    if not text or text.lower() in {"null", "none", "na", "n/a"}:
        return None
    try:
        value = float(text)
    except ValueError:
        raise BadTable(f"line {number}: {column} is {text[:40]!r} and not a number") from None
    return value if math.isfinite(value) else None
