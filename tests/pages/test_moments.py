"""The service map of a part of the chosen time."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.pages import scenes


def calls_drawn(page: str) -> int:
    """The calls that all arrows of the map stand for."""
    return sum(int(found) for found in re.findall(r"errors of (\d+) calls</title>", page))


@pytest.mark.usefixtures("busy_site")
def test_the_moments_of_a_map_add_up_to_the_whole(viewer: Client) -> None:
    whole = calls_drawn(viewer.get("/services/map?since=1h").content.decode())
    parts = [
        calls_drawn(viewer.get(f"/services/map?since=1h&moment={n}").content.decode())
        for n in range(1, 25)
    ]
    assert whole > 0
    assert sum(part > 0 for part in parts) > 12
    # A minute belongs to each of the parts that it reaches into.
    assert whole <= sum(parts) <= 2 * whole


@pytest.mark.usefixtures("busy_site")
def test_a_map_says_of_each_edge_its_rate_errors_and_latency(viewer: Client) -> None:
    page = viewer.get("/services/map?since=1h").content.decode()
    assert re.search(r"<tspan[^>]*>[\d.]+/s · [\d.]+ ms</tspan>", page)
    assert re.search(r"<tspan[^>]*>[\d.]+ % errors</tspan>", page)


@pytest.mark.parametrize("moment", ["25", "-1", "x", "1e3", "٣"])
def test_a_moment_that_there_is_not_is_refused(viewer: Client, moment: str) -> None:
    answer = viewer.get("/services/map", {"moment": moment})
    assert answer.status_code == 400
    assert "Choose a moment from 0 (all) to 24" in answer.content.decode()


def test_filters_of_the_address_outlive_the_slider(
    viewer: Client, busy_site: list[scenes.Call]
) -> None:
    page = viewer.get("/services/map?since=6h&moment=3").content.decode()
    assert '<input type="hidden" name="since" value="6h">' in page
    assert 'value="3" list="moment-names"' in page
