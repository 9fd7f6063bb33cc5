"""The page of trends: the same figures in its chart, its table and the API, and honest gaps."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from analytics.models import Anomaly, Exhaustion, Forecast, Release
from tests.analytics.figures.history import MINUTE, write_calls

pytestmark = pytest.mark.usefixtures("store")

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOUR = timedelta(hours=1)


def history(service: str = "planner", days: int = 1) -> None:
    write_calls(
        service, NOW - timedelta(days=days), NOW,
        lambda at: None if at.hour == 3 else (20, 1 if at.hour < 12 else 2, 20.0 + at.hour),
        every=10 * MINUTE,
    )  # fmt: skip


def test_a_page_without_a_range_leads_to_the_last_day(viewer: Client) -> None:
    answer = viewer.get("/trends?metric=traffic")
    assert (answer.status_code, answer["Location"]) == (302, "/trends?metric=traffic&since=24h")


def test_chart_table_and_api_say_the_same(viewer: Client) -> None:
    history()
    # A fixed day: the last one may end between two of the questions.
    since, until = (int(at.timestamp()) for at in (NOW - 24 * HOUR, NOW))
    question = f"metric=error_rate&service=planner&since={since}&until={until}"
    points = viewer.get(f"/api/v1/trends?{question}").json()["points"]
    figure = viewer.get(f"/charts/trend.json?{question}").json()
    drawn = next(trace for trace in figure["data"] if trace["name"] == "Errors per call")
    assert [None if p["value"] is None else pytest.approx(p["value"] * 100) for p in points] == (
        drawn["y"]
    )
    assert None in drawn["y"]
    page = viewer.get(f"/trends?{question}").content.decode()
    rows = re.findall(
        r'<tr><th scope="row"><time datetime="([^"]+)".*?<td class="num">([^<]+)<', page
    )
    known = [point for point in points if point["value"] is not None]
    assert len(rows) == len(known) > 20
    assert {word for _, word in rows} <= {"5 %", "10 %", "7.5 %", "5.83 %", "6.67 %", "9.17 %"} | {
        f"{100 * point['value']:.3g} %" for point in known
    }


def test_what_stands_out_is_marked_and_said(viewer: Client) -> None:
    history()
    at = NOW - 2 * HOUR
    Anomaly.objects.create(
        id="01890a5d-ac96-774b-bcce-b302099a8057", service="planner", metric="error_rate",
        unit="1", started_at=at, ended_at=at + 5 * MINUTE, at=at, value=0.4, expected=0.05,
        lower=0.0, upper=0.1, score=0.7, window_seconds=60,
    )  # fmt: skip
    Release.objects.create(
        service="planner", environment="prod", version="2.4.1", first_seen=at, last_seen=NOW
    )
    Forecast.objects.create(
        service="planner", metric="error_rate", span="24h", made_at=NOW, step_seconds=3600,
        points=[[(NOW + n * HOUR).isoformat(), 0.05, 0.01, 0.09] for n in range(24)],
        mase=0.8, coverage=0.95,
    )  # fmt: skip
    Exhaustion.objects.create(
        service="planner", kind="disk", subject="/var", made_at=NOW, level=0.8, limit=1.0,
        unit="1", expected_at=NOW + 50 * HOUR, probability=0.7, horizon_seconds=604800,
    )  # fmt: skip
    question = "metric=error_rate&service=planner&since=24h"
    figure = viewer.get(f"/charts/trend.json?{question}").json()
    names = [trace["name"] for trace in figure["data"]]
    assert names == ["lower", "95 % band", "forecast", "Errors per call", "anomaly"]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["2.4.1"]
    page = viewer.get(f"/trends?{question}").content.decode()
    for words in ("where 0.05", "70 %", "/var", "0.80 of the seasonal naive", "95 % of it"):
        assert words in page


def test_too_little_data_is_said_with_what_is_missing(viewer: Client) -> None:
    write_calls("planner", NOW - 5 * MINUTE, NOW, lambda at: (5, 0, 1.0))
    page = viewer.get("/trends?service=planner&since=1h").content.decode()
    assert page.count("not enough data: needs") >= 2
    assert "No anomaly in this time" in page
    assert "Nothing is known that could be used up" in page


def test_all_figures_are_shown_and_lead_to_their_trends(viewer: Client) -> None:
    history()
    page = viewer.get(
        "/trends?service=planner&since=24h&part=figures", headers={"HX-Request": "true"}
    ).content.decode()
    assert 'href="/trends?service=planner&amp;since=24h&amp;metric=latency_p95"' in page
    assert page.count('class="line"') >= 4


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("metric=luck&since=1h", "There is no"),
        ("since=1m", "shorter than 5 minutes"),
        ("since=200d", "longer than"),
    ],
)
def test_an_impossible_question_is_refused_with_the_reason(
    viewer: Client, question: str, words: str
) -> None:
    answer = viewer.get(f"/trends?{question}")
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert viewer.get(f"/charts/trend.json?{question}").status_code == 400
