"""Spells: what begins one, what goes on, what ends it, and what is too few calls to matter."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.anomalies.storing import Unreadable, packed, unpacked
from analytics.domain.anomalies.watching import CALM, MINUTE, Kind, Sample, Spell, Watch

RATE = Kind(ratio=True, less_is_news=False)
NOISE = random.Random(11)
CALM_RATES = [Sample(i * MINUTE, NOISE.randrange(0, 5) / 200, 200) for i in range(500)]


def watched(samples: list[Sample], kind: Kind = RATE) -> tuple[Watch, list[Spell]]:
    watch = Watch()
    found = []
    for sample in samples:
        spell = watch.see(sample, kind)
        if spell:
            found.append(replace(spell))
    return watch, found


def then(rates: list[float], calls: int, calm: list[Sample] | None = None) -> list[Spell]:
    """What is told of rates that follow calm ones."""
    calm = CALM_RATES if calm is None else calm
    tail = [Sample((len(calm) + i) * MINUTE, r, calls) for i, r in enumerate(rates)]
    return [s for s in watched(calm + tail)[1] if s.started_at >= tail[0].at]


def test_a_spell_begins_goes_on_and_ends_with_its_worst_moment() -> None:
    spells = then([0.3, 0.6, 0.4, *[0.01] * 25], 200)
    begun = 500 * MINUTE
    assert {spell.started_at for spell in spells} == {begun}
    assert [spell.ended for spell in spells].count(True) == 1
    last = spells[-1]
    assert last.ended
    assert last.ended_at is not None
    assert last.ended_at - last.started_at <= 3 * MINUTE + CALM
    assert last.score >= 0.5
    assert last.lower <= last.expected <= last.upper < last.value
    assert last.expected == pytest.approx(0.01, abs=0.01)


@pytest.mark.parametrize(("rate", "calls"), [(0.5, 2), (1.0, 1), (1.0, 3)])
def test_few_calls_are_no_news(rate: float, calls: int) -> None:
    assert then([rate], calls) == []


def test_many_calls_with_the_same_rate_are_news() -> None:
    assert then([0.5], 400)


def test_fewer_errors_than_expected_are_no_news() -> None:
    calm = [Sample(i * MINUTE, 0.3 + NOISE.randrange(-5, 6) / 200, 200) for i in range(400)]
    assert then([0.0] * 15, 200, calm) == []


def test_traffic_that_stops_is_news() -> None:
    traffic = [Sample(i * MINUTE, NOISE.randrange(90, 110) / 60, 60) for i in range(400)]
    stopped = [Sample((400 + i) * MINUTE, 0.0, 60) for i in range(5)]
    assert any(spell.started_at >= 400 * MINUTE for spell in watched(traffic + stopped, Kind())[1])


def test_a_series_that_falls_silent_in_a_spell_ends_it() -> None:
    silence = [Sample((501 + i) * MINUTE, None) for i in range(12)]
    _, spells = watched([*CALM_RATES, Sample(500 * MINUTE, 0.9, 200), *silence])
    assert spells[-1].ended


def test_what_is_known_survives_as_bytes() -> None:
    watch, _ = watched([*CALM_RATES, Sample(500 * MINUTE, 0.9, 200)])
    again = unpacked(packed(watch))
    assert again.spell == watch.spell
    assert again.spell is not None
    for minute in range(501, 560):
        sample = Sample(minute * MINUTE, 0.02, 200)
        before, after = watch.see(sample, RATE), again.see(sample, RATE)
        assert before == after
    assert len(packed(watch)) < 40_000


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        unpacked(data)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_damaged_bytes_are_refused_or_read(at: int, byte: int) -> None:
    data = bytearray(packed(Watch()))
    data[at % len(data)] = byte
    try:
        unpacked(bytes(data))
    except Unreadable:
        return
