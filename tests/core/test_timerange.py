from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import UNITS, TimeRange, parse_instant, parse_range

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=ZONES)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("15m", NOW - timedelta(minutes=15)),
        ("-15m", NOW - timedelta(minutes=15)),
        ("now-1h", NOW - timedelta(hours=1)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-02-28T10:00:00Z", datetime(2026, 2, 28, 10, tzinfo=UTC)),
        ("2026-02-28T10:00:00.5+02:00", datetime(2026, 2, 28, 8, 0, 0, 500000, tzinfo=UTC)),
        ("2026-02-28T10:00:00 02:00", datetime(2026, 2, 28, 8, tzinfo=UTC)),
        ("2026-02-28t10:00z", datetime(2026, 2, 28, 10, tzinfo=UTC)),
        ("2026-02-28 10:00", datetime(2026, 2, 28, 10, tzinfo=UTC)),
        ("1772366400", NOW),
        ("1772366400.5", NOW + timedelta(seconds=0.5)),
    ],
)
def test_a_time_can_be_written_as_people_write_it(text: str, moment: datetime) -> None:
    assert parse_instant(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "yesterday", "now15m", "now+1h", "now-", "15 m", "1y", "１５m", "999999999w"),
        *("2026-02-28", "2026-02-30T00:00:00Z", "2026-02-28T25:00:00Z", "99999999999999", "\0"),
    ],
)
def test_what_is_no_time_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_instant(text, NOW, "query.until")
    [error] = refused.value.errors
    assert error.field == "query.until"
    assert error.message.endswith(".")
    assert "\n" not in error.message


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert parse_instant(text, NOW).tzinfo is UTC


@given(MOMENTS)
def test_an_rfc_3339_time_means_itself(moment: datetime) -> None:
    assert parse_instant(moment.isoformat(), NOW) == moment


@given(st.integers(0, 1000), st.sampled_from(sorted(UNITS)))
def test_a_length_of_time_counts_back_from_now(count: int, unit: str) -> None:
    assert parse_instant(f"{count}{unit}", NOW) == NOW - count * UNITS[unit]
    assert parse_instant(f"now-{count}{unit}", NOW) == NOW - count * UNITS[unit]


@given(st.none() | MOMENTS, st.none() | MOMENTS)
def test_a_range_is_never_empty_nor_too_long(
    since: datetime | None, until: datetime | None
) -> None:
    try:
        period = parse_range(
            since.isoformat() if since else None, until.isoformat() if until else None, now=NOW
        )
    except Invalid:
        return
    assert timedelta(0) < period.length <= timedelta(days=366)


def test_a_range_defaults_to_the_last_hour() -> None:
    assert parse_range(None, None, now=NOW) == TimeRange(NOW - timedelta(hours=1), NOW)
    assert parse_range("", "", now=NOW, default=timedelta(days=1)).length == timedelta(days=1)
    assert parse_range(None, "now-1h", now=NOW) == TimeRange(
        NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    )


def test_the_range_before_has_the_same_length_and_ends_where_this_starts() -> None:
    period = TimeRange(NOW - timedelta(hours=3), NOW)
    assert period.before() == TimeRange(NOW - timedelta(hours=6), NOW - timedelta(hours=3))


def test_a_range_that_runs_backwards_says_so() -> None:
    with pytest.raises(Invalid, match="must lie before"):
        parse_range("1h", "2h", now=NOW)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (None, "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:10:00Z"),
        (None, "0001-01-01T00:10:00Z"),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_the_ends_of_time_are_refused(since: str | None, until: str | None) -> None:
    with pytest.raises(Invalid):
        parse_range(since, until, now=NOW)
