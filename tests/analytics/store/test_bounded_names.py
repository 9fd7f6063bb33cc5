"""Operations and peers of a service are bounded, and those that came no more make room."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from analytics.models import CallRollup, EdgeRollup, EdgeSighting, PeerAlias
from analytics.services import ingest
from analytics.services.edges import aliases_write
from analytics.services.ingest import store_spans
from analytics.services.retention import retention_apply
from analytics.services.rollups import OTHER_OPERATIONS, OTHER_PEERS, Names, Operations
from tests.analytics.patterns.conftest import store
from tests.analytics.store.telemetry import batch, new_span, new_trace, span_record

__all__ = ["store"]
CLIENT = 3
MONDAY = date(2026, 3, 2)
DAY = timedelta(days=1)


def test_names_beyond_the_limit_are_counted_as_others_and_known_ones_go_on() -> None:
    names = Names(2, "(other)").on(MONDAY)
    found = [names.name("shop", each) for each in "abcacb"]
    assert found == ["a", "b", "(other)", "a", "(other)", "b"]
    assert names.name("depot", "c") == "c"


def test_names_that_came_no_more_make_room_and_those_in_use_keep_theirs() -> None:
    names = Names(2, "(other)").on(MONDAY)
    names.name("shop", "old")
    names.name("shop", "used")
    for day in (1, 2):
        names.on(MONDAY + day * DAY)
        assert names.name("shop", "used") == "used"
    assert names.name("shop", "new") == "new"
    assert names.name("shop", "newer") == "(other)"
    assert names.name("shop", "old") == "(other)"


@pytest.mark.usefixtures("store")
def test_a_service_that_calls_an_address_for_each_user_has_a_bounded_map(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingest.memory, "operations", Operations(limit=1, peers=2))

    def call(number: int) -> Any:
        record = span_record(new_trace(), new_span(), failed=False)
        return record._replace(
            name=f"GET /{number}", kind=CLIENT, attributes={"server.address": f"h{number}"}
        )

    store_spans(batch(*map(call, range(5))), received_at=datetime.now(UTC))
    edges = dict(EdgeRollup.objects.values_list("callee", "calls"))
    assert edges == {"h0": 1, "h1": 1, OTHER_PEERS: 3}
    calls = CallRollup.objects.exclude(operation="").values_list("operation", "calls")
    assert dict(calls) == {"GET /0": 1, OTHER_OPERATIONS: 4}


@pytest.mark.usefixtures("store")
def test_addresses_and_pairs_that_are_not_seen_for_as_long_as_hours_are_kept_are_forgotten() -> (
    None
):
    now = datetime.now(UTC)
    at = now - 100 * DAY
    aliases_write({("shop", "10.0.0.1:80", "bank"), ("shop", "10.0.0.2:80", "bank")}, at)
    # Told once a day that it is still in use.
    aliases_write({("shop", "10.0.0.2:80", "bank")}, at + 50 * DAY)
    for callee, told in (("bank", at), ("depot", now)):
        EdgeSighting.objects.create(caller="shop", callee=callee, told_at=told)
    retention_apply(now=now)
    assert list(PeerAlias.objects.values_list("peer", flat=True)) == ["10.0.0.2:80"]
    assert list(EdgeSighting.objects.values_list("callee", flat=True)) == ["depot"]
