"""`manage.py detect_anomalies`: the same rows with scores, or a sentence about what is wrong."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def detect(folder: Path, text: str | bytes) -> list[dict[str, str]]:
    source, target = folder / "in.csv", folder / "out.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    call_command("detect_anomalies", input=str(source), output=str(target), verbosity=0)
    with target.open(newline="") as lines:
        return list(csv.DictReader(lines))


def series(values: list[str]) -> str:
    rows = [
        f"2026-01-{1 + i // 1440:02} {i // 60 % 24:02}:{i % 60:02}:00,{v}"
        for i, v in enumerate(values)
    ]
    return "\n".join(["timestamp,value", *rows, ""])


def test_each_row_comes_back_with_its_score(tmp_path: Path) -> None:
    noise = random.Random(5)
    values = [f"{noise.gauss(10, 1):.4f}" for _ in range(600)]
    values[500] = "99"
    values[20] = ""
    values[21] = "NaN"
    rows = detect(tmp_path, series(values))
    assert [row["value"] for row in rows] == values
    assert list(rows[0]) == ["timestamp", "value", "anomaly_score", "is_anomaly"]
    assert rows[0]["timestamp"] == "2026-01-01 00:00:00"
    assert float(rows[20]["anomaly_score"]) == float(rows[21]["anomaly_score"]) == 0
    assert rows[500]["is_anomaly"] == "1"
    assert all((float(r["anomaly_score"]) >= 0.5) == (r["is_anomaly"] == "1") for r in rows)
    assert sum(row["is_anomaly"] == "1" for row in rows) <= 4


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,value\n",
        "",
        "timestamp,value\n2026-01-01 00:00:00,5\n",
        "1700000000,1\n1700000060,\n1700000120000,1e308\n",
        "timestamp,value\r\n2026-01-01T00:00:00Z,1\r\n2026-01-01T00:00:00Z,-inf\r\n",
    ],
)
def test_few_rows_are_not_judged(tmp_path: Path, text: str) -> None:
    rows = detect(tmp_path, text)
    assert len(rows) == sum(line[:1].isdigit() for line in text.splitlines())
    assert {row["anomaly_score"] for row in rows} <= {"0.000000"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,value\n2026-01-01 00:00:00,abc\n", "line 2: 'abc' is no number"),
        ("timestamp,value\nyesterday,1\n", "line 2: 'yesterday' is no time"),
        ("timestamp,value\n2026-01-01 00:00:00\n", "line 2 has one column"),
        ("timestamp,value\nnan,1\n", "line 2: 'nan' is no time"),
        ("at,name,n\n1,a,2\n", "line 1 does not name the columns"),
        (b"timestamp,value\n\xff\xfe,1\n", "line 2"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        detect(tmp_path, text)


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    text = "id,Value,Timestamp\n1,5.0,2026-01-01 00:00:00\n2,,2026-01-01 00:01:00\n"
    rows = detect(tmp_path, text)
    assert [(row["timestamp"], row["value"]) for row in rows] == [
        ("2026-01-01 00:00:00", "5.0"),
        ("2026-01-01 00:01:00", ""),
    ]


def test_a_missing_file_and_the_input_as_output_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nothing\.csv: No such file"):
        call_command("detect_anomalies", input=str(tmp_path / "nothing.csv"), output="x")
    same = tmp_path / "same.csv"
    same.write_text("timestamp,value\n")
    with pytest.raises(CommandError, match="is the input as well"):
        call_command("detect_anomalies", input=str(same), output=str(same))
    assert same.read_text() == "timestamp,value\n"
