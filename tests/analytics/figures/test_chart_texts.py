"""What senders wrote stands in charts as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from analytics.figures_trends import trend_figure
from analytics.selectors.anomalies import AnomalyMark

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_versions_and_units_cannot_put_links_into_a_chart() -> None:
    link = '<a href="https://elsewhere.example">sign in</a>'
    figure = trend_figure(
        [(NOW, 0.5)], title="Errors per call", unit="1", step=HOUR, since=NOW - 3 * HOUR, until=NOW,
        question={},
        anomalies=[AnomalyMark(NOW, None, NOW, 1.0, 0.0, 0.9, f"1 {link} where 0 was expected")],
        releases=[
            (NOW - 2 * HOUR, link), (NOW - HOUR, "1.0 & later"), (NOW, "v" * 200),
        ],
    )  # fmt: skip
    texts = [each["text"] for each in figure["layout"]["annotations"]]
    [marks] = [each for each in figure["data"] if each["name"] == "anomaly"]
    assert not [text for text in (*texts, *marks["text"]) if "<" in text]
    assert texts[0].startswith("&lt;a href=")
    assert texts[1:] == ["1.0 &amp; later", "v" * 40]


def written(*releases: tuple[float, str]) -> list[tuple[float, str, str]]:
    """Where versions are written, in hours of a day, on which side of their line, and what."""
    began = NOW - 24 * HOUR
    figure = trend_figure(
        [(NOW, 0.5)], title="Errors per call", unit="1", step=HOUR, since=began, until=NOW,
        question={}, releases=[(began + hours * HOUR, version) for hours, version in releases],
    )  # fmt: skip
    return [
        ((datetime.fromisoformat(each["x"]) - began) / HOUR, each["xanchor"], each["text"])
        for each in figure["layout"]["annotations"]
    ]


def test_versions_that_come_close_are_written_once() -> None:
    assert written((10, "2.0"), (2, "1.0")) == [(2, "left", "1.0"), (10, "left", "2.0")]
    assert written((10.5, "2.1"), (10, "2.0")) == [(10, "left", "2.0, 2.1")]
    assert written((10, "2.0"), (11, "2.1"), (12, "2.2")) == [(10, "left", "2.0 … 2.2 (3)")]
    # A version that another service rolls out as well.
    assert written((10, "2.0"), (11, "2.0")) == [(10, "left", "2.0")]


def test_versions_at_the_right_edge_stand_left_of_their_line() -> None:
    assert written((23, "2.0"), (1, "1.0")) == [(1, "left", "1.0"), (23, "right", "2.0")]
