"""Attribute sets that explain real incidents, beside two plain rules on the same rows.

A case is right when the leading sets are exactly the true ones, as many as there are. The rules:
coverage times contrast (the set's share of the failures, times its failure rate minus the rate of
all others), and lift (the highest failure rate among sets with at least 0.6 of the failures beyond
the expected). No rule looks at more than three conditions.
"""

from __future__ import annotations

import ast
import csv
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, NamedTuple

from analytics.domain.differences.explanation import described, explain
from analytics.domain.differences.rows import moments_of
from analytics.domain.differences.table import Row, table_of
from tests.bench.running import ROOT

DATA = ROOT.parent / "shared" / "data" / "rs_attributes"
LEAST = 0.80
_ENTRY = re.compile(r"- data: (.*)\n\s*timestamp: (.*)\n\s*cause: (.*)")

Conditions = frozenset[tuple[str, str]]
Rule = Callable[[list[Row]], list[Conditions]]


class Case(NamedTuple):
    name: str
    rows: list[Row]
    causes: set[Conditions]


def cases(most_bytes: int | None = None) -> Iterator[Case]:
    """The incidents with their true sets, in the order of the list; those of small files only, if
    it is said how small."""
    for name, at, cause in _ENTRY.findall((DATA / "anomaly.yaml").read_text(encoding="utf-8")):
        if most_bytes is not None and (DATA / f"{name}.csv").stat().st_size > most_bytes:
            continue
        with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            found = moments_of(reader.fieldnames or (), reader, at.strip())
        causes = ast.literal_eval(cause)
        given = causes if isinstance(causes, list) else [causes]
        true = {frozenset((key, str(value)) for key, value in one.items()) for one in given}
        yield Case(name, list(found.rows), true)


def ours(rows: list[Row]) -> list[Conditions]:
    return [frozenset(described(one).attributes.items()) for one in explain(table_of(rows))]


def _by(measure: Callable[[list[float], list[float]], float]) -> Rule:
    """The sets by a measure of their sums and those of all rows."""

    def rule(rows: list[Row]) -> list[Conditions]:
        sums: dict[Conditions, list[float]] = defaultdict(lambda: [0.0] * 4)
        whole = [0.0] * 4
        for row in rows:
            counts = (row.failed, row.total, row.failed_before, row.total_before)
            whole = [a + b for a, b in zip(whole, counts, strict=True)]
            for size in (1, 2, 3):
                for items in combinations(row.attributes.items(), size):
                    held = sums[frozenset(items)]
                    for at, count in enumerate(counts):
                        held[at] += count
        # Of equal ones the one with fewer conditions.
        order = sorted(sums, key=lambda one: (-measure(sums[one], whole), len(one)))
        return order[:4]

    return rule


def _coverage_and_contrast(held: list[float], whole: list[float]) -> float:
    failed, total = held[:2]
    inside = failed / max(total, 1)
    outside = (whole[0] - failed) / max(whole[1] - total, 1)
    return failed / max(whole[0], 1) * (inside - outside)


def _lift(held: list[float], whole: list[float]) -> float:
    beyond, all_beyond = (one[0] - one[2] / max(one[3], 1) * one[1] for one in (held, whole))
    return held[0] / max(held[1], 1) if beyond >= 0.6 * all_beyond else -1.0


WAYS: dict[str, Rule] = {
    "ours": ours,
    "coverage x contrast": _by(_coverage_and_contrast),
    "lift at coverage 0.6": _by(_lift),
}


def right(rule: Rule, case: Case) -> bool:
    return set(rule(case.rows)[: len(case.causes)]) == case.causes


def measure() -> dict[str, Any]:
    given = list(cases()) if DATA.exists() else []
    figures: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cases": len(given),
        "target": LEAST,
        "ways": {},
    }
    for name, rule in WAYS.items() if given else ():
        started = time.perf_counter()
        marks = [right(rule, case) for case in given]
        figures["ways"][name] = {
            "exact": statistics.mean(marks),
            "even": statistics.mean(marks[::2]),
            "odd": statistics.mean(marks[1::2]),
            "seconds_per_case": (time.perf_counter() - started) / len(given),
            "wrong": [case.name for case, mark in zip(given, marks, strict=True) if not mark],
        }
    return figures


def table(figures: dict[str, Any]) -> str:
    if not figures["cases"]:
        return f"Skipped: no incidents in {DATA}"
    lines = [
        f"Exact attribute sets of {figures['cases']} incidents (target {figures['target']:.2f})",
        f"{'':<22}{'all':>7}{'even':>7}{'odd':>7}{'s/case':>9}",
    ]
    for name, found in figures["ways"].items():
        lines.append(
            f"{name:<22}{found['exact']:>7.3f}{found['even']:>7.3f}{found['odd']:>7.3f}"
            f"{found['seconds_per_case']:>9.3f}"
        )
    return "\n".join(lines)
