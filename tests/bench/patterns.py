"""Messages grouped by template, beside drain3 on the same lines in the same run.

GA is the share of lines whose group holds exactly the lines of one true group; FGA is the F1 over
groups that do. Both are read from loghub's labels, which stay where they are. The anchor is drain3
with its defaults (A) and with its own masking examples (B), one configuration for all sets.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from analytics.domain.templates.miner import Miner
from tests.bench.running import ROOT

DATA = ROOT.parent / "shared" / "data" / "loghub"
LEAST_GA, LEAST_FGA, LEAST_WORST, LEAST_RATE = 0.87, 0.85, 0.5, 20_000
# Lines of the rate through the whole command: all sets together, so many times.
_REPEATS = 25

Grouping = Callable[[Sequence[str]], Sequence[Hashable]]


class Score(NamedTuple):
    ga: float
    fga: float
    groups: int
    true_groups: int


def score(found: Sequence[Hashable], true: Sequence[Hashable]) -> Score:
    """GA and FGA of a grouping; raises `ValueError` when it lost or made up lines."""
    found_groups, true_groups = _members(found), _members(true)
    right_ones = set(true_groups)
    right = [lines for lines in found_groups if lines in right_ones]
    if len(found) != len(true):
        raise ValueError(f"{len(found)} groups for {len(true)} lines")
    ga = sum(map(len, right)) / len(true)
    fga = 2 * len(right) / (len(found_groups) + len(true_groups))
    return Score(ga, fga, len(found_groups), len(true_groups))


def _members(groups: Sequence[Hashable]) -> list[tuple[int, ...]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for line, group in enumerate(groups):
        members[group].append(line)
    return [tuple(lines) for lines in members.values()]


def read(name: str) -> tuple[list[str], list[str]]:
    """The messages of a set, and the true group of each."""
    path = DATA / name / f"{name}_2k.log_structured.csv"
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["Content"] for row in rows], [row["EventId"] for row in rows]


def sets() -> list[str]:
    """The sets that are there; none where the data folder is absent."""
    return sorted(path.name for path in DATA.iterdir() if path.is_dir()) if DATA.exists() else []


_ALONE = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
_MASKS = (
    (r"(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))", "ID"),
    (r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})", "IP"),
    (r"([0-9a-f]{6,} ?){3,}", "SEQ"),
    (r"([0-9A-F]{4} ?){4,}", "SEQ"),
    (r"(0x[a-f0-9A-F]+)", "HEX"),
    (r"([\-\+]?\d+)", "NUM"),
)


def drain(messages: Sequence[str], *, masks: bool) -> list[int]:
    """drain3 with depth 4 and similarity 0.4; with `masks`, its README's generic ones."""
    # Comes with the benchmarks alone; the tests of the score do without.
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    config = TemplateMinerConfig()
    config.profiling_enabled = False
    if masks:
        before, after = _ALONE
        config.masking_instructions = [
            MaskingInstruction(before + pattern + after, name) for pattern, name in _MASKS
        ]
    miner = TemplateMiner(config=config)
    return [miner.add_log_message(message)["cluster_id"] for message in messages]


def ours(messages: Sequence[str]) -> list[int]:
    return list(Miner().group(messages))


WAYS: dict[str, Grouping] = {
    "ours": ours,
    "drain3 A": lambda messages: drain(messages, masks=False),
    "drain3 B": lambda messages: drain(messages, masks=True),
}


def measure() -> dict[str, Any]:
    """Scores and lines/s of each way on each set, and the rate through the command."""
    names = sets()
    figures: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "sets": {}}
    seconds: dict[str, float] = defaultdict(float)
    lines: list[str] = []
    # Imported before anything is timed.
    drain([], masks=True)
    for name in names:
        messages, true = read(name)
        lines += messages
        figures["sets"][name] = {}
        for way, group in WAYS.items():
            started = time.process_time()
            found = group(messages)
            seconds[way] += time.process_time() - started
            figures["sets"][name][way] = score(found, true)._asdict()
    if names:
        figures["lines_per_second"] = {way: len(lines) / spent for way, spent in seconds.items()}
        figures["command_lines_per_second"] = _through_command(lines * _REPEATS)
    return figures


def _through_command(lines: Sequence[str]) -> float:
    """Lines per second of processor time of `manage.py group_messages`, its start included."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "messages.txt"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        timed = (
            "import os, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2);"
            "used = os.times(); print(used.children_user + used.children_system)"
        )
        command = (sys.executable, str(ROOT / "manage.py"), "group_messages")
        files = ("--input", str(source), "--output", str(Path(folder) / "groups.txt"))
        done = subprocess.run(
            [sys.executable, "-c", timed, *command, *files],
            check=True, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
    return len(lines) / float(done.stdout)


def table(figures: dict[str, Any]) -> str:
    if not figures["sets"]:
        return f"  skipped: no message sets in {DATA}"
    rows = [f"  {'GA / FGA':<12}" + "".join(f"{way:>18}" for way in WAYS) + f"{'groups/true':>14}"]
    for name, ways in figures["sets"].items():
        cells = "".join(f"{ways[way]['ga']:>10.3f} / {ways[way]['fga']:.3f}" for way in WAYS)
        own = ways["ours"]
        rows.append(f"  {name:<12}{cells}{own['groups']:>10}/{own['true_groups']}")
    for word, pick in (("mean", statistics.mean), ("worst", min)):
        cells = ""
        for way in WAYS:
            ga, fga = (pick(s[way][key] for s in figures["sets"].values()) for key in ("ga", "fga"))
            cells += f"{ga:>10.3f} / {fga:.3f}"
        rows.append(f"  {word:<12}{cells}")
    rates = figures["lines_per_second"]
    rows.append(f"  {'lines/s':<12}" + "".join(f"{rates[way]:>18,.0f}" for way in WAYS))
    rows.append(
        f"  target: mean {LEAST_GA} / {LEAST_FGA}, worst set {LEAST_WORST}, {LEAST_RATE:,} lines/s;"
        f" the whole command: {figures['command_lines_per_second']:,.0f} lines/s"
    )
    return "\n".join(rows)
