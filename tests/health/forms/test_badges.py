"""Badges: for everybody where a service has a public name, without any other name; well-formed."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from health.domain.badge import Badge, badge_svg, text_width
from health.models import Check, CheckStatus, Service
from health.selectors.badges import service_reading
from health.views import badges
from tests.health.scenes import make

pytestmark = pytest.mark.django_db
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    badges.forget()


def test_strangers_cost_the_store_one_reading_however_often_they_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public("planner", "Planner")
    asked = []
    monkeypatch.setattr(badges, "_slot", lambda now: 7)
    monkeypatch.setattr(
        badges,
        "service_reading",
        lambda *given, **named: asked.append(given) or service_reading(*given, **named),
    )
    for _ in range(5):
        assert Client().get("/health/badge/planner.svg?metric=availability_30d").status_code == 200
    assert len(asked) == 1


def public(name: str, public_name: str) -> Check:
    check = make(f"{name}-http", service=name)
    Service.objects.filter(name=name).update(public_name=public_name)
    return check


def said(content: bytes) -> str:
    title = ElementTree.fromstring(content).find(f"{SVG}title")
    assert title is not None
    return title.text or ""


def test_everybody_sees_the_state_of_a_public_service_under_its_public_name() -> None:
    check = public("planner-mcp", "Planner")
    CheckStatus.objects.filter(check_row=check).update(state="down")
    for path in ("planner-mcp", "Planner", f"check/{check.id}"):
        response = Client().get(f"/health/badge/{path}.svg")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "image/svg+xml"
        assert said(response.content) == "Planner: Down"
        assert b"mcp" not in response.content
        assert response.headers["Cache-Control"] == "public, max-age=30"


def test_strangers_do_not_learn_which_other_names_there_are() -> None:
    check = make("secret-http", service="secret")
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    answers = [
        Client().get(f"/health/badge/{path}.svg")
        for path in ("secret", "nobody", f"check/{check.id}", f"check/{unknown}")
    ]
    assert {each.status_code for each in answers} == {401}
    bodies = [re.sub(rb'"instance":"[^"]*"', b"", each.content) for each in answers]
    assert len(set(bodies)) == 1


def test_whoever_may_read_sees_all_of_them_by_name(viewer: Client) -> None:
    check = make("pg", service="platform")
    response = viewer.get(f"/health/badge/check/{check.id}.svg")
    assert said(response.content) == "pg: Unknown"
    assert response.headers["Cache-Control"].startswith("private")
    assert said(viewer.get("/health/badge/platform.svg").content) == "platform: Unknown"
    assert viewer.get("/health/badge/nobody.svg").status_code == 404


def test_a_badge_that_did_not_change_is_not_sent_again() -> None:
    public("planner", "Planner")
    first = Client().get("/health/badge/planner.svg")
    again = Client().get(
        "/health/badge/planner.svg", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("availability_30d", "pg 30 d: n/a"),
        ("availability_24h", "pg 24 h: n/a"),
        ("latency_p95", "pg p95 24 h: n/a"),
    ],
)
def test_figures_without_data_are_not_made_up(viewer: Client, metric: str, words: str) -> None:
    check = make("pg")
    response = viewer.get(f"/health/badge/check/{check.id}.svg?metric={metric}")
    assert said(response.content) == words


def test_a_latency_is_that_of_the_runs(viewer: Client) -> None:
    from health import prober

    check = make("pg")
    prober.run_now(check.id)
    response = viewer.get(f"/health/badge/check/{check.id}.svg?metric=latency_p95")
    assert re.fullmatch(r"pg p95 24 h: [0-9.]+ (ms|µs|s)", said(response.content))


def test_an_unknown_metric_is_refused_by_what_there_is(viewer: Client) -> None:
    check = make("pg")
    for path in (f"check/{check.id}", "planner"):
        response = viewer.get(f"/health/badge/{path}.svg?metric=mood")
        assert response.status_code == 422
        assert b"availability_30d" in response.content


@given(st.text(max_size=100), st.text(max_size=100), st.sampled_from(["ok", "bad", "mauve"]))
def test_any_text_makes_a_picture_that_says_it(label: str, value: str, tone: str) -> None:
    drawn = ElementTree.fromstring(badge_svg(Badge(label, value, tone)).encode("utf-8", "replace"))
    assert float(drawn.attrib["width"]) >= text_width("") + 20
    texts = [each.text or "" for each in drawn.iter(f"{SVG}text")]
    assert len(texts) == 2
    assert "style" not in str(ElementTree.tostring(drawn))


def test_wider_texts_make_wider_badges() -> None:
    widths = [text_width(text) for text in ("i", "a", "W", "世", "Planner", "Planner API")]
    assert widths == sorted(widths)
    assert text_width("é") == text_width("e")
    assert text_width("e\u0301") == text_width("e")
