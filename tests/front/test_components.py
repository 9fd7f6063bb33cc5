"""What the component tags write."""

from __future__ import annotations

from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone

from resilience_site.core.badges import BADGES


def written(source: str, path: str = "/errors", **context: Any) -> str:
    request = RequestFactory().get(path)
    request.user = AnonymousUser()
    return Template("{% load ui %}" + source).render(Context({"request": request, **context}))


class Hrefs(HTMLParser):
    """Collects the addresses of links by their text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._href: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._href is not None and data.strip():
            self.found.setdefault(data.strip(), self._href)


def test_a_number_has_its_window_and_denominator() -> None:
    html = written('{% ratio 21 500 60 "errors" %}')
    assert "4.2 % errors" in html
    assert "(21/500, last 60 s)" in html


def test_too_few_calls_are_not_zero_percent() -> None:
    html = written('{% ratio_stat "Errors" 0 3 60 minimum=10 %}')
    assert "n/a" in html
    assert "3 of 10 calls, last 60 s" in html
    assert "0 %" not in html


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k in BADGES for v in BADGES[k]])
def test_a_state_is_drawn_as_shape_word_and_colour(kind: str, value: str) -> None:
    html = written("{% state kind value %}", kind=kind, value=value)
    assert "<svg" in html
    assert f'data-tone="{BADGES[kind][value].tone}"' in html
    assert BADGES[kind][value].word in html


def test_times_carry_the_exact_moment() -> None:
    moment = timezone.now() - timedelta(minutes=3, seconds=5)
    html = written("{{ at|ago }}", at=moment)
    assert ">3 min ago<" in html
    assert moment.strftime("%Y-%m-%d %H:%M:%S UTC") in html
    assert written("{{ at|ago }}", at=None) == "never"
    local = datetime.fromisoformat("2026-01-31T13:00:00+01:00")
    assert ">2026-01-31 12:00:00 UTC<" in written("{{ at|exact }}", at=local)


def test_values_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    source = (
        "{% pairs items %}{% stack frames %}{% stat evil evil evil %}{% code evil %}{{ evil }}"
        "{% endcode %}{% panel evil %}{{ evil }}{% endpanel %}{% state 'pattern' evil %}"
        "{% spark values evil %}{% chips q=evil %}{% lane 0 1 evil evil %}"
    )
    frame = dict.fromkeys(("function", "module", "file", "line", "context"), evil)
    html = written(
        source,
        path="/errors?q=%3Cscript%3Ealert(1)%3C/script%3E",
        evil=evil,
        items={evil: evil},
        frames=[{**frame, "in_app": True}, {**frame, "in_app": False}],
        values=[1.0, None],
    )
    assert "<script" not in html.lower()


def test_library_frames_are_folded_and_our_own_are_not() -> None:
    names = [("ours", True), ("lib_a", False), ("lib_b", False), ("ours_too", True)]
    frames = [{"function": n, "file": "x.py", "line": 1, "in_app": a} for n, a in names]
    html = written("{% stack frames %}", frames=frames)
    assert "2 library frames" in html
    assert html.count("<details") == 1
    folded = html[html.index("<details") : html.index("</details>")]
    assert "lib_a" in folded
    assert "lib_b" in folded
    assert "ours" not in folded


def test_code_loses_its_common_indentation_only() -> None:
    html = written("{% code %}\n    if a:\n        b()\n  {% endcode %}")
    assert "<code>if a:\n    b()</code>" in html


def test_a_chip_takes_away_its_filter_and_keeps_the_others() -> None:
    source = '{% chips service="Service" q="Search" %}'
    links = Hrefs(written(source, "/errors?service=a&q=503&since=1h&cursor=x")).found
    assert links["Service"] == "?q=503&since=1h"
    assert links["Search"] == "?service=a&since=1h"
    assert links["Clear all"] == "?since=1h"


def test_the_range_picker_keeps_filters_and_marks_the_range() -> None:
    html = written("{% range_picker %}", "/errors?service=a&since=15m&cursor=x")
    assert Hrefs(html).found["Last 24 hours"] == "?service=a&since=24h"
    assert '<span class="range-label">Last 15 minutes</span>' in html
    assert html.count('aria-current="true"') == 1
    assert '<input type="hidden" name="service" value="a">' in html
    assert 'name="cursor"' not in html


def test_the_range_picker_shows_the_last_hour_by_default_and_absolute_ranges_as_given() -> None:
    assert '<span class="range-label">Last hour</span>' in written("{% range_picker %}")
    html = written("{% range_picker %}", "/errors?since=2026-01-31T08:00Z&until=2026-01-31T09:00Z")
    assert '<span class="range-label">2026-01-31T08:00Z – 2026-01-31T09:00Z</span>' in html
    assert 'aria-current="true"' not in html


@pytest.mark.parametrize(
    ("query", "direction", "after"),
    [
        ("", "descending", "?sort=count"),
        ("?sort=count", "ascending", "?sort=-count"),
        ("?sort=name", "", "?sort=-count"),
    ],
)
def test_a_column_head_says_and_turns_the_order(query: str, direction: str, after: str) -> None:
    html = written(
        '{% sort_header "count" "Errors" numeric=True default="-count" %}', f"/errors{query}"
    )
    assert Hrefs(html).found["Errors"] == after
    assert (f'aria-sort="{direction}"' in html) == bool(direction)


def test_the_pager_says_when_there_is_no_more() -> None:
    assert "3 errors shown, all there are" in written("{% pager 3 None 'errors' %}")
    html = written("{% pager 50 'next' 'errors' %}", "/errors?q=1")
    assert Hrefs(html).found["Next"] == "?q=1&cursor=next"
    assert "First" in written("{% pager 3 None 'errors' %}", "/errors?cursor=x")
    html = written("{% pager 50 'next' 'errors' 'open_after' %}", "/errors?cursor=x&open_after=y")
    assert Hrefs(html).found["Next"] == "?open_after=next"
    assert Hrefs(html).found["First"] == "?"


@pytest.mark.parametrize(
    ("noun", "one"), [("incidents", "incident"), ("deliveries", "delivery"), ("runs", "run")]
)
def test_the_pager_says_one_of_one(noun: str, one: str) -> None:
    assert f"1 {one} shown" in written(f"{{% pager 1 None '{noun}' %}}")
    assert f"0 {noun} shown" in written(f"{{% pager 0 None '{noun}' %}}")


def test_a_link_to_another_screen_keeps_the_time_and_nothing_else() -> None:
    tag = "{% same_time 'errors' service='a b' %}"
    assert written(tag, "/services?since=6h&until=now&sort=name").strip() == (
        "/errors?since=6h&amp;until=now&amp;service=a+b"
    )
    assert written("{% same_time 'errors' %}", "/services?sort=name").strip() == "/errors"


def test_a_lane_stays_inside_its_row() -> None:
    for offset, length in ((0.0, 1.0), (0.999, 0.5), (1.0, 0.0), (-0.2, 3.0)):
        html = written("{% lane offset length %}", offset=offset, length=length)
        x, width = (float(html.split(f'{name}="')[1].split('"')[0]) for name in (" x", " width"))
        assert x >= 0
        assert width > 0
        assert x + width <= 1000


def test_a_screen_without_paths_has_no_entry_in_the_menu() -> None:
    assert written('{% nav_item "no-such-screen" "Nothing" "home" "n" %}').strip() == ""
    html = written('{% nav_item "healthz" "Health" "heart" "h" %}', "/healthz")
    assert 'aria-current="page"' in html


def test_a_live_part_names_its_topics_and_its_source() -> None:
    html = written('<div {% live "errors patterns:7" src %}></div>', src="/errors?a=1&b=2")
    assert 'data-live="errors patterns:7" data-src="/errors?a=1&amp;b=2"' in html


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_neither_request_nor_database(name: str) -> None:
    html = render_to_string(f"{name}.html")
    assert "<h1>" in html
    assert 'href="/"' in html


def test_the_cursor_of_a_page_stands_at_its_root() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert 'data-live-cursor="0"' in render_to_string("base.html", {"live_cursor": 0}, request)
    assert "data-live-cursor" not in render_to_string("base.html", {"live_cursor": None}, request)
