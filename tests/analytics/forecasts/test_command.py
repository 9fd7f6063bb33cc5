"""`manage.py forecast`: the rows that it writes, and what it says of files it cannot use."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

_HOUR = timedelta(hours=1)


def _write(path: Path, rows: list[tuple[object, object]], header: str = "timestamp,value") -> Path:
    path.write_text("\n".join([header, *(f"{at},{value}" for at, value in rows)]) + "\n")
    return path


def _hours(count: int, form: str = "%Y-%m-%d %H:%M:%S") -> list[tuple[object, object]]:
    begin = datetime(2026, 1, 1)
    rhythm = 10 + 5 * np.sin(2 * np.pi * np.arange(count) / 24)
    return [((begin + n * _HOUR).strftime(form), round(float(rhythm[n]), 6)) for n in range(count)]


def _forecast(source: Path, horizon: int = 24) -> list[dict[str, str]]:
    target = source.with_suffix(".out.csv")
    call_command("forecast", input=str(source), output=str(target), horizon=horizon)
    with target.open(newline="") as lines:
        reader = csv.DictReader(lines)
        rows = list(reader)
    assert reader.fieldnames == ["timestamp", "value", "lower", "upper"]
    return rows


@pytest.mark.parametrize(
    ("form", "first"),
    [
        ("%Y-%m-%d %H:%M:%S", "2026-01-11 00:00:00"),
        ("%Y-%m-%dT%H:%M:%SZ", "2026-01-11T00:00:00Z"),
        ("%Y-%m-%dT%H:%M:%S+02:00", "2026-01-11T00:00:00+02:00"),
    ],
)
def test_times_go_on_in_the_form_that_they_came_in(tmp_path: Path, form: str, first: str) -> None:
    rows = _forecast(_write(tmp_path / "in.csv", _hours(240, form)))
    assert len(rows) == 24
    assert rows[0]["timestamp"] == first
    for row in rows:
        assert float(row["lower"]) <= float(row["value"]) <= float(row["upper"])


def test_unix_seconds_stay_unix_seconds(tmp_path: Path) -> None:
    rows = [(1_700_000_000 + 60 * n, n % 7) for n in range(200)]
    assert _forecast(_write(tmp_path / "in.csv", rows), 3)[0]["timestamp"] == "1700012000"


def test_gaps_doubles_and_disorder_are_taken_as_they_come(tmp_path: Path) -> None:
    rows = _hours(240)
    rows[30] = (rows[30][0], "NaN")
    rows[31] = (rows[31][0], "")
    rows[5], rows[90] = rows[90], rows[5]
    rows += [rows[7]]
    del rows[100:104]
    found = _forecast(_write(tmp_path / "in.csv", rows))
    assert abs(float(found[6]["value"]) - 15) < 0.5


@pytest.mark.parametrize(
    ("rows", "header", "says"),
    [
        ([("2026-01-01 00:00:00", 1)], "timestamp,value", "not enough data: needs"),
        ([], "timestamp,value", "not enough data"),
        ([("yesterday", 1)], "timestamp,value", "line 2: 'yesterday' is not a time"),
        ([("2026-01-01 00:00:00", "much")], "timestamp,value", "'much' is not a number"),
        ([(1, 2)], "at,n", "columns timestamp and value"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, rows: list[tuple[object, object]], header: str, says: str
) -> None:
    source = _write(tmp_path / "in.csv", rows, header)
    with pytest.raises(CommandError, match=says) as told:
        _forecast(source)
    assert str(source) in str(told.value)


def test_a_missing_file_and_an_impossible_horizon_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        _forecast(tmp_path / "none.csv")
    with pytest.raises(CommandError, match="--horizon 0"):
        _forecast(_write(tmp_path / "in.csv", _hours(100)), 0)
