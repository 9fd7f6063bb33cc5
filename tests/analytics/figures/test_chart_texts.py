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
        [(NOW, 0.5)], title="Errors per call", unit="1", step=HOUR, since=NOW - HOUR, until=NOW,
        question={},
        anomalies=[AnomalyMark(NOW, None, NOW, 1.0, 0.0, 0.9, f"1 {link} where 0 was expected")],
        releases=[(NOW, link), (NOW, "1.0 & later"), (NOW, "v" * 200)],
    )  # fmt: skip
    texts = [each["text"] for each in figure["layout"]["annotations"]]
    [marks] = [each for each in figure["data"] if each["name"] == "anomaly"]
    assert not [text for text in (*texts, *marks["text"]) if "<" in text]
    assert texts[0].startswith("&lt;a href=")
    assert texts[1:] == ["1.0 &amp; later", "v" * 40]
