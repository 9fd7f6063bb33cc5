"""The relations of stored patterns: found once however often, told by the API and drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client

from analytics.models import ErrorPattern, PatternRelation
from analytics.models.partitions import ERRORS
from analytics.selectors.relations import Related, relation_map
from analytics.services.pattern_relations import pattern_relations_find
from analytics.views.relation_drawing import MOST_NODES, draw
from resilience_site.config import config
from resilience_site.core import partitions
from tests.analytics.figures.history import write_errors

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SPELLS = [NOW - timedelta(hours=20) + timedelta(hours=2 * n) for n in range(9)]

pytestmark = pytest.mark.usefixtures("store")


def make_pattern(service: str, type_: str = "TimeoutError", **fields: object) -> ErrorPattern:
    return ErrorPattern.objects.create(
        id=uuid4(), service=service, type=type_, template=f"{type_} in <*>", rule="by type",
        version=1, count=9, first_seen=NOW - timedelta(days=3), last_seen=NOW,
        last_error_id=uuid4(), **fields,
    )  # fmt: skip


def write_spells(pattern: ErrorPattern, after_minutes: int, times: int = 9) -> None:
    """Spells of three minutes each."""
    partitions.ensure(ERRORS, NOW - timedelta(days=1), NOW)
    write_errors(
        pattern.service,
        pattern.id,
        [
            (at + timedelta(minutes=after_minutes + minute), 2)
            for at in SPELLS[:times]
            for minute in range(3)
        ],
    )


@pytest.fixture
def pair() -> tuple[ErrorPattern, ErrorPattern]:
    cause, effect = make_pattern("database"), make_pattern("planner", "PlanError")
    write_spells(cause, 0)
    write_spells(effect, 2, times=8)
    noise = make_pattern("mailer", "SmtpError")
    write_errors("mailer", noise.id, [(NOW - timedelta(minutes=n), 1) for n in range(1, 1200)])
    return cause, effect


def test_what_precedes_is_found_once_however_often_it_is_looked_for(
    pair: tuple[ErrorPattern, ErrorPattern],
) -> None:
    cause, effect = pair
    assert pattern_relations_find(now=NOW) == 1
    first = PatternRelation.objects.get()
    assert pattern_relations_find(now=NOW) == 1
    relation = PatternRelation.objects.get()
    assert relation.id == first.id
    assert (relation.before_id, relation.after_id) == (cause.id, effect.id)
    assert (relation.support, relation.before_spells, relation.after_spells) == (8, 9, 8)
    assert (relation.lag_seconds, relation.directed_by) == (120.0, "lag")
    assert relation.lift > 10
    # A day later it is over.
    assert pattern_relations_find(now=NOW + timedelta(days=2)) == 0
    assert not PatternRelation.objects.exists()


def test_a_merged_pattern_counts_as_the_one_it_is_shown_in(
    pair: tuple[ErrorPattern, ErrorPattern],
) -> None:
    cause, _ = pair
    shown = make_pattern("database", "ConnectionError")
    ErrorPattern.objects.filter(id=cause.id).update(merged_into=shown.id)
    pattern_relations_find(now=NOW)
    assert PatternRelation.objects.get().before_id == shown.id


@pytest.mark.parametrize(
    "switch",
    ["error_correlation_enabled", "error_pattern_analysis_enabled", "error_analytics_enabled"],
)
def test_nothing_is_looked_for_where_it_is_switched_off(
    pair: tuple[ErrorPattern, ErrorPattern], switch: str
) -> None:
    with config.override(**{switch: False}):
        assert pattern_relations_find(now=NOW) == 0
    assert not PatternRelation.objects.exists()


def test_the_api_and_the_page_tell_all_figures(
    pair: tuple[ErrorPattern, ErrorPattern], admin_client: Client
) -> None:
    cause, effect = pair
    pattern_relations_find(now=NOW)
    query = {"since": (NOW - timedelta(days=1)).isoformat(), "until": NOW.isoformat()}
    told = admin_client.get("/api/v1/relations", query).json()
    (relation,) = told["relations"]
    assert (relation["before_id"], relation["after_id"]) == (str(cause.id), str(effect.id))
    counts = {each["service"]: each["count"] for each in told["patterns"]}
    assert counts == {"database": 54, "planner": 48, "mailer": 1199}

    (after,) = admin_client.get(f"/api/v1/patterns/{cause.id}/related").json()["items"]
    assert (after["order"], after["pattern"]["id"]) == ("after", str(effect.id))
    (before,) = admin_client.get(f"/api/v1/patterns/{effect.id}/related").json()["items"]
    assert (before["order"], before["pattern"]["service"]) == ("before", "database")
    assert admin_client.get(f"/api/v1/patterns/{uuid4()}/related").status_code == 404

    page = admin_client.get("/relations").content.decode()
    for text in ("8 of 9 spells", "2 min", f"/patterns/{cause.id}", "the time between them"):
        assert text in page
    assert "8 of 9 spells" not in admin_client.get("/relations?service=x").content.decode()


def test_an_empty_map_says_what_is_missing(admin_client: Client) -> None:
    make_pattern("planner")
    assert "No service has reported yet" in admin_client.get("/relations").content.decode()
    assert relation_map().within is None


def test_a_drawing_is_bounded_and_says_what_it_left_out() -> None:
    def related(place: int) -> Related:
        before, after = (
            ErrorPattern(id=UUID(int=number), service="s", type="E", template="t")
            for number in (place, place + 1)
        )
        return Related(PatternRelation(confidence=0.5), before, after)

    drawing = draw([related(place) for place in range(100)])
    assert len(drawing.nodes) == MOST_NODES
    assert drawing.left_out == 101 - MOST_NODES
    assert drawing.through == 0
    first, second = related(0), related(1)
    both = draw([first, second, Related(PatternRelation(confidence=1), first.before, second.after)])
    assert (len(both.nodes), len(both.arrows), both.through) == (3, 2, 1)
    circle = draw(
        [related(0), Related(PatternRelation(confidence=1), *reversed(_ends(related(0))))]
    )
    assert len(circle.arrows) == 2


def _ends(each: Related) -> tuple[ErrorPattern, ErrorPattern]:
    return each.before, each.after
