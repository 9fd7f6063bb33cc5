"""The command that says which attributes the failures of a moment have in common."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from analytics.domain.differences.rows import seconds_of

START = 1_566_397_200


def csv_of(times: list[str], bad: str = "eu") -> str:
    """Rows of a few minutes; in the last one calls of one region fail."""
    lines = ["min,region,value,cnt,version"]
    for at, time in enumerate(times):
        for region in ("eu", "us", "ap"):
            for version in ("6", "7"):
                failed = 80 if region == bad and at == len(times) - 1 else 4
                lines.append(f"{time},{region},{failed},400,{version}")
    return "\n".join(lines) + "\n"


class Door:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = ""

    def ask(self, content: str | bytes, at: str) -> list[dict[str, Any]]:
        source, target = self.folder / "in.csv", self.folder / "out.json"
        source.write_bytes(content.encode() if isinstance(content, str) else content)
        errors = StringIO()
        call_command(
            "explain_difference",
            input=str(source),
            at=at,
            output=str(target),
            stderr=errors,
        )
        self.told = errors.getvalue()
        answer: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))
        return answer


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.mark.parametrize(
    "at",
    [
        "1566397320",
        "1566397320.0",
        "1566397350",
        "1566397320000",
        "2019-08-21T14:22:00Z",
        "2019-08-21T16:22:30+02:00",
        "2019-08-21 14:22",
    ],
)
def test_the_moment_may_be_written_in_any_way(door: Door, at: str) -> None:
    found = door.ask(csv_of([str(START + 60 * n) for n in range(3)]), at)
    assert found[0]["attributes"] == {"region": "eu"}
    assert found[0]["score"] == 1.0
    assert (found[0]["failed"], found[0]["total"]) == (160, 800)
    assert door.told == ""


def test_the_column_may_hold_texts_or_forms_of_its_own(door: Door) -> None:
    texts = ["2020-08-06 12:05:00", "2020-08-06 12:06:00", "2020-08-06 12:07:00"]
    assert door.ask(csv_of(texts), "2020-08-06 12:07:00")[0]["attributes"] == {"region": "eu"}
    assert door.ask(csv_of(texts), "2020-08-06T12:07:00Z")[0]["attributes"] == {"region": "eu"}
    assert door.ask(csv_of(["m01", "m02", "m03"]), "m03")[0]["attributes"] == {"region": "eu"}


def test_rows_after_the_moment_are_not_looked_at(door: Door) -> None:
    times = [str(START + 60 * n) for n in range(3)]
    assert door.ask(csv_of(times), str(START + 60)) == []
    assert "No set of attributes stands out: 24 failures of 2,400" in door.told


def test_bad_numbers_and_empty_values_are_said_and_lived_with(door: Door) -> None:
    text = csv_of([str(START), str(START + 60)]) + f"{START + 60},,nan,,\n{START + 60}\n"
    found = door.ask(text, str(START + 60))
    assert found[0]["attributes"] == {"region": "eu"}
    assert "2 of 14 rows have counts that are no numbers" in door.told


def test_without_earlier_rows_shares_are_compared_and_it_is_said(door: Door) -> None:
    found = door.ask(csv_of([str(START)]), str(START))
    assert found[0]["attributes"] == {"region": "eu"}
    assert "no earlier rows" in door.told


def test_one_row_and_no_failures_give_an_empty_list(door: Door) -> None:
    assert door.ask(f"min,a,value,cnt\n{START},x,0,0\n", str(START)) == []
    assert door.ask(f"min,value,cnt\n{START},50,100\n", str(START)) == []


def test_bytes_that_are_no_text_are_replaced(door: Door) -> None:
    content = csv_of([str(START), str(START + 60)]).encode().replace(b"eu", b"\xff\xfe")
    assert door.ask(content, str(START + 60))[0]["attributes"] == {"region": "\ufffd\ufffd"}


@pytest.mark.parametrize(
    ("content", "at", "told"),
    [
        ("min,a,value\n1,x,2\n", "1", "no column 'cnt'"),
        ("", "1", "no column 'min'"),
        ("min,a,value,cnt\n", "1", "there are no rows"),
        (csv_of([str(START)]), "tomorrow", "neither a value of the column 'min' nor a time"),
        (csv_of([str(START)]), str(START + 600), "no row has the time"),
        (csv_of([str(START)]), str(START - 1), "no row has the time"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    door: Door, content: str, at: str, told: str
) -> None:
    with pytest.raises(CommandError, match=told):
        door.ask(content, at)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("explain_difference", input="nowhere.csv", at="1", output=str(tmp_path / "o"))


def test_columns_are_named_in_any_case_and_impossible_counts_are_none(door: Door) -> None:
    times = [str(START + 60 * n) for n in range(4)]
    head, _, rest = csv_of(times).partition("\n")
    named = head.upper().replace(",", ", ").replace("MIN", " Min")
    usual = door.ask(csv_of(times), times[-1])
    odd = f"{times[-1]},us,1e308,1e308,6\n{times[-1]},ap,-5,10,6\n"
    found = door.ask(f"{named}\n{rest}{odd}", times[-1])
    assert [one["attributes"] for one in usual if one["leading"]] == [{"region": "eu"}]
    assert [one["attributes"] for one in found if one["leading"]] == [{"REGION": "eu"}]
    assert "2 of 26 rows have counts that are no numbers" in door.told


def test_times_are_read_in_their_units() -> None:
    for text in ("1566397320", "1566397320000", "1566397320000000", "1566397320000000000"):
        assert seconds_of(text) == 1_566_397_320
    assert seconds_of("nan") is None
    assert seconds_of("noon") is None
