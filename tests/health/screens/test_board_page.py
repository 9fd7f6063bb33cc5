"""The page of all checks: what it says, in which order, by which filters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from health.models import Check, CheckStatus
from tests.health.screens import scenes
from tests.pages.html import PARTIAL, text_of


def rows(text: str) -> list[str]:
    """The names of the listed checks, in their order."""
    listed = text.partition('id="check-rows"')[2]
    return [part.partition(">")[2].partition("<")[0] for part in listed.split("data-row")[1:]]


@pytest.mark.usefixtures("empty_site")
def test_an_empty_site_teaches_how_to_create_the_first_check(viewer: Client) -> None:
    text = text_of(viewer, "/health")
    assert "Nothing is checked yet" in text
    assert "curl -X POST http://testserver/api/v1/health/checks" in text
    assert "token of the key <b>configured operate key</b>" in text
    assert "health_apply checks.yaml" in text
    assert "Waiting for the first check" in text
    assert "<form class=\"filters\"" not in text


@pytest.mark.usefixtures("incident")
def test_the_first_sentence_names_the_culprit_and_counts_the_rest(viewer: Client) -> None:
    text = text_of(viewer, "/health")
    assert '<span role="status">postgres-main is down</span>' in text
    assert "7 of 15 up; 3 unreachable because of what they need; 2 degraded" in text
    assert "1 unknown; 1 in maintenance; 1 paused" in text
