"""`manage.py group_messages`: one group id for each line, whatever the lines hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def run(folder: Path, content: bytes) -> list[str]:
    source, target = folder / "in.txt", folder / "out.txt"
    source.write_bytes(content)
    call_command("group_messages", input=str(source), output=str(target))
    return target.read_text().splitlines()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a 1\na 2\nb\n", ["1", "1", "2"]),
        (b"a 1\r\na 2\r\n\r\n\r\n", ["1", "1", "2", "2"]),
        (b"no end of line", ["1"]),
        (b"\n\n\n", ["1", "1", "1"]),
        (b"\xff\xfe broken\n\xff\xfe broken\n", ["1", "1"]),
        ("\ufeffa 1\na 2\n".encode(), ["1", "1"]),
        (b"page\x0cbreak\nvertical\x0btab\x85\n\xe2\x80\xa8\n", ["1", "2", "3"]),
        (b"x " * 100_000 + b"end\nx\n", ["1", "2"]),
    ],
    ids=["empty", "lines", "crlf", "open end", "blank", "undecodable", "bom", "breaks", "long"],
)
def test_one_id_a_line(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    assert run(tmp_path, content) == expected


def test_more_lines_than_a_buffer_holds(tmp_path: Path) -> None:
    lines = 120_000
    assert run(tmp_path, b"".join(b"took %d ms\n" % n for n in range(lines))) == ["1"] * lines


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    with pytest.raises(CommandError, match="does not exist"):
        call_command("group_messages", input=str(source), output=str(tmp_path / "out"))
    source.write_text("a\n")
    with pytest.raises(CommandError, match="is the input as well"):
        call_command("group_messages", input=str(source), output=str(source))
    assert source.read_text() == "a\n"
    with pytest.raises(CommandError, match="is a folder"):
        call_command("group_messages", input=str(source), output=str(tmp_path))
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command("group_messages", input=str(source), output=str(tmp_path / "no" / "out"))
