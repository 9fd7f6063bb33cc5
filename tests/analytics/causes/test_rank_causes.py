"""`manage.py rank_causes`: a folder in, a ranking out, and a sentence where something is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.analytics.causes.traffic import shop

TRACES = "trace_id,span_id,parent_id,service,operation,start_ns,end_ns,status\n"
METRICS = "at,service,metric,value\n"


def ask(folder: Path) -> tuple[list[dict[str, Any]], str]:
    said = io.StringIO()
    call_command("rank_causes", input=str(folder), output=str(folder / "out.json"), stderr=said)
    return json.loads((folder / "out.json").read_text()), said.getvalue()


def write_traces(folder: Path, network: float) -> None:
    folder.mkdir(exist_ok=True)
    rows = (
        ",".join(str(field) for field in call[:7]) + "," for call in shop(network=network).calls
    )
    (folder / "traces.csv").write_text(TRACES + "\n".join(rows))


def test_a_folder_is_ranked(tmp_path: Path) -> None:
    write_traces(tmp_path, network=500)
    write_traces(tmp_path / "normal", network=1)
    (tmp_path / "metrics.csv").write_text(METRICS + "1,a,cpu,nan\n2,a,cpu,\n3,a,cpu,inf\n")
    found, said = ask(tmp_path)
    assert found[0]["service"] == "stock"
    assert found[0]["score"] > 0.5
    assert found[0]["evidence"][0].keys() == {"kind", "text", "value", "normal"}
    assert "no logs" in said


def test_an_empty_folder_is_not_enough_data(tmp_path: Path) -> None:
    found, said = ask(tmp_path)
    assert found == []
    assert "Not enough data: no traces" in said


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("traces.csv", TRACES + "t,s,,web,GET,x,2,\n", "line 2: start_ns is 'x'"),
        ("traces.csv", "a,b\n", "line 1 lacks the columns trace_id"),
        ("metrics.csv", METRICS + "1,a\n", "line 2 has 2 columns and not 4"),
        ("metrics.csv", METRICS + "1,a,cpu,high\n", "line 2: value is 'high'"),
        ("target.json", "{", "is not JSON"),
        ("target.json", "[]", "must be an object"),
        ("target.json", '{"service": "a", "at": "soon"}', "must be seconds since the epoch"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: str, complaint: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CommandError, match="out") as failure:
        ask(tmp_path)
    assert complaint in str(failure.value)
    assert name in str(failure.value)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a folder"):
        ask(tmp_path / "absent")
