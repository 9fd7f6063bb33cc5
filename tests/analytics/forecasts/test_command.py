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


@pytest.mark.parametrize("unit", [10**3, 10**6, 10**9])
def test_smaller_units_stay_what_they_are(tmp_path: Path, unit: int) -> None:
    rows = [((1_700_000_000 + 60 * n) * unit, n % 7) for n in range(200)]
    found = _forecast(_write(tmp_path / "in.csv", rows), 3)
    assert [int(row["timestamp"]) for row in found] == [
        (1_700_012_000 + 60 * n) * unit for n in range(3)
    ]


def test_days_stay_days(tmp_path: Path) -> None:
    rows = [((datetime(2026, 1, 1) + n * 24 * _HOUR).date(), n % 7) for n in range(60)]
    found = _forecast(_write(tmp_path / "in.csv", rows), 2)
    assert [row["timestamp"] for row in found] == ["2026-03-02", "2026-03-03"]


def test_columns_may_stand_in_any_order_and_without_names(tmp_path: Path) -> None:
    rows = _hours(240)
    usual = _forecast(_write(tmp_path / "usual.csv", rows))
    swapped: list[tuple[object, object]] = [(value, f"{at},x") for at, value in rows]
    assert _forecast(_write(tmp_path / "swapped.csv", swapped, "Value,Timestamp,name")) == usual
    (at, value), *rest = rows
    assert _forecast(_write(tmp_path / "bare.csv", rest, f"{at},{value}")) == usual


def test_the_largest_numbers_are_forecast_like_others(tmp_path: Path) -> None:
    rows = [(at, 1.7e308 * (-1) ** n) for n, (at, _) in enumerate(_hours(240))]
    for row in _forecast(_write(tmp_path / "in.csv", rows)):
        assert (
            -1.8e308 < float(row["lower"]) <= float(row["value"]) <= float(row["upper"]) < 1.8e308
        )


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
        ([("yesterday", 1)], "timestamp,value", "line 2: 'yesterday' is no time"),
        ([("2026-01-01 00:00:00", "much")], "timestamp,value", "'much' is no number"),
        ([(1, "a,2")], "at,name,n", "columns timestamp and value"),
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
