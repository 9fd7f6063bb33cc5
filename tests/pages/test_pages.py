"""The screens as HTML: what they show empty and busy, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from analytics.domain.posted_errors import PostedError
from analytics.models import CorrelationChain, ErrorEvent
from analytics.services.chains import chains_build
from analytics.services.ingest_posted import store_posted_errors
from resilience_site.core import wakeup
from resilience_site.core.choices import Role, Scope
from resilience_site.core.keys import key_check
from resilience_site.core.models import ApiKey
from tests.pages.html import LISTS, PARTIAL, text_of


def post(**fields: str) -> ErrorEvent:
    plain: dict[str, Any] = dict.fromkeys(PostedError._fields, "") | {
        "service": "shop", "type": "PaymentError", "message": "declined", "severity": 0,
        "occurred_ns": 0, "attributes": {},
    }  # fmt: skip
    error = PostedError(**(plain | fields))
    result = store_posted_errors([error], received_at=datetime.now(UTC))
    return ErrorEvent.objects.get(id=str(result.ids[0]))


@pytest.mark.usefixtures("empty_site")
@pytest.mark.parametrize("path", LISTS)
def test_an_empty_site_teaches_what_to_paste(viewer: Client, path: str) -> None:
    text = text_of(viewer, path)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://testserver" in text
    assert "configured ingest key" in text
    assert "Waiting for the first event" in text


@pytest.mark.usefixtures("busy_site")
@pytest.mark.parametrize("path", LISTS)
def test_a_partial_is_the_live_part_of_its_page(viewer: Client, path: str) -> None:
    page = text_of(viewer, path)
    assert "planner-mcp-server" in page
    assert "OTEL_EXPORTER" not in page
    part = text_of(viewer, path + ("?part=body" if path == "/" else ""), headers=PARTIAL)
    assert "<html" not in part
    assert "planner-mcp-server" in part
    opening = re.match(r'\s*<div [^>]*id="([^"]+)" [^>]*data-live="[^"]+" data-src="([^"]+)"', part)
    assert opening is not None
    assert page.count(f'id="{opening[1]}"') == 1
    assert f'data-src="{path}' in page


@pytest.mark.usefixtures("busy_site")
@pytest.mark.parametrize("path", [path for path in LISTS if path != "/services"])
def test_quiet_times_say_so_without_teaching_again(viewer: Client, path: str) -> None:
    text = text_of(viewer, f"{path}?since=2020-01-01T00:00:00Z&until=2020-01-01T01:00:00Z")
    assert "in this time" in text
    assert "OTEL_EXPORTER" not in text


@pytest.mark.usefixtures("empty_site")
def test_an_error_with_nothing_but_a_service_is_shown(viewer: Client) -> None:
    error = post(type="", message="")
    assert "without a stack trace" in text_of(viewer, f"/errors/{error.id}")
    for path in LISTS:
        text_of(viewer, path)


@pytest.mark.usefixtures("empty_site")
def test_names_that_look_like_paths_or_markup_lead_to_their_pages(viewer: Client) -> None:
    odd = "shop/<b>a&b</b> ?x=1#y"
    error = post(service=odd, correlation_id="order/7 ?&#", operation="</td><script>")
    for path in ("/", "/errors", "/patterns", "/services", f"/errors/{error.id}"):
        text = text_of(viewer, path)
        assert "<b>a&b" not in text
        assert "</td><script>" not in text
        link = re.search(r'href="(/services/shop[^"]+)"', text)
        assert link is not None, path
        assert "shop/&lt;b&gt;" in text_of(viewer, unescape(link[1]))
    chains_build(now=datetime.now(UTC) + timedelta(minutes=1))
    chain = CorrelationChain.objects.get()
    link = re.search(r'href="(/chains\?q=[^"]+)"', text_of(viewer, f"/errors/{error.id}"))
    assert link is not None
    assert viewer.get(unescape(link[1]))["Location"] == f"/chains/{chain.id}"
    assert "PaymentError" in text_of(viewer, f"/chains/{chain.id}")


@pytest.mark.usefixtures("busy_site")
def test_a_service_shows_operations_and_calls_in_and_out(viewer: Client) -> None:
    text = text_of(viewer, "/services/planner-mcp-server")
    assert "tools/call plan_summary" in text
    assert "graph.test" in text
    assert 'href="/services/planning-agent"' in text
    assert 'data-live="traffic:planner-mcp-server errors:planner-mcp-server"' in text


@pytest.mark.usefixtures("busy_site")
def test_services_are_sorted_by_the_address(viewer: Client) -> None:
    def names(sort: str) -> list[str]:
        text = text_of(viewer, f"/services?sort={sort}")
        return re.findall(r'<a data-row class="break" href="/services/([^"]+)"', text)

    assert names("name") == names("-name")[::-1] == ["planner-mcp-server", "planning-agent"]
    assert names("-p95") == names("p95")[::-1] == ["planning-agent", "planner-mcp-server"]
    assert sorted(names("nonsense")) == names("name")


@pytest.mark.usefixtures("busy_site")
def test_the_overview_states_windows_and_denominators(viewer: Client) -> None:
    text = text_of(viewer, "/")
    assert re.search(r'role="status">.*\(\d+/\d+.*last 5 min\)?; ingest is', text)
    assert re.search(r"\d+/\d[\d,]*, last 1 h", text)
    assert "Oldest unprocessed" in text
    assert re.search(r'>Traces</th><td class="num">[\d,]+</td>', text)
    head = text_of(viewer, "/?part=head", headers=PARTIAL)
    assert 'id="overview-head"' in head
    assert 'id="overview-body"' not in head
    assert "accepted" in text_of(viewer, "/site-health", headers=PARTIAL)


@pytest.mark.usefixtures("busy_site")
def test_pages_name_redis_while_it_does_not_answer(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def footer(path: str) -> str:
        (found,) = re.findall(r'<span id="late"[^>]*>(.*?)</span>', text_of(viewer, path))
        return str(found)

    assert footer("/errors") == footer("/") == ""
    monkeypatch.setattr(wakeup.pulse, "_missed", wakeup.MISSED_PINGS)
    words = "Redis does not answer: changes show within 2 s instead of at once"
    assert words in footer("/errors")
    assert words in footer("/")
    assert "Redis does not answer, so background work waits" in text_of(viewer, "/")


@pytest.mark.usefixtures("busy_site")
def test_charts_have_gaps_links_and_windows(viewer: Client) -> None:
    for name in ("error-ratio", "latency"):
        figure = viewer.get(f"/charts/{name}.json?service=planner-mcp-server").json()
        for trace in figure["data"]:
            assert len(trace["x"]) == len(trace["y"]) == len(trace["customdata"])
            assert None in trace["y"]
            assert all("service=planner-mcp-server" in link for link in trace["customdata"])
    bars = viewer.get("/charts/errors.json?since=2h").json()["data"][0]
    assert sum(bars["y"]) == ErrorEvent.objects.count()
    busiest = max(range(len(bars["y"])), key=lambda n: bars["y"][n])
    shown = min(50, bars["y"][busiest])
    assert f"{shown} errors shown" in text_of(viewer, bars["customdata"][busiest])
    assert viewer.get("/charts/nothing.json").status_code == 404


@pytest.mark.usefixtures("empty_site")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/errors?since=yesterday", 400),
        ("/errors?cursor=forged", 400),
        ("/errors?pattern=7", 400),
        ("/patterns?cursor=forged", 400),
        ("/chains?since=2026-02-01T00:00Z&until=2026-01-01T00:00Z", 400),
        ("/?until=x", 400),
        ("/services?since=400d", 400),
        ("/services/map?since=x", 400),
        ("/charts/errors.json?since=x", 400),
        ("/charts/errors.json?pattern=x", 400),
        ("/errors?service=%00", 400),
        ("/chains/%00", 400),
        ("/services/a%00b", 400),
        ("/services/nobody", 404),
        ("/chains/nothing", 404),
        ("/errors/01890a5d-ac96-774b-bcce-b302099a8057", 404),
        ("/patterns/01890a5d-ac96-774b-bcce-b302099a8057", 404),
    ],
)
def test_impossible_questions_are_refused(viewer: Client, path: str, status: int) -> None:
    text_of(viewer, path, status)


@pytest.mark.usefixtures("empty_site")
def test_the_api_refuses_nul_in_an_address_as_a_problem(viewer: Client) -> None:
    answer = viewer.get("/api/v1/errors?service=%00")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.usefixtures("empty_site")
def test_a_key_is_shown_once_works_and_is_revoked(as_role: Callable[[Role], Client]) -> None:
    admin = as_role(Role.ADMIN)
    assert "configured ingest key" in text_of(admin, "/settings/keys")
    answer = admin.post("/settings/keys", {"name": "checkout", "scope": "ingest"})
    token = re.search(r'aria-label="Token"><code>([^<]+)<', answer.content.decode())
    assert token is not None
    assert f"authorization=Bearer%20{token[1]}" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    info = key_check(token[1])
    assert info is not None
    assert (info.name, info.scope) == ("checkout", Scope.INGEST)
    assert token[1] not in text_of(admin, "/settings/keys")
    key = ApiKey.objects.get(name="checkout")
    admin.post(f"/settings/keys/{key.pk}/revoke")
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert admin.post("/settings/keys", {"name": "", "scope": "ingest"}).status_code == 422
    assert admin.post("/settings/keys", {"name": "x", "scope": "root"}).status_code == 422
    assert admin.post("/settings/keys/999999/revoke").status_code == 404


@pytest.mark.usefixtures("busy_site")
def test_the_map_tells_states_by_shape_and_word_too(viewer: Client) -> None:
    drawn = text_of(viewer, "/services/map")
    nodes = re.findall(r'<g class="node" data-state="(\w+)">(.*?)</text></svg>', drawn)
    shown = {state: body for state, body in nodes if state != "peer"}
    assert shown
    for state, body in shown.items():
        assert 'class="icon' in body
        assert state.capitalize() in body
