"""The page of all breakers, as it comes from the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from breakers.models import Instance
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Scope
from tests.breakers import scenes
from tests.breakers.scenes import Scene
from tests.pages.html import PARTIAL, text_of

pytestmark = pytest.mark.django_db


def tile_of(html: str, scene: Scene) -> str:
    """The HTML of one tile."""
    return html.partition(f'id="b-{scene.key}"')[2].partition("</li>")[0]


def test_the_first_sentence_says_what_rejects_calls(viewer: Client, incident: list[Scene]) -> None:
    html = text_of(viewer, "/breakers")
    assert '<span role="status">2 of 24 breakers reject calls</span>' in html
    assert "2 overridden by people" in html
    assert "1 with instances that disagree" in html


def test_tiles_stand_in_the_order_of_trouble(viewer: Client, incident: list[Scene]) -> None:
    html = text_of(viewer, "/breakers")
    first = [html.index(f'id="b-{scene.key}"') for scene in incident[:3]]
    assert first == sorted(first)
    assert html.index(f'id="b-{incident[7].key}"') > first[-1]


def test_a_tile_says_state_rates_and_their_denominators(viewer: Client) -> None:
    scene = Scene("planner", "graph", ("closed",), calls=10, failures=1, slow=2)
    rare = Scene("planner", "redis", ("closed",), calls=1, gaps=range(2, 12))
    scenes.store([scene, rare], datetime.now(UTC))
    html = text_of(viewer, "/breakers")
    tile = tile_of(html, scene)
    assert "</svg>Closed</span>" in tile
    assert "<b>10 %</b> failed<small>(6/60, last 60 s)</small>" in tile
    assert "20 % <span>(12/60, last 60 s)</span>" in tile
    assert "Calls, last 2 min: 120 made, 12 failed, 0 rejected" in tile
    quiet = tile_of(html, rare)
    assert '<b class="absent">n/a</b> failed<small>(0 of 10 calls, last 60 s)</small>' in quiet
    assert "nothing came in for 100 s" in quiet


def test_an_open_tile_says_who_disagrees_and_when_it_probes(
    viewer: Client, incident: list[Scene]
) -> None:
    tile = tile_of(text_of(viewer, "/breakers"), incident[0])
    assert "Open 2, closed 1" in tile
    assert "Next probe <time" in tile
    assert "data-countdown" in tile
    assert "240 rejected" in tile


def test_an_override_says_who_why_until_when_and_how_far_it_came(
    viewer: Client, operator: Client, incident: list[Scene]
) -> None:
    Instance.objects.filter(instance="planner-mcp-server-2").update(applied_version=3)
    tile = tile_of(text_of(operator, "/breakers"), incident[2])
    assert "<b>Forced open</b> by ana: Failing over to the standby" in tile
    assert "requested, applied on 2 of 3 instances" in tile
    assert f'formaction="/breakers/{incident[2].key}/override"' in tile
    assert "Revert now" in tile
    assert "Revert now" not in text_of(viewer, "/breakers")


def test_a_viewer_sees_no_buttons(viewer: Client, incident: list[Scene]) -> None:
    html = text_of(viewer, "/breakers")
    assert "data-dialog" not in html
    assert 'id="revert"' not in html


def test_a_silent_breaker_says_since_when(viewer: Client) -> None:
    scene = Scene("planner", "graph", ("open", "closed"), age=timedelta(minutes=4))
    scenes.store([scene], datetime.now(UTC))
    tile = tile_of(text_of(viewer, "/breakers"), scene)
    assert 'data-state="silent"' in tile
    assert "Last heard <time" in tile
    assert "Next probe" not in tile


def test_filters_stand_in_the_address(viewer: Client, incident: list[Scene]) -> None:
    html = text_of(viewer, "/breakers?service=planner-mcp-server&state=forced_open&q=postgres")
    assert html.count('<li class="breaker"') == 1
    assert '<option value="forced_open" selected>Forced open</option>' in html
    assert 'value="postgres"' in html
    nothing = text_of(viewer, "/breakers?q=mars")
    assert "No breaker fits these filters" in nothing
    wrong = text_of(viewer, "/breakers?state=ajar", status=400)
    assert "allowed are closed, open, half_open" in wrong


def test_the_first_screen_teaches_with_the_real_address_and_key(viewer: Client) -> None:
    bootstrap(admin_password="not-used-here", tokens={Scope.INGEST: "i" * 40})
    html = text_of(viewer, "/breakers")
    assert "No breaker has reported yet" in html
    assert "resilience.connect(&quot;http://testserver&quot;" in html or (
        'resilience.connect("http://testserver"' in html
    )
    assert "@resilience.protect" in html
    assert "Waiting for the first breaker" in html


def test_a_pull_brings_the_grid_alone(viewer: Client, incident: list[Scene]) -> None:
    html = text_of(viewer, "/breakers?state=open", headers=PARTIAL)
    assert html.startswith('<div class="stack" id="breaker-grid"')
    assert "<html" not in html
    assert 'data-src="/breakers?state=open"' in html


def test_what_services_name_is_escaped_wherever_a_tile_says_it(operator: Client) -> None:
    scene = Scene("<b>", '"><script>alert(1)</script>', calls=100_000, failures=1, slow=1)
    scenes.store([scene], datetime.now(UTC))
    html = text_of(operator, "/breakers")
    tile = tile_of(html, scene)
    assert "<script>alert" not in html
    named = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    assert f"{named}</a></h2>" in tile
    assert "<p>&lt;b&gt;</p>" in tile
    assert f"{named} of &lt;b&gt;</span></a>" in tile
    assert "<b>&lt;0.01 %</b> failed" in tile
    assert "</span> &lt;0.01 % <span>" in tile
