"""Rows of lists of runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from healing.models import HealingRun
from healing.views.words import run_verdict, shown_state, target_link, took


@dataclass(frozen=True)
class RunRow:
    """A run, its state as its badge has it, what it acts on and how long it took."""

    run: HealingRun
    state: str
    sentence: str
    target_link: str
    took: str


def run_rows(runs: Iterable[HealingRun], now: datetime) -> list[RunRow]:
    return [
        RunRow(
            run=each,
            state=shown_state(each),
            sentence=run_verdict(each, now).sentence,
            target_link=target_link(each.target_kind, each.target, each.service),
            took=took(each.started_at, each.ended_at),
        )
        for each in runs
    ]
