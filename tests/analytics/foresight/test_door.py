"""The command that learns from some entities and gives alarms for the others."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.foresight.alarms import Score, score
from analytics.domain.foresight.histories import histories_of
from analytics.domain.foresight.tables import BadRow, rows_read, seconds_of
from tests.bench.failing_machines import SCENES, Machines, generate, smaller

HORIZON = 48 * 3600.0


def text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


class Door:
    """The command on files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = ""

    def write(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        return str(path)

    def machines(self, machines: Machines, *, failures_of: set[str] | None = None) -> None:
        self.write(
            "events.csv",
            "type,timestamp,entity\n"
            + "".join(f"{kind},{text(at)},{name}\n" for name, at, kind in reversed(machines.events))
            + "\n",
        )
        self.write(
            "failures.csv",
            "entity,timestamp,type\n"
            + "".join(
                f"{name},{text(at)},comp\n" * 2
                for name, at in machines.failures
                if failures_of is None or name in failures_of
            ),
        )

    def run(self, train: str, horizon: str = "48h") -> list[dict[str, str]]:
        errors = StringIO()
        output = self.folder / "alarms.csv"
        call_command(
            "evaluate_prediction",
            events=str(self.folder / "events.csv"),
            failures=str(self.folder / "failures.csv"),
            horizon=horizon,
            train=train,
            output=str(output),
            stderr=errors,
        )
        self.told = errors.getvalue()
        with output.open() as file:
            return list(csv.DictReader(file))


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def scored(alarms: list[dict[str, str]], machines: Machines, names: set[str]) -> Score:
    histories = histories_of(machines.events, machines.failures)
    at: dict[str, list[float]] = {}
    for alarm in alarms:
        moment = datetime.fromisoformat(alarm["timestamp"]).replace(tzinfo=UTC).timestamp()
        at.setdefault(alarm["entity"], []).append(moment)
    return score(
        {name: np.array(moments) for name, moments in at.items()}, histories.part(names), HORIZON
    )


def test_machines_that_were_not_learnt_from_are_foretold(door: Door) -> None:
    machines = generate(smaller(SCENES[0], 40, 160), seed=11)
    train = machines.entities[::2]
    others = set(machines.entities[1::2])
    door.machines(machines)
    alarms = door.run(",".join(train))
    result = scored(alarms, machines, others)
    assert result.f1 >= 0.8
    assert result.false_per_day <= 0.01
    assert {alarm["entity"] for alarm in alarms} <= others
    assert all(0 < float(alarm["probability"]) <= 1 for alarm in alarms)
    assert "A model of" in door.told
    # The same without any failure of those that are scored.
    door.machines(machines, failures_of=set(train))
    alarms = door.run(door.write("train.txt", "entity\n" + "\n".join(train)))
    assert scored(alarms, machines, others).f1 >= 0.8
    assert "No failures of the scored entities" in door.told


def test_entities_that_fail_without_any_event_hinder_nothing(door: Door) -> None:
    machines = generate(smaller(SCENES[0], 30, 160), seed=11)
    train, others = machines.entities[::2], set(machines.entities[1::2])
    silent = {machines.entities[0], machines.entities[1]}
    events = [each for each in machines.events if each[0] not in silent]
    door.machines(replace(machines, events=events))
    alarms = door.run(",".join(train))
    assert "A model of" in door.told
    assert alarms
    assert {alarm["entity"] for alarm in alarms} <= others - silent


def test_failures_alone_are_told_to_be_too_little(door: Door) -> None:
    door.write("events.csv", "entity,timestamp,type\n")
    door.write(
        "failures.csv",
        "entity,timestamp\n" + "".join(f"{e},2026-01-{d:02}\n" for e in "ab" for d in range(1, 26)),
    )
    assert door.run("a") == []
    assert "which needs 20 moments with events shortly before failures" in door.told


def test_times_in_milliseconds_are_read_and_written_as_they_are(door: Door) -> None:
    door.write(
        "events.csv",
        "entity,timestamp,type\na,1767225600000,x\nb,1767225600000,x\nb,1767225660000,y\n",
    )
    door.write("failures.csv", "entity,timestamp\n")
    assert [alarm["timestamp"] for alarm in door.run("a")] == ["1767225660000"]


def test_few_failures_are_left_to_the_rule(door: Door) -> None:
    door.write(
        "events.csv",
        "entity,timestamp,type\na,2026-01-01T00:00:00Z,x\nb,2026-01-05 06:00,x\n"
        "b,2026-01-05 06:30,y\nb,2026-01-05 06:40,x\nb,2026-01-09 06:40,x\n",
    )
    door.write("failures.csv", "entity,timestamp\na,2026-01-02\n")
    assert door.run("a, c") == [
        {"entity": "b", "timestamp": "2026-01-05 06:30", "probability": "0.6000"}
    ]
    assert "Safe rule instead of a model, which needs 20 failures to learn from, has 1" in door.told
    assert "two types of events within 60 min" in door.told
    assert "1 of 2 entities of --train occur nowhere, such as 'c'" in door.told


def test_nothing_to_score_is_an_empty_table(door: Door) -> None:
    door.write("events.csv", "entity,timestamp,type\na,2026-01-01,x\n")
    door.write("failures.csv", "entity,timestamp\n")
    assert door.run("a") == []


@pytest.mark.parametrize(
    ("events", "failures", "train", "horizon", "told"),
    [
        ("entity,timestamp\n", "entity,timestamp\n", "a", "48h", "events.csv, line 1: .*type is mis"),
        ("", "entity,timestamp\n", "a", "48h", "events.csv, line 1: the first line must name"),
        ("entity,timestamp,type\na,yesterday,x\n", "entity,timestamp\n", "a", "48h",
         "events.csv, line 2: 'yesterday' is no time"),
        ("entity,timestamp,type\n\na,2026-01-01\n", "entity,timestamp\n", "a", "48h",
         "events.csv, line 3: has 2 columns"),
        ("entity,timestamp,type\na,2026-01-01,x\n", "entity,timestamp\n,2026-01-01\n", "a", "48h",
         "failures.csv, line 2: entity is empty"),
        ("entity,timestamp,type\na,2026-01-01,x\n", "entity,timestamp\n", "q", "48h",
         "--train: none of its 1 entities occurs"),
        ("entity,timestamp,type\n", "entity,timestamp\n", " , ", "48h", "names no entity"),
        ("entity,timestamp,type\n", "entity,timestamp\n", "a", "soon", "'soon' is no duration"),
        ("entity,timestamp,type\n", "entity,timestamp\n", "a", "0h", "'0h' is no duration"),
    ],
)  # fmt: skip
def test_bad_input_is_named(
    door: Door, events: str, failures: str, train: str, horizon: str, told: str
) -> None:
    door.write("events.csv", events)
    door.write("failures.csv", failures)
    with pytest.raises(CommandError, match=told):
        door.run(train, horizon)


def test_a_missing_file_is_named(door: Door) -> None:
    with pytest.raises(CommandError, match=r"events\.csv cannot be read: No such file"):
        door.run("a")


def test_the_output_is_not_written_over_the_events(door: Door) -> None:
    content = "entity,timestamp,type\na,2026-01-01,x\n"
    door.write("alarms.csv", content)
    (door.folder / "events.csv").symlink_to(door.folder / "alarms.csv")
    door.write("failures.csv", "entity,timestamp\n")
    with pytest.raises(CommandError, match="is the input as well"):
        door.run("a")
    assert (door.folder / "alarms.csv").read_text() == content


@given(st.text(max_size=80))
def test_any_text_is_rows_or_a_named_line(content: str) -> None:
    lines = ["entity,timestamp,type\n", *content.splitlines(keepends=True)]
    try:
        rows = rows_read(lines, ("entity", "timestamp", "type"))
    except BadRow as error:
        told = str(error)
    else:
        told = "line"
        assert all(len(values) == 3 for _, values in rows)
    assert told.startswith("line")


def test_durations_have_units() -> None:
    assert [seconds_of(each) for each in ("48h", "2d", "30 m".replace(" ", ""), "1.5h", "90s")] == [
        172_800, 172_800, 1_800, 5_400, 90,
    ]  # fmt: skip
